//! The tally of a push file: how many frames and bytes went by, in which order, and the chain over them that the seal names.
//!
//! The chain is what lets both sides go on after a cut: its value after any frame is 32 bytes, and all that follows can be
//! computed from it alone, without the frames before.

use crate::cursor::{Cursor, Malformed, malformed};
use crate::frame::Frame;
use crate::push::{FrameKind, Order, Seal, VERSION, head_of};
use crate::version::Version;

/// Length of an encoded [`Mark`].
pub const MARK_BYTES: usize = 49;

/// A place in a push file after a whole frame: enough to go on from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Frames before this place.
    pub frames: u64,
    /// Bytes before this place, magic and version included.
    pub bytes: u64,
    /// The chain over them.
    pub chain: [u8; 32],
    /// Which frames may follow.
    pub order: Order,
}

impl Mark {
    /// Appends the [`MARK_BYTES`] of a client's journal.
    pub fn encode(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.frames.to_le_bytes());
        to.extend_from_slice(&self.bytes.to_le_bytes());
        to.extend_from_slice(&self.chain);
        to.push(match self.order {
            Order::Start => 0,
            Order::Contents => 1,
            Order::Entries => 2,
            Order::Sealed => 3,
        });
    }

    /// Reads them.
    pub fn decode(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            frames: from.u64("mark")?,
            bytes: from.u64("mark")?,
            chain: from.array("mark")?,
            order: match from.u8("mark")? {
                0 => Order::Start,
                1 => Order::Contents,
                2 => Order::Entries,
                3 => Order::Sealed,
                _ => return malformed("mark"),
            },
        })
    }
}

/// Counts and chains the frames of a push file as they pass, and keeps their order: what the seal is made from and checked
/// against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    mark: Mark,
}

impl Tally {
    /// A file of the version that is written, which has its magic and version, and no frame yet.
    pub fn begin() -> Self {
        Self::of_version(VERSION)
    }

    /// As [`Tally::begin`], for a file of another version.
    pub fn of_version(version: Version) -> Self {
        let head = head_of(version);
        let chain = *blake3::hash(&head).as_bytes();
        Self { mark: Mark { frames: 0, bytes: head.len() as u64, chain, order: Order::Start } }
    }

    /// On from a place noted earlier.
    pub fn resume(mark: Mark) -> Self {
        Self { mark }
    }

    /// Takes one frame; for a seal, call [`Tally::check`] first. After an error nothing has changed.
    pub fn take(&mut self, frame: &Frame<'_>) -> Result<FrameKind, Malformed> {
        let Some(kind) = FrameKind::from_code(frame.kind) else { return malformed("kind of frame") };
        self.mark.order = self.mark.order.after(kind)?;
        self.mark.chain = link(&self.mark.chain, frame.raw);
        self.mark.frames += 1;
        self.mark.bytes += frame.raw.len() as u64;
        Ok(kind)
    }

    /// Whole frames so far.
    pub fn frames(&self) -> u64 {
        self.mark.frames
    }

    /// Bytes so far, magic and version included.
    pub fn bytes(&self) -> u64 {
        self.mark.bytes
    }

    /// Where in the order of frames the file is.
    pub fn order(&self) -> Order {
        self.mark.order
    }

    /// The chain over all bytes so far: the seal's hash, if the seal comes next.
    pub fn hash(&self) -> [u8; 32] {
        self.mark.chain
    }

    /// This place, for going on from it later.
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// Fails if the seal's count or hash is not that of the frames so far.
    pub fn check(&self, seal: &Seal) -> Result<(), Malformed> {
        if seal.frames != self.mark.frames {
            return malformed("seal: number of frames");
        }
        if seal.hash != self.mark.chain { malformed("seal: hash of frames") } else { Ok(()) }
    }
}

/// BLAKE3(chain before, BLAKE3(frame)): the frame is hashed in one piece, which is what BLAKE3 is fast at.
fn link(chain: &[u8; 32], raw: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(chain);
    hasher.update(blake3::hash(raw).as_bytes());
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame;

    fn file() -> Vec<Vec<u8>> {
        let frame = |kind: FrameKind, payload: &[u8]| {
            let mut to = Vec::new();
            frame::encode(kind.code(), payload, &mut to).unwrap();
            to
        };
        vec![
            frame(FrameKind::Header, b"who"),
            frame(FrameKind::Contents, b"one"),
            frame(FrameKind::Resume, b""),
            frame(FrameKind::Entries, b"two"),
        ]
    }

    fn tallied(from: Tally, frames: &[Vec<u8>]) -> Tally {
        frames.iter().fold(from, |mut tally, raw| {
            tally.take(&frame::decode(raw).unwrap().unwrap()).unwrap();
            tally
        })
    }

    #[test]
    fn going_on_from_any_frame_ends_in_the_same_tally() {
        let frames = file();
        let whole = tallied(Tally::begin(), &frames);
        for cut in 0..=frames.len() {
            let mut journal = Vec::new();
            tallied(Tally::begin(), &frames[..cut]).mark().encode(&mut journal);
            assert_eq!(journal.len(), MARK_BYTES);
            let mark = Mark::decode(&mut Cursor::new(&journal)).unwrap();
            assert_eq!(tallied(Tally::resume(mark), &frames[cut..]), whole, "cut after {cut}");
        }
    }

    #[test]
    fn another_order_number_or_cut_of_the_same_bytes_is_another_chain() {
        let frames = file();
        let hash = tallied(Tally::begin(), &frames).hash();
        assert_ne!(tallied(Tally::begin(), &frames[..3]).hash(), hash);
        assert_ne!(tallied(Tally::of_version(Version { major: 1, minor: 1 }), &frames).hash(), hash);
        let mut doubled = frames.clone();
        doubled.insert(1, frames[1].clone());
        assert_ne!(tallied(Tally::begin(), &doubled).hash(), hash);
    }

    #[test]
    fn a_frame_out_of_order_changes_nothing() {
        let mut tally = tallied(Tally::begin(), &file());
        let before = tally.clone();
        let contents = file()[1].clone();
        assert!(tally.take(&frame::decode(&contents).unwrap().unwrap()).is_err());
        assert_eq!(tally, before);
    }
}
