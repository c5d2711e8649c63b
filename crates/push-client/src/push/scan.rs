//! Reading a long file once, front to back: what of it the base has is named, the rest is sent, and its own lists of pieces are made.

use std::ops::Range;

use fastcdc::v2020::FastCDC;
use formats::{ContentHash, RelPath};

use super::packer::{Packer, SenderGone};
use super::subtrees::Subtrees;
use crate::state::{BLOCK_BYTES_MAX, Pieces, Short, short_of};

/// What is read at a time: a whole number of blocks of every length.
pub(super) const READ_BYTES: usize = BLOCK_BYTES_MAX as usize;
const CHUNK_BYTES_MIN: u32 = 32 * 1024;
const CHUNK_BYTES_MEAN: u32 = 64 * 1024;
const CHUNK_BYTES_MAX: u32 = 256 * 1024;
/// What the buffer must hold: a reading, and a chunk whose end was not found before.
pub(super) const BUFFER_BYTES: usize = READ_BYTES + CHUNK_BYTES_MAX as usize;
/// Copies cost next to nothing to send: after so many bytes something is sent all the same, as a sign of life.
const SIGN_EVERY_BYTES: u64 = 64 << 20;

/// Where the parts of a file go.
pub(super) trait Parts {
    /// What follows has copies of this file of the base.
    fn from(&mut self, path: RelPath) -> Result<(), SenderGone>;
    /// More of the content.
    fn data(&mut self, bytes: &[u8]) -> Result<(), SenderGone>;
    /// More of it, which the base has.
    fn copy(&mut self, offset: u64, length: u64) -> Result<(), SenderGone>;
    /// All so far is to be on its way.
    fn flush(&mut self) -> Result<(), SenderGone>;
}

impl Parts for Packer {
    fn from(&mut self, path: RelPath) -> Result<(), SenderGone> {
        Packer::from(self, path)
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), SenderGone> {
        Packer::data(self, bytes)
    }

    fn copy(&mut self, offset: u64, length: u64) -> Result<(), SenderGone> {
        Packer::copy(self, offset, length)
    }

    fn flush(&mut self) -> Result<(), SenderGone> {
        Packer::flush(self)
    }
}

/// For a file that is only looked at.
#[derive(Debug)]
pub(super) struct Nowhere;

impl Parts for Nowhere {
    fn from(&mut self, _: RelPath) -> Result<(), SenderGone> {
        Ok(())
    }

    fn data(&mut self, _: &[u8]) -> Result<(), SenderGone> {
        Ok(())
    }

    fn copy(&mut self, _: u64, _: u64) -> Result<(), SenderGone> {
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SenderGone> {
        Ok(())
    }
}

/// A file of the base, and what it is made of.
#[derive(Debug)]
pub(super) struct Old {
    pub(super) path: RelPath,
    pub(super) pieces: Pieces,
}

/// An old file, as it is looked up.
#[derive(Debug)]
struct Known {
    pieces: Pieces,
    /// Offsets of chunks in the old file, by their hash; sorted.
    moved: Vec<(Short, u64, u32)>,
    /// The chunk of the old file that begins at `at` or after it.
    next: usize,
    at: u64,
}

/// One file on its way through.
#[derive(Debug)]
pub(super) struct Scan {
    known: Option<Known>,
    new: Pieces,
    subtrees: Subtrees,
    /// For each block so far: the old file has the same one at the same place.
    same: Vec<bool>,
    /// Bytes that are cut into chunks.
    done: u64,
    /// A copy that may still get longer.
    copy: Option<Range<u64>>,
    copied_since_sign: u64,
}

impl Scan {
    /// Of a new file. With an old one, its content is opened as one that has copies.
    pub(super) fn begin(new: Pieces, old: Option<Old>, to: &mut impl Parts) -> Result<Self, SenderGone> {
        let known = match old {
            Some(Old { path, pieces }) => {
                to.from(path)?;
                Some(Known::of(pieces))
            }
            None => None,
        };
        let subtrees = Subtrees::new(new.block_bytes);
        Ok(Self { known, new, subtrees, same: Vec::new(), done: 0, copy: None, copied_since_sign: 0 })
    }

    /// Bytes of the file that were taken.
    pub(super) fn bytes(&self) -> u64 {
        self.subtrees.bytes()
    }

    /// Takes what was just read; `buffer` begins with what was left the last time, and `from` is where the new bytes begin. Tells how many bytes at
    /// its start are done with. The file ends here if `last`.
    pub(super) fn take(
        &mut self,
        buffer: &[u8],
        from: usize,
        last: Last,
        to: &mut impl Parts,
    ) -> Result<usize, SenderGone> {
        self.note_blocks(buffer.get(from..).unwrap_or_default(), last);
        let cutter = FastCDC::new(buffer, CHUNK_BYTES_MIN, CHUNK_BYTES_MEAN, CHUNK_BYTES_MAX);
        let mut start = 0;
        while start < buffer.len() {
            let (_, end) = cutter.cut(start, buffer.len() - start);
            // Where the buffer ends, the chunk may not.
            let is_whole = end < buffer.len() || last == Last::Yes || end - start == CHUNK_BYTES_MAX as usize;
            if !is_whole {
                break;
            }
            self.chunk(buffer.get(start..end).unwrap_or_default(), to)?;
            start = end;
        }
        Ok(start)
    }

    /// What the new file is, once all is taken.
    pub(super) fn finish(mut self, to: &mut impl Parts) -> Result<Scanned, SenderGone> {
        self.flush_copy(to)?;
        let (bytes, hash) = self.subtrees.finish();
        Ok(Scanned { bytes, hash, pieces: self.new })
    }

    fn note_blocks(&mut self, bytes: &[u8], last: Last) {
        let Self { known, new, same, subtrees, .. } = self;
        let old = known.as_ref().map(|known| &known.pieces);
        let mut note = |block: Short| {
            if let Some(old) = old {
                let alike = old.block_bytes == new.block_bytes;
                same.push(alike && old.blocks.get(same.len()) == Some(&block));
            }
            new.note_block(block);
        };
        subtrees.take(bytes, &mut note);
        if last == Last::Yes {
            subtrees.end().into_iter().for_each(note);
        }
    }

    fn chunk(&mut self, chunk: &[u8], to: &mut impl Parts) -> Result<(), SenderGone> {
        let here = self.done..self.done + chunk.len() as u64;
        self.done = here.end;
        let length = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
        let blocks = self.blocks_of(&here);
        let all_same =
            self.known.is_some() && self.same.get(blocks).is_some_and(|same| same.iter().all(|s| *s));
        let Some(known) = &mut self.known else {
            self.new.note_chunk(length, short_of(chunk));
            return to.data(chunk);
        };
        let hash = match known.hash_at(here.start, length).filter(|_| all_same) {
            Some(hash) => hash,
            None => short_of(chunk),
        };
        self.new.note_chunk(length, hash);
        if all_same {
            return self.copy(here, to);
        }
        match known.find(&hash, length) {
            Some(offset) => self.copy(offset..offset + u64::from(length), to),
            None => self.by_blocks(chunk, here, to),
        }
    }

    /// Of a chunk that is new as a whole, some blocks may still be where they were.
    fn by_blocks(&mut self, chunk: &[u8], here: Range<u64>, to: &mut impl Parts) -> Result<(), SenderGone> {
        let block_bytes = self.new.block_bytes as u64;
        let mut at = here.start;
        while at < here.end {
            let block = at / block_bytes;
            let end = ((block + 1) * block_bytes).min(here.end);
            let same = usize::try_from(block).ok().and_then(|block| self.same.get(block)) == Some(&true);
            if same {
                self.copy(at..end, to)?;
            } else {
                self.flush_copy(to)?;
                let within = |place: u64| usize::try_from(place - here.start).unwrap_or(usize::MAX);
                to.data(chunk.get(within(at)..within(end)).unwrap_or_default())?;
            }
            at = end;
        }
        Ok(())
    }

    fn blocks_of(&self, here: &Range<u64>) -> Range<usize> {
        let block = |place: u64| usize::try_from(place / self.new.block_bytes as u64).unwrap_or(usize::MAX);
        block(here.start)..block(here.end.saturating_sub(1)).saturating_add(1)
    }

    fn copy(&mut self, part: Range<u64>, to: &mut impl Parts) -> Result<(), SenderGone> {
        self.copied_since_sign += part.end - part.start;
        match &mut self.copy {
            Some(copy) if copy.end == part.start => copy.end = part.end,
            _ => {
                self.flush_copy(to)?;
                self.copy = Some(part);
            }
        }
        if self.copied_since_sign >= SIGN_EVERY_BYTES {
            self.copied_since_sign = 0;
            self.flush_copy(to)?;
            to.flush()?;
        }
        Ok(())
    }

    fn flush_copy(&mut self, to: &mut impl Parts) -> Result<(), SenderGone> {
        match self.copy.take() {
            Some(part) => to.copy(part.start, part.end - part.start),
            None => Ok(()),
        }
    }
}

/// What a file came to.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) bytes: u64,
    pub(super) hash: ContentHash,
    pub(super) pieces: Pieces,
}

/// Whether more of the file may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    Yes,
    No,
}

impl Known {
    fn of(pieces: Pieces) -> Self {
        let mut offset = 0;
        let mut moved: Vec<_> = Vec::with_capacity(pieces.chunks.len());
        for (length, hash) in &pieces.chunks {
            moved.push((*hash, offset, *length));
            offset += u64::from(*length);
        }
        moved.sort_unstable();
        moved.dedup_by_key(|(hash, _, _)| *hash);
        Self { pieces, moved, next: 0, at: 0 }
    }

    /// The hash of the old chunk that has this place and length, if there is one. Places ascend from call to call.
    fn hash_at(&mut self, place: u64, length: u32) -> Option<Short> {
        while self.at < place {
            self.at += u64::from(self.pieces.chunks.get(self.next)?.0);
            self.next += 1;
        }
        let (old_length, hash) = self.pieces.chunks.get(self.next)?;
        (self.at == place && *old_length == length).then_some(*hash)
    }

    fn find(&self, hash: &Short, length: u32) -> Option<u64> {
        let place = self.moved.binary_search_by_key(&hash, |(hash, _, _)| hash).ok()?;
        let (_, offset, old_length) = self.moved.get(place)?;
        (*old_length == length).then_some(*offset)
    }
}
