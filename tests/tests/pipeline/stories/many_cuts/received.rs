//! All that a receiver ever got of one push, over all its sessions: each whole frame, and each content that ended in one.

use std::collections::HashMap;

use pipeline_tests::rawpush::draft::check;

const HEAD_BYTES: usize = 12;
const FRAME_HEAD_BYTES: usize = 9;
const CONTENTS: u8 = 2;
const BLOCK_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Received {
    /// The whole frames that lay in the spool when it was last looked at.
    whole: Vec<u8>,
    /// How often each content ended.
    contents: HashMap<[u8; 32], u64>,
    /// How often each contents frame came.
    frames: HashMap<blake3::Hash, u64>,
    /// Whole frames that were no longer there at a later look.
    pub(super) lost: u64,
}

impl Received {
    /// Looks at what lies in the spool now. Each frame that was not there the last time was sent since.
    pub(super) fn look(&mut self, file: &[u8]) {
        let frames = whole_frames(file);
        let length = frames.last().map_or(0, |(_, end)| *end);
        let is_same_push = !self.whole.is_empty() && file.starts_with(&self.whole);
        let known = if is_same_push { self.whole.len() } else { 0 };
        self.lost += u64::from(!is_same_push && !self.whole.is_empty());
        for (start, end) in frames.into_iter().filter(|(start, _)| *start >= known) {
            if file[start] == CONTENTS {
                let payload = &file[start + FRAME_HEAD_BYTES..end];
                *self.frames.entry(blake3::hash(payload)).or_default() += 1;
                ended(payload).into_iter().for_each(|hash| *self.contents.entry(hash).or_default() += 1);
            }
        }
        self.whole = file[..length].to_vec();
    }

    /// Contents frames, and contents, that came more than once.
    pub(super) fn twice(&self) -> (usize, usize) {
        let more = |count: &&u64| **count > 1;
        (self.frames.values().filter(more).count(), self.contents.values().filter(more).count())
    }

    /// Contents that ended.
    pub(super) fn contents(&self) -> usize {
        self.contents.len()
    }
}

/// Where each whole frame begins and ends.
fn whole_frames(file: &[u8]) -> Vec<(usize, usize)> {
    let (mut at, mut frames) = (HEAD_BYTES, Vec::new());
    while let Some(head) = file.get(at..at + FRAME_HEAD_BYTES) {
        let length = u32::from_le_bytes(head[1..5].try_into().unwrap());
        let end = at + FRAME_HEAD_BYTES + length as usize;
        let Some(payload) = file.get(at + FRAME_HEAD_BYTES..end) else { break };
        if check(head[0], length, payload).to_le_bytes() != head[5..] {
            break;
        }
        frames.push((at, end));
        at = end;
    }
    frames
}

/// The hashes of the contents that end in a block.
fn ended(payload: &[u8]) -> Vec<[u8; 32]> {
    let block = match payload[0] {
        0 => payload[5..].to_vec(),
        _ => zstd::bulk::decompress(&payload[5..], BLOCK_BYTES_MAX).unwrap(),
    };
    let (mut at, mut hashes) = (0, Vec::new());
    while at < block.len() {
        at += match block[at] {
            1 => 5 + u32::from_le_bytes(block[at + 1..at + 5].try_into().unwrap()) as usize,
            2 => {
                hashes.push(block[at + 9..at + 41].try_into().unwrap());
                41
            }
            3 => 1,
            4 => 3 + usize::from(u16::from_le_bytes(block[at + 1..at + 3].try_into().unwrap())),
            5 => 17,
            other => panic!("a record of kind {other}"),
        };
    }
    hashes
}
