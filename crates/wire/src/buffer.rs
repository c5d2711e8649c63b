//! A window on a stream of frames: fixed in size, filled at its end, emptied at its front.

use formats::cursor::Malformed;
use formats::frame::{self, Frame};

/// Bytes that have come and are not used up yet.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// Room for `capacity` bytes, taken at once and never more. It must hold the largest frame that may come.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { bytes: vec![0; capacity], start: 0, end: 0 }
    }

    /// Where the next bytes go. What is left of a frame moves to the front first, if there is little room behind it.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        let behind = self.bytes.len() - self.end;
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        } else if self.start > 0 && behind < self.bytes.len() / 4 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// That many bytes of [`Buffer::space`] were filled.
    pub(crate) fn filled(&mut self, count: usize) {
        self.end = self.end.saturating_add(count).min(self.bytes.len());
    }

    /// Copies what fits and tells how much that was.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> usize {
        let space = self.space();
        let count = space.len().min(bytes.len());
        if let (Some(to), Some(from)) = (space.get_mut(..count), bytes.get(..count)) {
            to.copy_from_slice(from);
        }
        self.filled(count);
        count
    }

    /// What is there and not used up, from `skip` bytes on.
    pub(crate) fn rest(&self, skip: usize) -> &[u8] {
        self.bytes.get(self.start..self.end).and_then(|rest| rest.get(skip..)).unwrap_or_default()
    }

    /// The frame that starts `skip` bytes on, if it is all there.
    pub(crate) fn frame(&self, skip: usize) -> Result<Option<Frame<'_>>, Malformed> {
        frame::decode(self.rest(skip))
    }

    /// The first `count` bytes are used up. The returned slice is still theirs.
    pub(crate) fn take(&mut self, count: usize) -> &[u8] {
        let from = self.start;
        self.start = self.start.saturating_add(count).min(self.end);
        self.bytes.get(from..self.start).unwrap_or_default()
    }
}
