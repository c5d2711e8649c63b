//! Multipart uploads: created, aborted, listed. Parts are in `parts`, the end in `complete`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::answer::Answer;
use crate::attributes::Attributes;
use crate::checksum::{Algorithm, Kind};
use crate::clock::iso;
use crate::list::Page;
use crate::parts::Part;
use crate::refusal::Refusal;
use crate::turn::Turn;
use crate::xml::Xml;

/// An upload that is not complete.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) key: String,
    pub(crate) initiated: DateTime<Utc>,
    /// Grows with every upload: ids have no order.
    pub(crate) serial: u64,
    pub(crate) attributes: Attributes,
    pub(crate) algorithm: Option<Algorithm>,
    pub(crate) kind: Option<Kind>,
    pub(crate) parts: BTreeMap<usize, Part>,
}

/// The upload that the call's id and key mean.
pub(crate) fn upload<'a>(turn: &'a mut Turn<'_>) -> Result<&'a mut Upload, Refusal> {
    let call = turn.call;
    let id = call.parameter("uploadId").unwrap_or_default();
    let upload = turn.shelf()?.uploads.get_mut(id).filter(|upload| upload.key == call.key);
    upload.ok_or_else(Refusal::no_such_upload)
}

pub(crate) fn create(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let call = turn.call;
    turn.shelf()?;
    let attributes = Attributes::read(turn)?;
    let (algorithm, kind) = checksum(turn)?;
    let (id, serial, initiated) = (turn.store.next_id(), turn.store.next_serial(), turn.now);
    let key = call.key.clone();
    let upload = Upload { key, initiated, serial, attributes, algorithm, kind, parts: BTreeMap::new() };
    turn.shelf()?.uploads.insert(id.clone(), upload);
    let mut document = Xml::new("InitiateMultipartUploadResult");
    document.text("Bucket", &call.bucket).text("Key", &call.key).text("UploadId", id);
    let answer = Answer::xml(document.end("InitiateMultipartUploadResult"));
    Ok(answer
        .with_some("x-amz-checksum-algorithm", algorithm.map(Algorithm::name))
        .with_some("x-amz-checksum-type", kind.map(Kind::name)))
}

fn checksum(turn: &Turn<'_>) -> Result<(Option<Algorithm>, Option<Kind>), Refusal> {
    let kind = match turn.call.header("x-amz-checksum-type") {
        None => None,
        Some("COMPOSITE") => Some(Kind::Composite),
        Some("FULL_OBJECT") => Some(Kind::FullObject),
        Some(_) => return Err(Refusal::invalid("Value for x-amz-checksum-type header is invalid.")),
    };
    let Some(name) = turn.call.header("x-amz-checksum-algorithm") else {
        return match kind {
            None => Ok((None, None)),
            Some(_) => {
                Err(Refusal::invalid("The x-amz-checksum-type header needs x-amz-checksum-algorithm."))
            }
        };
    };
    let text = "Checksum algorithm provided is unsupported. Please try again with any of the valid types";
    let algorithm = Algorithm::of_name(name).ok_or_else(|| Refusal::invalid(text))?;
    let kind = kind.or_else(|| algorithm.kinds().first().copied());
    if kind.is_some_and(|kind| !algorithm.kinds().contains(&kind)) {
        let kind = kind.map_or("", Kind::name);
        return Err(Refusal::invalid(format!(
            "The {kind} checksum type cannot be used with the {name} checksum algorithm."
        )));
    }
    Ok((Some(algorithm), kind))
}

pub(crate) fn abort(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    upload(turn)?;
    let id = turn.call.parameter("uploadId").unwrap_or_default();
    turn.shelf()?.uploads.remove(id);
    Ok(Answer::new(204))
}

pub(crate) fn list(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let page = Page::read(turn, "max-uploads")?;
    let call = turn.call;
    let key_marker = call.filled("key-marker").unwrap_or_default();
    let id_marker = call.filled("upload-id-marker").filter(|_| !key_marker.is_empty());
    let shelf = turn.shelf()?;
    let passed = id_marker.and_then(|id| shelf.uploads.get(id)).map(|upload| upload.serial);
    let mut all: Vec<_> = shelf.uploads.iter().collect();
    all.sort_by_key(|(_, upload)| (upload.key.as_str(), upload.serial));
    let rest = all.into_iter().filter(|(_, upload)| {
        upload.key.as_str() > key_marker
            || (upload.key == key_marker && passed.is_some_and(|passed| upload.serial > passed))
    });
    let cut = page.cut(rest.map(|(id, upload)| (upload.key.clone(), (id, upload))), key_marker);
    let mut document = Xml::new("ListMultipartUploadsResult");
    document.text("Bucket", &call.bucket).text("KeyMarker", page.shown(key_marker));
    document.text("UploadIdMarker", id_marker.unwrap_or_default());
    page.write_head(&mut document, "MaxUploads", cut.is_truncated);
    if cut.is_truncated {
        document.text("NextKeyMarker", page.shown(cut.last()));
        if let Some((_, (id, _))) = cut.entries.last() {
            document.text("NextUploadIdMarker", id);
        }
    }
    for (key, (id, upload)) in &cut.entries {
        document.open("Upload").text("Key", page.shown(key)).text("UploadId", id);
        document.text("StorageClass", &upload.attributes.class).text("Initiated", iso(upload.initiated));
        if let (Some(algorithm), Some(kind)) = (upload.algorithm, upload.kind) {
            document.text("ChecksumAlgorithm", algorithm.name()).text("ChecksumType", kind.name());
        }
        document.close("Upload");
    }
    page.write_groups(&mut document, &cut.groups);
    Ok(Answer::xml(document.end("ListMultipartUploadsResult")))
}
