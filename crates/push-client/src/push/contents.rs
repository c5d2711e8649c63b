//! Reading files into the push: each once, and only what held still while it was read.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};

use formats::ContentHash;
use rustix::io::Errno;

use super::packer::{Packer, SenderGone};
use crate::state::Content;
use crate::walk::{Facts, FileKind, Found, open_file};

/// Files up to this size are hashed before anything of them is sent; longer ones are sent while they are read.
const BUFFERED_BYTES_MAX: usize = 256 * 1024;
/// Readings of a file that does not hold still: the first and three more.
const READINGS_MAX: u32 = 4;
/// Hashes that are remembered, so that equal small files are sent once. Beyond it some are sent twice.
const REMEMBERED_MAX: usize = 1_000_000;

/// What came of reading a file.
#[derive(Debug)]
pub(super) enum Reading {
    /// Its content is in the push.
    Whole(Copied),
    /// The content of the last reading is in the push, and the file changed during each.
    Unsteady(Copied),
    /// The name was gone.
    Vanished,
    /// The name no longer led to a regular file, again and again.
    NoFile,
    /// It is on another file system.
    OtherFileSystem,
    /// It could not be opened or read.
    Refused(Errno),
}

/// A content that is in the push, and the file it is of.
#[derive(Debug)]
pub(super) struct Copied {
    pub(super) size: u64,
    pub(super) hash: ContentHash,
    /// The facts of the open file after it was read.
    pub(super) facts: Facts,
    /// Still open, for what else is to be read of it.
    pub(super) file: File,
}

/// Reads files, and remembers what was sent.
#[derive(Debug)]
pub(super) struct Contents {
    packer: Packer,
    remembered: HashSet<ContentHash>,
    buffer: Vec<u8>,
    /// Bytes read from files, readings that came to nothing included.
    pub(super) read_bytes: u64,
}

/// One reading of one file.
enum Attempt {
    Still(u64, ContentHash),
    Moved(u64, ContentHash),
    Failed(Errno),
}

impl Contents {
    /// `held` are contents that the receiver has of this push already.
    pub(super) fn new(packer: Packer, held: impl Iterator<Item = ContentHash>) -> Self {
        // One byte more than the longest: so a file that grew is seen.
        let buffer = vec![0; BUFFERED_BYTES_MAX + 1];
        Self { packer, remembered: held.take(REMEMBERED_MAX).collect(), buffer, read_bytes: 0 }
    }

    /// Gives back the packer, whose contents are then complete.
    pub(super) fn finish(mut self) -> Result<Packer, SenderGone> {
        self.packer.flush()?;
        Ok(self.packer)
    }

    /// Reads what was found, and puts its content in the push.
    pub(super) fn read(&mut self, found: &Found<'_>) -> Result<Reading, SenderGone> {
        let mut before = found.facts;
        for reading in 1..=READINGS_MAX {
            let mut file = match open_file(found.folder, found.name, &before) {
                Ok(file) => file,
                Err(Errno::NOENT) => return Ok(Reading::Vanished),
                Err(Errno::LOOP | Errno::NXIO | Errno::NODEV) => return Ok(Reading::NoFile),
                Err(Errno::XDEV) => return Ok(Reading::OtherFileSystem),
                Err(errno) => return Ok(Reading::Refused(errno)),
            };
            // The first reading trusts the walk's look, which the look afterwards confirms or not.
            if reading > 1 {
                before = match Facts::of_open(&file) {
                    Ok(facts) => facts,
                    Err(errno) => return Ok(Reading::Refused(errno)),
                };
            }
            if before.kind != FileKind::File {
                return Ok(Reading::NoFile);
            }
            let last = reading == READINGS_MAX;
            let (attempt, after) = self.attempt(&mut file, &before, last)?;
            let copied = |size, hash| Copied { size, hash, facts: after, file };
            match attempt {
                Attempt::Failed(errno) => return Ok(Reading::Refused(errno)),
                Attempt::Still(size, hash) => return Ok(Reading::Whole(copied(size, hash))),
                Attempt::Moved(size, hash) if last && after.kind == FileKind::File => {
                    return Ok(Reading::Unsteady(copied(size, hash)));
                }
                Attempt::Moved(..) => {}
            }
        }
        Ok(Reading::NoFile)
    }

    fn attempt(
        &mut self,
        file: &mut File,
        before: &Facts,
        last: bool,
    ) -> Result<(Attempt, Facts), SenderGone> {
        if before.size <= BUFFERED_BYTES_MAX as u64 {
            self.attempt_buffered(file, before, last)
        } else {
            self.attempt_streamed(file, before, last)
        }
    }

    fn attempt_buffered(
        &mut self,
        file: &mut File,
        before: &Facts,
        last: bool,
    ) -> Result<(Attempt, Facts), SenderGone> {
        let want = usize::try_from(before.size).unwrap_or(BUFFERED_BYTES_MAX) + 1;
        let read = fill(file, self.buffer.get_mut(..want).unwrap_or_default());
        let (length, after) = match (read, Facts::of_open(&*file)) {
            (Ok(length), Ok(after)) => (length, after),
            (Err(errno), _) | (_, Err(errno)) => return Ok((Attempt::Failed(errno), *before)),
        };
        self.read_bytes += length as u64;
        let bytes = self.buffer.get(..length).unwrap_or_default();
        let size = length as u64;
        let still = before.is_untouched(&after) && size == before.size;
        if !still && !last {
            return Ok((Attempt::Moved(0, ContentHash::from_bytes([0; 32])), after));
        }
        let hash = ContentHash::of(bytes);
        if !self.remembered.contains(&hash) {
            self.packer.data(bytes)?;
            self.packer.end(size, hash, still.then(|| content(size, hash, &after)))?;
            self.remember(hash);
        }
        Ok((if still { Attempt::Still(size, hash) } else { Attempt::Moved(size, hash) }, after))
    }

    fn attempt_streamed(
        &mut self,
        file: &mut File,
        before: &Facts,
        last: bool,
    ) -> Result<(Attempt, Facts), SenderGone> {
        let mut hasher = blake3::Hasher::new();
        let (mut size, size_max) = (0u64, before.size + 1);
        while size < size_max {
            let want = usize::try_from(size_max - size).unwrap_or(usize::MAX).min(self.buffer.len());
            let length = match fill(file, self.buffer.get_mut(..want).unwrap_or_default()) {
                Ok(0) => break,
                Ok(length) => length,
                Err(errno) => {
                    self.packer.drop_open()?;
                    return Ok((Attempt::Failed(errno), *before));
                }
            };
            let bytes = self.buffer.get(..length).unwrap_or_default();
            hasher.update(bytes);
            self.packer.data(bytes)?;
            size += length as u64;
            self.read_bytes += length as u64;
        }
        let after = match Facts::of_open(&*file) {
            Ok(after) => after,
            Err(errno) => {
                self.packer.drop_open()?;
                return Ok((Attempt::Failed(errno), *before));
            }
        };
        let hash = ContentHash::from_bytes(*hasher.finalize().as_bytes());
        let still = before.is_untouched(&after) && size == before.size;
        if !still && !last {
            self.packer.drop_open()?;
            return Ok((Attempt::Moved(size, hash), after));
        }
        self.packer.end(size, hash, still.then(|| content(size, hash, &after)))?;
        self.remember(hash);
        Ok((if still { Attempt::Still(size, hash) } else { Attempt::Moved(size, hash) }, after))
    }

    fn remember(&mut self, hash: ContentHash) {
        if self.remembered.len() < REMEMBERED_MAX {
            self.remembered.insert(hash);
        }
    }
}

fn content(size: u64, hash: ContentHash, facts: &Facts) -> Content {
    Content { size, hash, mtime: facts.mtime, stamp: facts.stamp }
}

/// Reads until `to` is full or the file ends.
fn fill(file: &mut File, to: &mut [u8]) -> Result<usize, Errno> {
    let mut filled = 0;
    while let Some(space) = to.get_mut(filled..).filter(|space| !space.is_empty()) {
        match file.read(space) {
            Ok(0) => break,
            // Short of the end of what was asked: the end of the file, for all that is known, which the caller checks.
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error));
            }
        }
    }
    Ok(filled)
}
