//! CopyObject: the bytes are shared, the attributes are the copy's own or the source's.

use crate::access::Context;
use crate::answer::Answer;
use crate::attributes::Attributes;
use crate::clock::iso;
use crate::object::{self, New, Origin};
use crate::refusal::Refusal;
use crate::request::decoded;
use crate::store::Version;
use crate::turn::Turn;
use crate::xml::Xml;

pub(crate) fn copy(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let mut attributes = Attributes::read(turn)?;
    object::none_match(turn)?;
    let source = source(turn)?;
    let replaces = match turn.call.header("x-amz-metadata-directive") {
        None | Some("COPY") => false,
        Some("REPLACE") => true,
        Some(_) => return Err(Refusal::argument("Unknown metadata directive.")),
    };
    if !replaces {
        attributes.meta = source.attributes.meta.clone();
    }
    let new = New {
        origin: Origin::Copy,
        attributes,
        data: source.data.clone(),
        checksum: source.checksum.clone(),
        etag: Some(source.etag.clone()),
        modified: turn.now,
    };
    let version = object::add(turn, new)?;
    let mut document = Xml::new("CopyObjectResult");
    document.text("LastModified", iso(version.modified)).text("ETag", format!("\"{}\"", version.etag));
    let answer = Answer::xml(document.end("CopyObjectResult"));
    Ok(answer
        .with_some("x-amz-version-id", (version.id != "null").then_some(version.id))
        .with_some("x-amz-copy-source-version-id", (source.id != "null").then_some(source.id)))
}

/// `/bucket/key?versionId=id`, with percent signs.
fn source(turn: &mut Turn<'_>) -> Result<Version, Refusal> {
    let bad =
        || Refusal::argument("Copy Source must mention the source bucket and key: sourcebucket/sourcekey");
    let text = turn.call.header("x-amz-copy-source").ok_or_else(bad)?;
    let (path, id) = text.split_once("?versionId=").map_or((text, None), |(path, id)| (path, Some(id)));
    let path = decoded(path)?;
    let (bucket, key) = path.strip_prefix('/').unwrap_or(&path).split_once('/').ok_or_else(bad)?;
    let action = if id.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
    turn.permit_on(action, bucket, key, &Context::new())?;
    let shelf = turn.store.buckets.get(bucket).ok_or_else(Refusal::no_such_bucket)?;
    let found = match id {
        Some(id) => shelf.objects.get(key).into_iter().flatten().find(|version| version.id == id),
        None => shelf.current(key),
    };
    let found = found.filter(|version| !version.is_marker).ok_or_else(Refusal::no_such_key)?;
    if !found.is_readable(turn.now) {
        let text = "Operation is not valid for the source object's storage class";
        return Err(Refusal::new(403, "InvalidObjectState", text));
    }
    Ok(found.clone())
}
