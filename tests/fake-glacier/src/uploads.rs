//! Archives in parts.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::json;

use crate::answer::{Answer, Refusal};
use crate::archives::{description, iso};
use crate::route::Turn;
use crate::store::{Archive, Upload};
use crate::tree::{self, hex};

const MIB: u64 = 1 << 20;
const PART_BYTES_MAX: u64 = 4 << 30;
const PARTS_MAX: u64 = 10_000;

fn no_upload() -> Refusal {
    Refusal::missing("The upload ID was")
}

pub(crate) fn begin(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let description = description(turn)?;
    let part_bytes = turn.call.header("x-amz-part-size").and_then(|text| text.parse::<u64>().ok());
    let fits = |bytes: &u64| {
        bytes.is_multiple_of(MIB) && (bytes / MIB).is_power_of_two() && *bytes <= PART_BYTES_MAX
    };
    let part_bytes = part_bytes.filter(fits).ok_or_else(|| Refusal::invalid("Invalid part size"))?;
    let (id, created) = (turn.store.next_id("upload"), turn.now);
    let upload = Upload { description, part_bytes, created, parts: BTreeMap::new() };
    turn.shelf()?.uploads.insert(id.clone(), upload);
    Ok(Answer::new(201).with("x-amz-multipart-upload-id", id))
}

pub(crate) fn part(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let range = turn.call.header("content-range").and_then(|text| text.strip_prefix("bytes "));
    let range = range.and_then(|text| text.strip_suffix("/*")?.split_once('-'));
    let range = range.and_then(|(from, to)| Some((from.parse::<u64>().ok()?, to.parse::<u64>().ok()?)));
    let (from, to) = range.ok_or_else(|| Refusal::invalid("Invalid Content-Range"))?;
    let data = turn.call.body.clone();
    let tree = tree::of(&data);
    if turn.call.header("x-amz-sha256-tree-hash") != Some(&hex(&tree)) {
        return Err(Refusal::invalid("Checksum mismatch of a part"));
    }
    let id = turn.id.clone();
    let upload = turn.shelf()?.uploads.get_mut(&id).ok_or_else(no_upload)?;
    let length = data.len() as u64;
    if length == 0 || to.checked_sub(from) != Some(length - 1) || length > upload.part_bytes {
        return Err(Refusal::invalid("Content-Range: invalid part length"));
    }
    if !from.is_multiple_of(upload.part_bytes) || from / upload.part_bytes >= PARTS_MAX {
        return Err(Refusal::invalid("Content-Range: a part begins at a multiple of the part size"));
    }
    upload.parts.insert(from, (data, tree));
    Ok(Answer::new(204).with("x-amz-sha256-tree-hash", hex(&tree)))
}

pub(crate) fn complete(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let id = turn.id.clone();
    let (size, told) = (turn.call.header("x-amz-archive-size"), turn.call.header("x-amz-sha256-tree-hash"));
    let (size, told) = (size.and_then(|text| text.parse::<u64>().ok()), told.map(str::to_owned));
    let now = turn.now;
    let shelf = turn.shelf()?;
    let upload = shelf.uploads.get(&id).ok_or_else(no_upload)?;
    let mut next = 0;
    let mut whole = Vec::new();
    for (from, (data, _)) in &upload.parts {
        let is_last = upload.parts.keys().next_back() == Some(from);
        if *from != next || (!is_last && data.len() as u64 != upload.part_bytes) {
            return Err(Refusal::invalid("The total size of the parts does not match the archive size"));
        }
        next += data.len() as u64;
        whole.extend_from_slice(data);
    }
    if size != Some(next) || next == 0 {
        return Err(Refusal::invalid("The total size of the parts does not match the archive size"));
    }
    let tree = tree::of(&whole);
    // The tree of the parts' trees is the tree of the whole.
    debug_assert_eq!(tree::root(upload.parts.values().map(|(_, tree)| *tree).collect()), Some(tree));
    if told != Some(hex(&tree)) {
        return Err(Refusal::invalid("Checksum mismatch of the archive"));
    }
    let description = upload.description.clone();
    shelf.uploads.remove(&id);
    turn.keep(Archive { description, data: Bytes::from(whole), tree, created: now })
}

pub(crate) fn abort(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let id = turn.id.clone();
    turn.shelf()?.uploads.remove(&id).ok_or_else(no_upload)?;
    Ok(Answer::new(204))
}

pub(crate) fn list(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let marker = turn.call.parameter("marker").unwrap_or_default().to_owned();
    let uploads = &turn.shelf()?.uploads;
    let mut after: Vec<_> = uploads.iter().filter(|(id, _)| **id > marker).collect();
    let more = after.len() > 50;
    after.truncate(50);
    let next = after.last().filter(|_| more).map(|(id, _)| (*id).clone());
    let list: Vec<_> = after
        .into_iter()
        .map(|(id, upload)| {
            json!({"ArchiveDescription": upload.description, "CreationDate": iso(upload.created),
                "MultipartUploadId": id, "PartSizeInBytes": upload.part_bytes})
        })
        .collect();
    Ok(Answer::json(&json!({"Marker": next, "UploadsList": list})))
}
