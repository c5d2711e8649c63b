//! DeleteObject, by key (a marker) or by version (the end of it), and DeleteObjects.

use crate::access::Context;
use crate::answer::Answer;
use crate::attributes::Attributes;
use crate::fault::Fault;
use crate::refusal::Refusal;
use crate::request::Call;
use crate::retention;
use crate::segments::Segments;
use crate::store::{Version, Versioning};
use crate::turn::Turn;
use crate::xml::{self, Xml};

const KEYS_MAX: usize = 1000;

/// What a deletion did.
#[derive(Default)]
struct Deleted {
    /// The version that is gone, or the marker that was laid.
    version: Option<String>,
    is_marker: bool,
}

pub(crate) fn delete(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let (key, id) = (turn.call.key.clone(), turn.call.filled("versionId").map(str::to_owned));
    let deleted = one(turn, &key, id.as_deref())?;
    let marker = deleted.is_marker.then_some("true");
    Ok(Answer::new(204)
        .with_some("x-amz-version-id", deleted.version)
        .with_some("x-amz-delete-marker", marker))
}

pub(crate) fn batch(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.must_be_protected()?;
    turn.shelf()?;
    let (quiet, objects) = xml::read(&turn.body.data.to_vec(), |root| {
        let quiet = xml::child(root, "Quiet").as_deref() == Some("true");
        let object = |node| {
            let key =
                xml::child(node, "Key").filter(|key| !key.is_empty()).ok_or_else(Refusal::malformed_xml)?;
            Ok((key, xml::child(node, "VersionId").filter(|id| !id.is_empty())))
        };
        let objects = xml::children(root, "Object").map(object).collect::<Result<Vec<_>, Refusal>>()?;
        Ok((quiet, objects))
    })?;
    if objects.is_empty() || objects.len() > KEYS_MAX {
        return Err(Refusal::malformed_xml());
    }
    let mut document = Xml::new("DeleteResult");
    for (key, id) in objects {
        match one(turn, &key, id.as_deref()) {
            Ok(_) if quiet => {}
            Ok(deleted) => {
                document.open("Deleted").text("Key", &key);
                if let Some(id) = &id {
                    document.text("VersionId", id);
                }
                if deleted.is_marker {
                    document.text("DeleteMarker", true);
                    document.text("DeleteMarkerVersionId", deleted.version.unwrap_or_default());
                }
                document.close("Deleted");
            }
            Err(refusal) => {
                document.open("Error").text("Key", &key);
                if let Some(id) = &id {
                    document.text("VersionId", id);
                }
                document.text("Code", refusal.code).text("Message", refusal.message).close("Error");
            }
        }
    }
    Ok(Answer::xml(document.end("DeleteResult")))
}

fn one(turn: &mut Turn<'_>, key: &str, id: Option<&str>) -> Result<Deleted, Refusal> {
    let Call { bucket, .. } = turn.call;
    turn.shelf()?;
    match id {
        Some(id) => {
            if turn.strikes(Fault::DeletedAndDenied).is_some() {
                turn.shelf()?.remove(key, id);
                return Err(Refusal::denied());
            }
            turn.permit_on("s3:DeleteObjectVersion", bucket, key, &Context::new())?;
            version(turn, key, id)
        }
        None => {
            turn.permit_on("s3:DeleteObject", bucket, key, &Context::new())?;
            only_if(turn, key)?;
            marker(turn, key)
        }
    }
}

/// `If-Match`: nothing is deleted, and no marker is laid, unless the newest version has that ETag.
fn only_if(turn: &mut Turn<'_>, key: &str) -> Result<(), Refusal> {
    let Some(tag) = turn.call.header("if-match") else { return Ok(()) };
    let newest = turn.shelf()?.current(key).filter(|version| !version.is_marker);
    match newest {
        None => Err(Refusal::no_such_key()),
        Some(version) if tag == "*" || tag.trim_matches('"') == version.etag => Ok(()),
        Some(_) => Err(Refusal::precondition()),
    }
}

fn version(turn: &mut Turn<'_>, key: &str, id: &str) -> Result<Deleted, Refusal> {
    let versions = turn.shelf()?.objects.get(key).into_iter().flatten();
    let found = versions.into_iter().find(|version| version.id == id).cloned();
    if let Some(found) = &found {
        retention::release(turn, key, found)?;
        turn.shelf()?.remove(key, id);
    }
    Ok(Deleted { version: Some(id.to_owned()), is_marker: found.is_some_and(|found| found.is_marker) })
}

/// Without versions the object goes; with them a marker hides it.
fn marker(turn: &mut Turn<'_>, key: &str) -> Result<Deleted, Refusal> {
    let (id, serial, now) = (turn.store.next_id(), turn.store.next_serial(), turn.now);
    let shelf = turn.shelf()?;
    if shelf.versioning == Versioning::Off {
        shelf.remove(key, "null");
        return Ok(Deleted::default());
    }
    let id = if shelf.versioning == Versioning::Enabled { id } else { "null".to_owned() };
    let marker = Version {
        id: id.clone(),
        serial,
        is_marker: true,
        modified: now,
        etag: String::new(),
        attributes: Attributes::default(),
        checksum: None,
        data: Segments::default(),
        thaw: None,
    };
    let versions = shelf.objects.entry(key.to_owned()).or_default();
    versions.retain(|version| version.id != "null" || id != "null");
    versions.push(marker);
    Ok(Deleted { version: Some(id), is_marker: true })
}
