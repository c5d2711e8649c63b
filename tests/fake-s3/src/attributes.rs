//! What an object is stored with, from the headers of its put, its upload's creation or its copy.

use std::collections::BTreeMap;

use crate::access::Context;
use crate::refusal::Refusal;
use crate::request::Call;
use crate::retention::{self, Mode, Retention};
use crate::turn::Turn;

const CLASSES: [&str; 8] = [
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
];
/// Headers that are kept and given back as they came.
const KEPT: [&str; 8] = [
    "content-type",
    "content-encoding",
    "content-disposition",
    "content-language",
    "cache-control",
    "expires",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
];
/// Headers that would change what is stored in ways this server does not know.
const REFUSED: [&str; 9] = [
    "x-amz-tagging",
    "x-amz-website-redirect-location",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-write-offset-bytes",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write-acp",
    "if-match",
];

/// Class, metadata and lock of an object.
#[derive(Debug, Clone)]
pub(crate) struct Attributes {
    pub(crate) class: String,
    /// Headers by name, in lower case.
    pub(crate) meta: Vec<(String, String)>,
    pub(crate) retention: Option<Retention>,
    pub(crate) hold: bool,
    /// Access control and tags, kept as they came.
    pub(crate) documents: BTreeMap<&'static str, String>,
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            class: "STANDARD".to_owned(),
            meta: Vec::new(),
            retention: None,
            hold: false,
            documents: BTreeMap::new(),
        }
    }
}

impl Attributes {
    /// Reads the headers, and asks for every permission that they need.
    pub(crate) fn read(turn: &mut Turn<'_>) -> Result<Self, Refusal> {
        let call = turn.call;
        if let Some(name) = REFUSED.iter().find(|name| call.headers.contains_key(**name)) {
            return Err(Refusal::not_built(name));
        }
        if call
            .header("x-amz-acl")
            .is_some_and(|acl| !["private", "bucket-owner-full-control"].contains(&acl))
        {
            return Err(Refusal::new(400, "AccessControlListNotSupported", "The bucket does not allow ACLs"));
        }
        let class = call.header("x-amz-storage-class").unwrap_or("STANDARD");
        if !CLASSES.contains(&class) {
            return Err(Refusal::new(
                400,
                "InvalidStorageClass",
                "The storage class you specified is not valid",
            ));
        }
        let retention = own_retention(turn)?;
        let hold = match call.header("x-amz-object-lock-legal-hold") {
            None | Some("OFF") => false,
            Some("ON") => true,
            Some(_) => return Err(Refusal::argument("Legal Hold must be either of 'ON' or 'OFF'")),
        };
        if (retention.is_some() || hold) && turn.shelf()?.lock.is_none() {
            return Err(Refusal::lock_missing());
        }
        let mut context = retention::context(retention.as_ref(), turn.now);
        context.push(("x-amz-storage-class", class.to_owned()));
        context.extend(call.header("if-none-match").map(|value| ("if-none-match", value.to_owned())));
        permit(turn, &context, retention.is_some(), hold)?;
        Ok(Self { class: class.to_owned(), meta: meta(call), retention, hold, documents: BTreeMap::new() })
    }

    /// The class as answers show it: the standard one is not shown.
    pub(crate) fn shown_class(&self) -> Option<String> {
        (self.class != "STANDARD").then(|| self.class.clone())
    }

    /// What comes back on GET and HEAD.
    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        let class = self.shown_class().map(|class| ("x-amz-storage-class".to_owned(), class));
        self.meta.iter().cloned().chain(class).collect()
    }
}

fn permit(turn: &mut Turn<'_>, context: &Context, locks: bool, holds: bool) -> Result<(), Refusal> {
    turn.permit("s3:PutObject", context)?;
    if locks {
        turn.permit("s3:PutObjectRetention", context)?;
    }
    if holds || turn.call.headers.contains_key("x-amz-object-lock-legal-hold") {
        turn.permit("s3:PutObjectLegalHold", context)?;
    }
    Ok(())
}

fn own_retention(turn: &Turn<'_>) -> Result<Option<Retention>, Refusal> {
    let mode = turn.call.header("x-amz-object-lock-mode");
    let until = turn.call.header("x-amz-object-lock-retain-until-date");
    let (mode, until) = match (mode, until) {
        (None, None) => return Ok(None),
        (Some(mode), Some(until)) => (mode, until),
        _ => {
            let text = "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied";
            return Err(Refusal::argument(text));
        }
    };
    let mode = Mode::of_name(mode).ok_or_else(|| Refusal::argument("Unknown wormMode directive."))?;
    let until = retention::parse_date(until)?;
    if until <= turn.now {
        return Err(Refusal::argument("The retain until date must be in the future!"));
    }
    Ok(Some(Retention { mode, until }))
}

fn meta(call: &Call) -> Vec<(String, String)> {
    let kept = KEPT.iter().filter_map(|name| Some((*name, call.header(name)?)));
    let all = kept.chain(call.headers_from("x-amz-meta-"));
    let mut meta: Vec<(String, String)> =
        all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    for (name, value) in &mut meta {
        if name == "content-encoding" {
            let codings = value.split(',').map(str::trim).filter(|coding| *coding != "aws-chunked");
            *value = codings.collect::<Vec<_>>().join(",");
        }
    }
    meta.retain(|(_, value)| !value.is_empty());
    meta
}
