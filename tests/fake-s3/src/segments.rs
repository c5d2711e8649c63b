//! The bytes of an object: a list of pieces that parts, versions and copies share.

use std::ops::Range;

use bytes::Bytes;

/// Size of a piece that is filled from the network.
const PIECE_BYTES: usize = 1 << 20;

/// Bytes in pieces. A clone costs no copy.
#[derive(Debug, Clone, Default)]
pub(crate) struct Segments {
    pieces: Vec<Bytes>,
    length: u64,
}

impl Segments {
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.length += piece.len() as u64;
            self.pieces.push(piece);
        }
    }

    pub(crate) fn append(&mut self, other: &Self) {
        self.pieces.extend(other.pieces.iter().cloned());
        self.length += other.length;
    }

    /// The pieces of a range; what lies beyond the end is not there.
    pub(crate) fn range(&self, range: Range<u64>) -> Self {
        let mut result = Self::default();
        let mut start = 0;
        for piece in &self.pieces {
            let end = start + piece.len() as u64;
            let (from, to) = (range.start.max(start), range.end.min(end));
            if from < to {
                result.push(piece.slice((from - start) as usize..(to - start) as usize));
            }
            start = end;
        }
        result
    }

    /// Turns one bit of one byte over, in this copy only. False if there is no such byte.
    pub(crate) fn flip(&mut self, offset: u64, bit: u8) -> bool {
        let mut start = 0;
        for piece in &mut self.pieces {
            let end = start + piece.len() as u64;
            if offset < end {
                let mut changed = piece.to_vec();
                if let Some(byte) = changed.get_mut((offset - start) as usize) {
                    *byte ^= 1 << (bit & 7);
                }
                *piece = changed.into();
                return true;
            }
            start = end;
        }
        false
    }

    pub(crate) fn to_vec(&self) -> Vec<u8> {
        self.pieces.concat()
    }

    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter().map(|piece| piece.as_ref())
    }

    pub(crate) fn into_pieces(self) -> Vec<Bytes> {
        self.pieces
    }
}

/// Collects bytes into pieces of its own. The one copy a body gets: what hyper hands out are small slices of large buffers, and keeping
/// them would keep the buffers.
#[derive(Debug)]
pub(crate) struct Collector {
    done: Segments,
    open: Vec<u8>,
    expected: u64,
}

impl Collector {
    /// `expected` is a hint about the whole length.
    pub(crate) fn new(expected: u64) -> Self {
        Self { done: Segments::default(), open: Vec::new(), expected }
    }

    pub(crate) fn length(&self) -> u64 {
        self.done.length + self.open.len() as u64
    }

    pub(crate) fn write(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            if self.open.capacity() == 0 {
                let left = self.expected.saturating_sub(self.done.length);
                let room = usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
                self.open = Vec::with_capacity(room.max(data.len().min(PIECE_BYTES)));
            }
            let room = self.open.capacity() - self.open.len();
            let (now, later) = data.split_at(room.min(data.len()));
            self.open.extend_from_slice(now);
            data = later;
            if self.open.len() == self.open.capacity() {
                self.done.push(std::mem::take(&mut self.open).into());
            }
        }
    }

    pub(crate) fn finish(mut self) -> Segments {
        self.done.push(self.open.into());
        self.done
    }
}
