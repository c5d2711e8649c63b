//! CompleteMultipartUpload: the list of parts is held against what is there, and becomes a version.

use crate::answer::Answer;
use crate::checksum::{self, Algorithm, Checksum, Kind};
use crate::multipart::{self, Upload};
use crate::object::{self, New, Origin};
use crate::refusal::Refusal;
use crate::request::Call;
use crate::segments::Segments;
use crate::turn::Turn;
use crate::xml::{self, Xml};

/// Smallest part but for the last: 5 MiB.
const PART_BYTES_MIN: u64 = 5 << 20;

/// A part as the client lists it.
struct Listed {
    number: usize,
    etag: String,
    checksum: Option<(Algorithm, String)>,
}

pub(crate) fn complete(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let call = turn.call;
    multipart::upload(turn)?;
    let listed = xml::read(&turn.body.data.to_vec(), listed)?;
    let upload = multipart::upload(turn)?;
    let (data, whole) = join(upload, &listed)?;
    announced(call, upload, whole.as_ref(), data.length())?;
    let (attributes, modified) = (upload.attributes.clone(), upload.initiated);
    object::none_match(turn)?;
    let etag = Some(format!("{:032x}-{}", turn.store.next_serial(), listed.len()));
    let new = New { origin: Origin::Multipart, attributes, data, checksum: whole, etag, modified };
    let version = object::add(turn, new)?;
    turn.shelf()?.uploads.remove(call.parameter("uploadId").unwrap_or_default());
    let mut document = Xml::new("CompleteMultipartUploadResult");
    document.text("Location", &call.path).text("Bucket", &call.bucket).text("Key", &call.key);
    document.text("ETag", format!("\"{}\"", version.etag));
    if let Some(checksum) = &version.checksum {
        document.text(&format!("Checksum{}", checksum.algorithm.name()), &checksum.value);
        document.text("ChecksumType", checksum.kind.name());
    }
    let answer = Answer::xml(document.end("CompleteMultipartUploadResult"));
    Ok(answer.with_some("x-amz-version-id", (version.id != "null").then_some(version.id)))
}

fn listed(root: roxmltree::Node<'_, '_>) -> Result<Vec<Listed>, Refusal> {
    let part = |node| {
        let number = xml::child(node, "PartNumber").and_then(|number| number.parse().ok());
        let etag = xml::child(node, "ETag").map(|etag| etag.trim_matches('"').to_owned());
        let sum = |algorithm: Algorithm| {
            Some((algorithm, xml::child(node, &format!("Checksum{}", algorithm.name()))?))
        };
        Ok(Listed {
            number: number.ok_or_else(Refusal::malformed_xml)?,
            etag: etag.ok_or_else(Refusal::malformed_xml)?,
            checksum: Algorithm::ALL.into_iter().find_map(sum),
        })
    };
    let parts = xml::children(root, "Part").map(part).collect::<Result<Vec<_>, Refusal>>()?;
    if parts.is_empty() {
        return Err(Refusal::malformed_xml());
    }
    if !parts.is_sorted_by(|left: &Listed, right| left.number < right.number) {
        let text = "The list of parts was not in ascending order. Parts must be ordered by part number.";
        return Err(Refusal::new(400, "InvalidPartOrder", text));
    }
    Ok(parts)
}

/// The bytes and the checksum of the whole.
fn join(upload: &Upload, listed: &[Listed]) -> Result<(Segments, Option<Checksum>), Refusal> {
    let invalid = || {
        let text = "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified \
                    entity tag may not match the part's entity tag.";
        Refusal::new(400, "InvalidPart", text)
    };
    let mut data = Segments::default();
    let mut sums = Vec::new();
    for (place, wanted) in listed.iter().enumerate() {
        let part =
            upload.parts.get(&wanted.number).filter(|part| part.etag == wanted.etag).ok_or_else(invalid)?;
        if part.data.length() < PART_BYTES_MIN && place + 1 < listed.len() {
            let text = "Your proposed upload is smaller than the minimum allowed size";
            return Err(Refusal::new(400, "EntityTooSmall", text));
        }
        match (&wanted.checksum, upload.algorithm) {
            (Some((algorithm, value)), Some(own))
                if *algorithm == own && part.checksum.as_ref() == Some(value) => {}
            (Some(_), _) => return Err(invalid()),
            (None, Some(own)) if upload.kind == Some(Kind::Composite) => {
                let name = own.name().to_ascii_lowercase();
                return Err(Refusal::invalid(format!(
                    "The upload was created using a {name} checksum. The complete request must include the checksum for each part. \
                     It was missing for part {} in the request.",
                    wanted.number
                )));
            }
            (None, _) => {}
        }
        sums.extend(part.checksum.clone().map(|value| (value, part.data.length())));
        data.append(&part.data);
    }
    let whole = upload
        .algorithm
        .zip(upload.kind)
        .and_then(|(algorithm, kind)| checksum::whole(algorithm, kind, &sums));
    Ok((data, whole))
}

/// What the headers say about the object must be true.
fn announced(call: &Call, upload: &Upload, whole: Option<&Checksum>, length: u64) -> Result<(), Refusal> {
    if let Some(size) = call.header("x-amz-mp-object-size")
        && size.parse() != Ok(length)
    {
        let text =
            format!("The provided 'x-amz-mp-object-size' header does not match what was computed: {length}");
        return Err(Refusal::invalid(text));
    }
    if let Some(kind) = call.header("x-amz-checksum-type")
        && upload.kind.map(Kind::name) != Some(kind)
    {
        return Err(Refusal::invalid("The upload was created with another checksum type."));
    }
    for (name, value) in call.headers_from("x-amz-checksum-") {
        let Some(algorithm) = Algorithm::of_header(name) else { continue };
        if upload.algorithm != Some(algorithm) {
            return Err(Refusal::invalid("The upload was created with another checksum algorithm."));
        }
        if whole.map(|whole| whole.value.as_str()) != Some(value) {
            let text =
                format!("The {} you specified did not match the calculated checksum.", algorithm.name());
            return Err(Refusal::new(400, "BadDigest", text));
        }
    }
    Ok(())
}
