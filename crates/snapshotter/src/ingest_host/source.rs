//! A file of the base from which a push takes parts of a changed one.
//!
//! The push names it by its path in the base, and is not believed: the path is resolved beneath the base's own tree, and what is made from
//! it counts only if it has the hash that the push seals.

use std::fs::File;
use std::os::unix::fs::FileExt;

use durable::Dir;
use formats::RelPath;
use formats::session::Code;

use super::fault::Fault;

/// How much is read at a time.
const PIECE_BYTES: usize = 1 << 20;

/// The open file.
#[derive(Debug)]
pub(crate) struct Source {
    file: File,
    bytes: u64,
}

impl Source {
    /// Opens the file with this path in the tree of the base.
    pub(crate) fn open(base: &Dir, path: &RelPath) -> Result<Self, Fault> {
        // What cannot be opened may be a folder, a link or nothing at all, if the push lies: what the base should have is asked later.
        let file = base.open_read_beneath(path.as_bytes()).map_err(|_| Fault::Push(Code::MissingContent))?;
        let bytes = file.metadata().map_err(Fault::stream("looking at a file of the base"))?.len();
        Ok(Self { file, bytes })
    }

    /// How long it is.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes the empty file `new` share all bytes of this one, if the file system can. If not, it is empty again.
    pub(crate) fn clone_into(&self, new: &File) -> Result<bool, Fault> {
        let cloning = || Fault::stream("cloning a file of the base");
        let done = rustix::fs::ioctl_ficlone(new, &self.file).is_ok();
        // A clone that ends early may count as one.
        let is_clone = done && new.metadata().map_err(cloning())?.len() == self.bytes;
        if !is_clone {
            new.set_len(0).map_err(cloning())?;
        }
        Ok(is_clone)
    }

    /// Hands out the bytes of a part, piece by piece.
    pub(crate) fn part(
        &self,
        offset: u64,
        length: u64,
        take: impl FnMut(&[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.part_of(&self.file, offset, length, take)
    }

    /// The same bytes, read from a clone of this file: what is there counts, not what should be.
    pub(crate) fn part_of(
        &self,
        file: &File,
        offset: u64,
        length: u64,
        mut take: impl FnMut(&[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let end = offset.checked_add(length).filter(|end| *end <= self.bytes);
        let end = end.ok_or(Fault::Push(Code::MissingContent))?;
        let mut piece = vec![0; usize::try_from(length).unwrap_or(PIECE_BYTES).min(PIECE_BYTES)];
        let mut at = offset;
        while at < end {
            let want = usize::try_from(end - at).unwrap_or(PIECE_BYTES).min(piece.len());
            let bytes = piece.get_mut(..want).unwrap_or_default();
            file.read_exact_at(bytes, at).map_err(Fault::stream("reading a file of the base"))?;
            take(bytes)?;
            at += want as u64;
        }
        Ok(())
    }
}
