//! UploadPart, and the parts of an upload as a list.

use chrono::{DateTime, Utc};

use crate::answer::Answer;
use crate::checksum::{Algorithm, Checksum, Kind, Running, base64};
use crate::clock::iso;
use crate::multipart::{self, Upload};
use crate::object;
use crate::refusal::Refusal;
use crate::segments::Segments;
use crate::turn::Turn;
use crate::xml::Xml;

const NUMBER_MAX: usize = 10_000;

/// A part as it is held.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) etag: String,
    pub(crate) data: Segments,
    /// Base64, of the upload's algorithm.
    pub(crate) checksum: Option<String>,
    pub(crate) modified: DateTime<Utc>,
}

pub(crate) fn put(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    if turn.call.headers.contains_key("x-amz-copy-source") {
        return Err(Refusal::not_built("UploadPartCopy"));
    }
    let number = turn.call.number("partNumber")?.filter(|number| (1..=NUMBER_MAX).contains(number));
    let text = "Part number must be an integer between 1 and 10000, inclusive";
    let number = number.ok_or_else(|| Refusal::argument(text))?;
    let attributes = multipart::upload(turn)?.attributes.clone();
    object::locks_need_checksums(turn, &attributes, "Put Part")?;
    let checksum = checksum(turn)?;
    let serial = turn.store.next_serial();
    let etag = turn.body.md5.clone().unwrap_or_else(|| format!("{serial:032x}"));
    let data = std::mem::take(&mut turn.body.data);
    let part = Part {
        etag: etag.clone(),
        data,
        checksum: checksum.as_ref().map(|checksum| checksum.value.clone()),
        modified: turn.now,
    };
    multipart::upload(turn)?.parts.insert(number, part);
    let answer = Answer::new(200).with("etag", format!("\"{etag}\""));
    Ok(match checksum {
        Some(checksum) => answer.with(&checksum.algorithm.header(), checksum.value),
        None => answer,
    })
}

/// The part's checksum: of the upload's algorithm, announced, or computed here where the whole will have one of its own.
fn checksum(turn: &mut Turn<'_>) -> Result<Option<Checksum>, Refusal> {
    let announced = turn.body.checksum.clone();
    let upload = multipart::upload(turn)?;
    let (algorithm, kind) = (upload.algorithm, upload.kind);
    match (algorithm, announced) {
        (None, None) => Ok(None),
        (Some(wanted), Some(announced)) if announced.algorithm == wanted => Ok(Some(announced)),
        (Some(algorithm), None) if kind == Some(Kind::FullObject) => {
            let mut running = Running::new(algorithm);
            turn.body.data.pieces().for_each(|piece| running.update(piece));
            Ok(Some(Checksum { algorithm, kind: Kind::FullObject, value: base64(&running.finish()) }))
        }
        (wanted, announced) => {
            let name =
                |algorithm: Option<Algorithm>| algorithm.map_or("null", Algorithm::name).to_ascii_lowercase();
            let (wanted, actual) = (name(wanted), name(announced.map(|announced| announced.algorithm)));
            let text = "Checksum Type mismatch occurred, expected checksum Type";
            Err(Refusal::invalid(format!("{text}: {wanted}, actual checksum Type: {actual}")))
        }
    }
}

pub(crate) fn list(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let after = turn.call.number("part-number-marker")?.unwrap_or(0);
    let most = turn.call.number("max-parts")?.unwrap_or(1000).min(1000);
    let call = turn.call;
    let upload: &Upload = multipart::upload(turn)?;
    let mut left = upload.parts.range(after.saturating_add(1)..);
    let shown: Vec<_> = left.by_ref().take(most).collect();
    let mut document = Xml::new("ListPartsResult");
    document.text("Bucket", &call.bucket).text("Key", &call.key);
    document.text("UploadId", call.parameter("uploadId").unwrap_or_default());
    document.text("PartNumberMarker", after).text("MaxParts", most);
    document.text("IsTruncated", left.next().is_some());
    document.text("NextPartNumberMarker", shown.last().map_or(after, |(number, _)| **number));
    document.text("StorageClass", &upload.attributes.class);
    if let (Some(algorithm), Some(kind)) = (upload.algorithm, upload.kind) {
        document.text("ChecksumAlgorithm", algorithm.name()).text("ChecksumType", kind.name());
    }
    for (number, part) in shown {
        document.open("Part").text("PartNumber", number).text("LastModified", iso(part.modified));
        document.text("ETag", format!("\"{}\"", part.etag)).text("Size", part.data.length());
        if let (Some(algorithm), Some(value)) = (upload.algorithm, &part.checksum) {
            document.text(&format!("Checksum{}", algorithm.name()), value);
        }
        document.close("Part");
    }
    Ok(Answer::xml(document.end("ListPartsResult")))
}
