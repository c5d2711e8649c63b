//! The head of a request: its path by components, its query, its headers.

use hyper::HeaderMap;
use hyper::http::request::Parts;

use crate::refusal::Refusal;

/// What is asked for, before anything is known about who asks.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    /// Decoded, one by one: a key is one component, with its slashes encoded.
    pub(crate) path: Vec<String>,
    /// Decoded, in the order they came.
    pub(crate) query: Vec<(String, String)>,
    headers: HeaderMap,
}

impl Call {
    pub(crate) fn read(head: &Parts) -> Result<Self, Refusal> {
        let path = head.uri.path().trim_start_matches('/').split('/');
        let pairs = head.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let query = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(&name.replace('+', " "))?, decoded(&value.replace('+', " "))?))
        });
        Ok(Self {
            method: head.method.as_str().to_owned(),
            path: path.map(decoded).collect::<Result<_, _>>()?,
            query: query.collect::<Result<_, Refusal>>()?,
            headers: head.headers.clone(),
        })
    }

    /// A header's value; one that is no text counts as absent.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().ok()?.trim())
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let read = |text: &str| {
            text.parse().map_err(|_| Refusal::invalid(format!("Invalid value for {name}: '{text}'")))
        };
        self.parameter(name).map(read).transpose()
    }

    /// Refuses parameters that are not among these: what is not built is not ignored.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        match self.query.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => Err(Refusal::not_built(&format!("the parameter {name}"))),
            None => Ok(()),
        }
    }
}

fn decoded(text: &str) -> Result<String, Refusal> {
    let bad = || Refusal::invalid("the address is not encoded as it should be");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = after.split_at_checked(2).ok_or_else(bad)?;
        let digits = std::str::from_utf8(digits).map_err(|_| bad())?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| bad())?);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| bad())
}
