//! GetObject and HeadObject.

use std::ops::Range;

use crate::access::Context;
use crate::answer::Answer;
use crate::clock::{http_date, iso};
use crate::fault::Fault;
use crate::object;
use crate::refusal::Refusal;
use crate::store::Version;
use crate::turn::Turn;

/// Query and headers that would change an answer in ways this server does not know.
const REFUSED_QUERY: &str = "partNumber";
const REFUSED: [&str; 3] = ["if-modified-since", "if-unmodified-since", "if-range"];

/// The version that the call's key and version id mean, marker or not.
pub(crate) fn version_of<'a>(turn: &'a mut Turn<'_>) -> Result<&'a Version, Refusal> {
    let call = turn.call;
    let missing = turn.missing();
    let shelf = turn.shelf()?;
    match call.filled("versionId") {
        Some(id) => {
            let versions = shelf.objects.get(&call.key).into_iter().flatten();
            versions.into_iter().find(|version| version.id == id).ok_or_else(Refusal::no_such_version)
        }
        None => shelf.current(&call.key).ok_or(missing),
    }
}

/// Refuses markers the way reads do.
pub(crate) fn object_of(turn: &mut Turn<'_>) -> Result<Version, Refusal> {
    let by_id = turn.call.filled("versionId").is_some();
    let version = version_of(turn)?.clone();
    if !version.is_marker {
        return Ok(version);
    }
    let refusal = if by_id {
        let text = "The specified method is not allowed against this resource.";
        Refusal::new(405, "MethodNotAllowed", text).with("allow", "DELETE")
    } else {
        turn.missing()
    };
    Err(refusal.with("x-amz-delete-marker", "true").with("x-amz-version-id", version.id))
}

pub(crate) fn permit(turn: &mut Turn<'_>) -> Result<(), Refusal> {
    let by_id = turn.call.filled("versionId").is_some();
    turn.permit(if by_id { "s3:GetObjectVersion" } else { "s3:GetObject" }, &Context::new())
}

pub(crate) fn head(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let version = found(turn)?;
    answer(turn, version)
}

pub(crate) fn get(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let mut version = found(turn)?;
    if !version.is_readable(turn.now) {
        let text = "The operation is not valid for the object's storage class";
        return Err(Refusal::new(403, "InvalidObjectState", text));
    }
    if version.data.length() > 0 && turn.strikes(Fault::FlippedBit).is_some() {
        let range = range(turn, version.data.length())?;
        version.data.flip(range.map_or(0, |range| range.start), 0);
    }
    answer(turn, version)
}

fn found(turn: &mut Turn<'_>) -> Result<Version, Refusal> {
    permit(turn)?;
    let call = turn.call;
    if call.parameter(REFUSED_QUERY).is_some() {
        return Err(Refusal::not_built(REFUSED_QUERY));
    }
    if let Some(name) = REFUSED.iter().find(|name| call.headers.contains_key(**name)) {
        return Err(Refusal::not_built(name));
    }
    let version = object_of(turn)?;
    let is_same = |tag: &str| tag == "*" || tag.trim_matches('"') == version.etag;
    if call.header("if-match").is_some_and(|tag| !is_same(tag)) {
        return Err(Refusal::precondition());
    }
    if call.header("if-none-match").is_some_and(is_same) {
        return Err(Refusal::new(304, "NotModified", "Not Modified"));
    }
    Ok(version)
}

fn answer(turn: &mut Turn<'_>, version: Version) -> Result<Answer, Refusal> {
    let length = version.data.length();
    let range = range(turn, length)?;
    let wants_checksum =
        turn.call.header("x-amz-checksum-mode").is_some_and(|mode| mode.eq_ignore_ascii_case("ENABLED"));
    let shows = wants_checksum && range.is_none();
    let headers = object::headers(&version);
    let headers = headers.into_iter().filter(|(name, _)| shows || !name.starts_with("x-amz-checksum-"));
    let answer = Answer::new(if range.is_some() { 206 } else { 200 })
        .with("last-modified", http_date(version.modified))
        .with("accept-ranges", "bytes")
        .with("content-type", "binary/octet-stream")
        .with_all(headers)
        .with_all(version.attributes.headers())
        .with_all(locks(turn, &version))
        .with_some("x-amz-restore", version.thaw.and_then(|thaw| thaw.shown(turn.now)));
    Ok(match range {
        Some(range) => answer
            .with("content-range", format!("bytes {}-{}/{length}", range.start, range.end - 1))
            .data(version.data.range(range)),
        None => answer.data(version.data),
    })
}

/// The lock is shown to who may ask for it.
fn locks(turn: &Turn<'_>, version: &Version) -> Vec<(String, String)> {
    let may = |action| turn.is_allowed(action, &turn.call.bucket, &turn.call.key, &Context::new());
    let mut headers = Vec::new();
    if let Some(retention) = version.attributes.retention.filter(|_| may("s3:GetObjectRetention")) {
        headers.push(("x-amz-object-lock-mode".to_owned(), retention.mode.name().to_owned()));
        headers.push(("x-amz-object-lock-retain-until-date".to_owned(), iso(retention.until)));
    }
    if version.attributes.hold && may("s3:GetObjectLegalHold") {
        headers.push(("x-amz-object-lock-legal-hold".to_owned(), "ON".to_owned()));
    }
    headers
}

/// `bytes=5-9`, `bytes=5-` and `bytes=-5`; anything else means the whole.
fn range(turn: &Turn<'_>, length: u64) -> Result<Option<Range<u64>>, Refusal> {
    let Some((from, to)) = turn
        .call
        .header("range")
        .and_then(|text| text.strip_prefix("bytes="))
        .and_then(|text| text.split_once('-'))
    else {
        return Ok(None);
    };
    let range = match (from.parse::<u64>().ok(), to.parse::<u64>().ok()) {
        (Some(from), Some(to)) if from <= to => from..to.saturating_add(1).min(length),
        (Some(from), None) if to.is_empty() => from..length,
        (None, Some(count)) if from.is_empty() => length.saturating_sub(count)..length,
        _ => return Ok(None),
    };
    if range.start >= range.end {
        let refusal = Refusal::new(416, "InvalidRange", "The requested range is not satisfiable");
        return Err(refusal.with("content-range", format!("bytes */{length}")));
    }
    Ok(Some(range))
}
