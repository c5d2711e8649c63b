//! PutObject, and how every new version comes into its bucket.

use chrono::{DateTime, TimeDelta, Utc};

use crate::answer::Answer;
use crate::attributes::Attributes;
use crate::checksum::Checksum;
use crate::fault::Fault;
use crate::refusal::Refusal;
use crate::retention::{self, Retention};
use crate::segments::Segments;
use crate::store::{Version, Versioning};
use crate::turn::Turn;

/// Where a version comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Put,
    Multipart,
    Copy,
}

/// A version before it has an id.
pub(crate) struct New {
    pub(crate) origin: Origin,
    pub(crate) attributes: Attributes,
    pub(crate) data: Segments,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) etag: Option<String>,
    /// When it was put, or its upload began: a default lock counts from here.
    pub(crate) modified: DateTime<Utc>,
}

pub(crate) fn put(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let attributes = Attributes::read(turn)?;
    locks_need_checksums(turn, &attributes, "Put Object")?;
    none_match(turn)?;
    let data = std::mem::take(&mut turn.body.data);
    let (checksum, etag) = (turn.body.checksum.clone(), turn.body.md5.clone());
    let new = New { origin: Origin::Put, attributes, data, checksum, etag, modified: turn.now };
    let version = add(turn, new)?;
    Ok(Answer::new(200).with_all(headers(&version)).with_all(
        version
            .attributes
            .headers()
            .into_iter()
            .filter(|(name, _)| name.starts_with("x-amz-server-side-encryption")),
    ))
}

/// The headers that name a version that was just made.
pub(crate) fn headers(version: &Version) -> Vec<(String, String)> {
    let mut headers = vec![("etag".to_owned(), format!("\"{}\"", version.etag))];
    if version.id != "null" {
        headers.push(("x-amz-version-id".to_owned(), version.id.clone()));
    }
    if let Some(checksum) = &version.checksum {
        headers.push((checksum.algorithm.header(), checksum.value.clone()));
        headers.push(("x-amz-checksum-type".to_owned(), checksum.kind.name().to_owned()));
    }
    headers
}

/// A put into a lock, also a default one, must announce a checksum.
pub(crate) fn locks_need_checksums(
    turn: &mut Turn<'_>,
    attributes: &Attributes,
    what: &str,
) -> Result<(), Refusal> {
    let by_default = matches!(turn.shelf()?.lock, Some(Some(_)));
    if (by_default || attributes.retention.is_some() || attributes.hold) && !turn.body.is_protected() {
        let text = "Content-MD5 OR x-amz-checksum- HTTP header is required for";
        return Err(Refusal::invalid(format!("{text} {what} requests with Object Lock parameters")));
    }
    Ok(())
}

/// `If-None-Match: *`: refuses to put over an object that is there.
pub(crate) fn none_match(turn: &mut Turn<'_>) -> Result<(), Refusal> {
    let call = turn.call;
    match call.header("if-none-match") {
        None => Ok(()),
        Some("*") => match turn.shelf()?.current(&call.key) {
            Some(version) if !version.is_marker => {
                turn.unless(Fault::IgnoreIfNoneMatch, Refusal::precondition())
            }
            _ => Ok(()),
        },
        Some(_) => Err(Refusal::not_built("If-None-Match with an ETag on a put")),
    }
}

/// Makes a version the newest of the call's key.
pub(crate) fn add(turn: &mut Turn<'_>, new: New) -> Result<Version, Refusal> {
    let New { origin, mut attributes, data, checksum, etag, modified } = new;
    attributes.retention = lock(turn, origin, attributes.retention, modified)?;
    let id = turn.store.next_id();
    let serial = turn.store.next_serial();
    let key = turn.call.key.clone();
    let existed = turn.shelf()?.objects.contains_key(&key);
    let replaces = existed && turn.strikes(Fault::OverwriteReplaces).is_some();
    let shelf = turn.shelf()?;
    let id = if shelf.versioning == Versioning::Enabled { id } else { "null".to_owned() };
    let etag = etag.unwrap_or_else(|| format!("{serial:032x}"));
    let (is_marker, thaw) = (false, None);
    let version = Version { id, serial, is_marker, modified, etag, attributes, checksum, data, thaw };
    let versions = shelf.objects.entry(key).or_default();
    if replaces {
        versions.clear();
    }
    versions.retain(|old| old.id != "null" || version.id != "null");
    versions.push(version.clone());
    Ok(version)
}

/// The lock a new version really gets, faults included.
fn lock(
    turn: &mut Turn<'_>,
    origin: Origin,
    own: Option<Retention>,
    start: DateTime<Utc>,
) -> Result<Option<Retention>, Refusal> {
    let Some(mut retention) = retention::of_new(turn.shelf()?, own, start) else { return Ok(None) };
    if origin == Origin::Multipart && turn.strikes(Fault::LockLostOnMultipart).is_some() {
        return Ok(None);
    }
    if let Some(Fault::LockShortened(days)) = turn.strikes(Fault::LockShortened(0)) {
        retention.until -= TimeDelta::days(i64::from(days));
    }
    Ok(Some(retention))
}
