//! The head of a request: path-style bucket and key, query, headers.

use hyper::HeaderMap;
use hyper::http::request::Parts;

use crate::refusal::Refusal;

/// Longest key of S3, in bytes.
const KEY_BYTES_MAX: usize = 1024;

/// What is asked for, before anything is known about who asks.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    /// The whole path as signatures see it: decoded, and encoded again in their one way.
    pub(crate) path: String,
    /// Empty for the list of all buckets.
    pub(crate) bucket: String,
    /// Empty for a request about the bucket itself.
    pub(crate) key: String,
    /// Decoded, in the order they came.
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
}

impl Call {
    pub(crate) fn read(head: &Parts) -> Result<Self, Refusal> {
        let whole = decoded(head.uri.path())?;
        let path = whole.strip_prefix('/').unwrap_or(&whole);
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        if key.len() > KEY_BYTES_MAX {
            return Err(Refusal::new(400, "KeyTooLongError", "Your key is too long"));
        }
        let pairs = head.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let query = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(name)?, decoded(value)?))
        });
        Ok(Self {
            method: head.method.as_str().to_owned(),
            path: encoded(&whole, "/"),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            query: query.collect::<Result<_, Refusal>>()?,
            headers: head.headers.clone(),
        })
    }

    /// A header's value; one that is no text counts as absent.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().ok()?.trim())
    }

    /// All headers whose names begin so, as text.
    pub(crate) fn headers_from<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let named = self.headers.iter().filter(move |(name, _)| name.as_str().starts_with(prefix));
        named.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?.trim())))
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that is absent or empty is none.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.parameter(name).filter(|value| !value.is_empty())
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<usize>, Refusal> {
        let read = |text: &str| text.parse().map_err(|_| Refusal::argument(format!("{name} is no number")));
        self.filled(name).map(read).transpose()
    }
}

/// Percent signs undone; `+` stays `+`.
pub(crate) fn decoded(text: &str) -> Result<String, Refusal> {
    let bad = || Refusal::new(400, "InvalidURI", "Couldn't parse the specified URI.");
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

/// Percent signs as signatures want them: all but unreserved letters, and the letters in `kept`.
pub(crate) fn encoded(text: &str, kept: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for byte in text.bytes() {
        let letter = char::from(byte);
        if letter.is_ascii_alphanumeric() || "-_.~".contains(letter) || kept.contains(letter) {
            result.push(letter);
        } else {
            result.push_str(&format!("%{byte:02X}"));
        }
    }
    result
}
