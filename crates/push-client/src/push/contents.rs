//! Reading files into the push: each once, and only what held still while it was read.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek};

use cli::Task;
use formats::{ContentHash, Mtime};
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

/// What the base has at a path: a content that need not be sent, if it is still there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    pub(super) size: u64,
    pub(super) mtime: Mtime,
    pub(super) hash: ContentHash,
}

/// Whether a long file is sent while it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    Now,
    /// It is only hashed, as it is most likely the content that the base has.
    Not,
}

/// Whether a reading that met a change is followed by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Another,
    Last,
}

/// Reads files, and remembers what was sent.
#[derive(Debug)]
pub(super) struct Contents {
    packer: Packer,
    remembered: HashSet<ContentHash>,
    buffer: Vec<u8>,
    /// Bytes read from files, readings that came to nothing included.
    pub(super) read_bytes: u64,
    /// Advances with them.
    reading: Task,
}

/// One reading of one file.
enum Attempt {
    Still(u64, ContentHash),
    Moved(u64, ContentHash),
    Failed(Errno),
}

impl Contents {
    /// `held` are contents that the receiver has of this push already.
    pub(super) fn new(packer: Packer, held: impl Iterator<Item = ContentHash>, reading: Task) -> Self {
        // One byte more than the longest: so a file that grew is seen.
        let buffer = vec![0; BUFFERED_BYTES_MAX + 1];
        Self { packer, remembered: held.take(REMEMBERED_MAX).collect(), buffer, read_bytes: 0, reading }
    }

    /// Gives back the packer, whose contents are then complete.
    pub(super) fn finish(mut self) -> Result<Packer, SenderGone> {
        self.packer.flush()?;
        Ok(self.packer)
    }

    /// Reads what was found, and puts its content in the push, unless it is the `expected` one.
    pub(super) fn read(
        &mut self,
        found: &Found<'_>,
        expected: Option<Expected>,
    ) -> Result<Reading, SenderGone> {
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
            let turn = if reading == READINGS_MAX { Turn::Last } else { Turn::Another };
            let (attempt, after) = self.attempt(&mut file, &before, expected, turn)?;
            let copied = |size, hash| Copied { size, hash, facts: after, file };
            match attempt {
                Attempt::Failed(errno) => return Ok(Reading::Refused(errno)),
                Attempt::Still(size, hash) => return Ok(Reading::Whole(copied(size, hash))),
                Attempt::Moved(size, hash) if turn == Turn::Last && after.kind == FileKind::File => {
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
        expected: Option<Expected>,
        turn: Turn,
    ) -> Result<(Attempt, Facts), SenderGone> {
        if before.size <= BUFFERED_BYTES_MAX as u64 {
            return self.attempt_buffered(file, before, expected, turn);
        }
        // A mode, an owner or a name changed, or the whole disk has another number: no reason to send it all again.
        let alike =
            expected.filter(|e| turn == Turn::Another && e.size == before.size && e.mtime == before.mtime);
        if let Some(expected) = alike {
            match self.attempt_streamed(file, before, Sending::Not, turn)? {
                (Attempt::Still(_, hash), _) if hash != expected.hash => {}
                answer => return Ok(answer),
            }
            if let Err(error) = file.rewind() {
                return Ok((Attempt::Failed(errno(&error)), *before));
            }
        }
        self.attempt_streamed(file, before, Sending::Now, turn)
    }

    fn attempt_buffered(
        &mut self,
        file: &mut File,
        before: &Facts,
        expected: Option<Expected>,
        turn: Turn,
    ) -> Result<(Attempt, Facts), SenderGone> {
        let want = usize::try_from(before.size).unwrap_or(BUFFERED_BYTES_MAX) + 1;
        let read = fill(file, self.buffer.get_mut(..want).unwrap_or_default());
        let (length, after) = match (read, Facts::of_open(&*file)) {
            (Ok(length), Ok(after)) => (length, after),
            (Err(errno), _) | (_, Err(errno)) => return Ok((Attempt::Failed(errno), *before)),
        };
        self.read_bytes += length as u64;
        self.reading.advance(length as u64);
        let bytes = self.buffer.get(..length).unwrap_or_default();
        let size = length as u64;
        let still = before.is_untouched(&after) && size == before.size;
        if !still && turn == Turn::Another {
            return Ok((Attempt::Moved(0, ContentHash::from_bytes([0; 32])), after));
        }
        let hash = ContentHash::of(bytes);
        let has_it = self.remembered.contains(&hash) || expected.is_some_and(|e| e.hash == hash);
        if !has_it {
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
        sending: Sending,
        turn: Turn,
    ) -> Result<(Attempt, Facts), SenderGone> {
        let (size, hash) = match self.stream(file, before.size + 1, sending)? {
            Ok(read) => read,
            Err(errno) => {
                self.packer.drop_open()?;
                return Ok((Attempt::Failed(errno), *before));
            }
        };
        let after = match Facts::of_open(&*file) {
            Ok(after) => after,
            Err(errno) => {
                self.packer.drop_open()?;
                return Ok((Attempt::Failed(errno), *before));
            }
        };
        let still = before.is_untouched(&after) && size == before.size;
        match sending {
            Sending::Now if still || turn == Turn::Last => {
                self.packer.end(size, hash, still.then(|| content(size, hash, &after)))?;
                self.remember(hash);
            }
            Sending::Now => self.packer.drop_open()?,
            Sending::Not => {}
        }
        Ok((if still { Attempt::Still(size, hash) } else { Attempt::Moved(size, hash) }, after))
    }

    /// Reads at most so many bytes: one more than a file has, so that one that grew is seen, and never followed for ever.
    fn stream(
        &mut self,
        file: &mut File,
        bytes_max: u64,
        sending: Sending,
    ) -> Result<Result<(u64, ContentHash), Errno>, SenderGone> {
        let mut hasher = blake3::Hasher::new();
        let mut size = 0u64;
        while size < bytes_max {
            let want = usize::try_from(bytes_max - size).unwrap_or(usize::MAX).min(self.buffer.len());
            let length = match fill(file, self.buffer.get_mut(..want).unwrap_or_default()) {
                Ok(0) => break,
                Ok(length) => length,
                Err(errno) => return Ok(Err(errno)),
            };
            let bytes = self.buffer.get(..length).unwrap_or_default();
            hasher.update(bytes);
            if sending == Sending::Now {
                self.packer.data(bytes)?;
            }
            size += length as u64;
            self.read_bytes += length as u64;
            self.reading.advance(length as u64);
        }
        Ok(Ok((size, ContentHash::from_bytes(*hasher.finalize().as_bytes()))))
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
                return Err(errno(&error));
            }
        }
    }
    Ok(filled)
}

fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error)
}
