//! Reading files into the push: each once, and only what held still while it was read.

use std::fs::File;
use std::io::Seek;

use cli::Task;
use formats::ContentHash;
use rustix::io::Errno;

use super::elsewhere::{Elsewhere, Lent};
use super::error::PushError;
use super::offers::{Lacking, Offers};
use super::packer::Packer;
use super::reading::{Copied, Expected, Reading, errno, fill};
use super::remembered::Remembered;
use super::scan::{BUFFER_BYTES, Last, Nowhere, Old, READ_BYTES, Scan, Scanned};
use crate::commands::stop;
use crate::state::{Content, Pieces, PiecesFolder};
use crate::walk::{Facts, FileKind, Found, open_file};

/// Files up to this size are hashed before anything of them is sent. Longer ones are sent while they are read, and of them only what is new.
pub(super) const LONG_BYTES: u64 = READ_BYTES as u64;
/// Readings of a file that does not hold still: the first and three more.
const READINGS_MAX: u32 = 4;

/// Whether a reading that met a change is followed by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Another,
    Last,
}

/// What becomes of what is read of a long file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goes {
    Sent,
    Nowhere,
}

/// Reads files, and remembers what was sent.
#[derive(Debug)]
pub(super) struct Contents<'a> {
    pub(super) packer: Packer,
    /// Of what is read, the server is asked what it has: where this host does not know.
    offers: Option<Offers<'a>>,
    pub(super) remembered: Remembered,
    pub(super) elsewhere: Elsewhere,
    pub(super) pieces: PiecesFolder,
    pub(super) buffer: Vec<u8>,
    /// Bytes read from files, readings that came to nothing included.
    pub(super) read_bytes: u64,
    /// Advances with them.
    pub(super) reading: Task,
}

/// One reading of one file.
enum Attempt {
    Still(u64, ContentHash),
    Moved(u64, ContentHash),
    Failed(Errno),
}

impl<'a> Contents<'a> {
    /// `held` are contents that the receiver has of this push already; what is `elsewhere` in the base is not sent again.
    pub(super) fn new(
        (packer, offers): (Packer, Option<Offers<'a>>),
        held: impl Iterator<Item = ContentHash>,
        elsewhere: Elsewhere,
        pieces: PiecesFolder,
        reading: Task,
    ) -> Self {
        // More than the longest that is not long: so a file that grew is seen.
        let buffer = vec![0; BUFFER_BYTES];
        let remembered = Remembered::new(held);
        Self { packer, offers, remembered, elsewhere, pieces, buffer, read_bytes: 0, reading }
    }

    /// Gives back the packer, whose contents are then complete, and the offers, which are all answered.
    pub(super) fn finish(mut self) -> Result<(Packer, Option<Offers<'a>>), PushError> {
        if let Some(offers) = &mut self.offers {
            offers.finish(&mut Lacking { packer: &mut self.packer, sent: &mut self.remembered })?;
        }
        self.packer.flush()?;
        Ok((self.packer, self.offers))
    }

    /// Reads what was found, and puts its content in the push, unless it is the `expected` one.
    pub(super) fn read(
        &mut self,
        found: &Found<'_>,
        expected: Option<Expected>,
    ) -> Result<Reading, PushError> {
        let mut before = found.facts;
        for reading in 1..=READINGS_MAX {
            let mut file = match open_file(found.folder, found.name, &before) {
                Ok(file) => file,
                Err(Errno::NOENT) => return Ok(Reading::Vanished),
                Err(Errno::LOOP | Errno::NXIO | Errno::NODEV) => return Ok(Reading::NoFile),
                // Mounted over, or moved out of its folder, in this moment.
                Err(Errno::XDEV) if reading < READINGS_MAX => continue,
                Err(Errno::XDEV) => return Ok(Reading::NoFile),
                Err(errno) => return Ok(Reading::Refused(errno)),
            };
            // The first reading trusts the walk's look, which the look afterwards confirms or not. That look may be old by now, and a long file
            // is not read for nothing.
            if reading > 1 || before.size > LONG_BYTES {
                before = match found.look(&file) {
                    Ok(facts) => facts,
                    Err(errno) => return Ok(Reading::Refused(errno)),
                };
            }
            if before.kind != FileKind::File {
                return Ok(Reading::NoFile);
            }
            let turn = if reading == READINGS_MAX { Turn::Last } else { Turn::Another };
            let (attempt, after) = self.attempt(found, &mut file, &before, expected, turn)?;
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
        found: &Found<'_>,
        file: &mut File,
        before: &Facts,
        expected: Option<Expected>,
        turn: Turn,
    ) -> Result<(Attempt, Facts), PushError> {
        if before.size <= LONG_BYTES {
            return self.attempt_buffered(found, file, before, expected, turn);
        }
        // It may be read for long and nothing of it sent.
        self.packer.flush_tail()?;
        // A mode, an owner or a name changed, or the whole disk has another number: no reason to send it all again.
        // Nor is another name: as logs are rotated, a name that the base has too now leads to another inode of the base.
        let own = expected.map(|expected| Lent { path: found.path.clone(), expected });
        let moved = self.elsewhere.of_inode(before).cloned();
        let is_same = |lent: &Lent| lent.expected.size == before.size && lent.expected.mtime == before.mtime;
        let lent = if moved.as_ref().is_some_and(is_same) { moved } else { own.or(moved) };
        let alike = lent
            .as_ref()
            .map(|lent| lent.expected)
            .filter(|_| turn == Turn::Another && lent.as_ref().is_some_and(is_same));
        if let Some(expected) = alike {
            match self.attempt_hashed(found, file, before)? {
                (Attempt::Still(_, hash), _) if hash != expected.hash => {}
                (attempt, after) => {
                    if let Attempt::Still(size, hash) = attempt {
                        self.packer.note_unsent(content(size, hash, &after))?;
                    }
                    return Ok((attempt, after));
                }
            }
            if let Err(error) = file.rewind() {
                return Ok((Attempt::Failed(errno(&error)), *before));
            }
        }
        if turn == Turn::Another && self.offers.as_mut().is_some_and(Offers::are_worth_a_reading) {
            if let Some(answer) = self.attempt_offered(found, file, before)? {
                return Ok(answer);
            }
            if let Err(error) = file.rewind() {
                return Ok((Attempt::Failed(errno(&error)), *before));
            }
        }
        let old = lent.or_else(|| self.elsewhere.of_length(before.size).cloned());
        self.attempt_scanned((found, file), before, old, turn)
    }

    fn attempt_buffered(
        &mut self,
        found: &Found<'_>,
        file: &mut File,
        before: &Facts,
        expected: Option<Expected>,
        turn: Turn,
    ) -> Result<(Attempt, Facts), PushError> {
        let expected_bytes = usize::try_from(before.size).unwrap_or(READ_BYTES);
        let space = self.buffer.get_mut(..expected_bytes + 1).unwrap_or_default();
        let read = fill(file, space, Some(expected_bytes));
        let (length, after) = match (read, found.look(&*file)) {
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
        let has_sent = self.remembered.has(&hash);
        let base_has = expected.is_some_and(|e| e.hash == hash) || self.elsewhere.has(&hash);
        let content = still.then(|| content(size, hash, &after));
        let offers = self.offers.as_mut().filter(|_| length > 0 && !self.elsewhere.is_wanted(&hash));
        match offers {
            _ if base_has => content.map_or(Ok(()), |content| self.packer.note_unsent(content))?,
            _ if has_sent => {}
            Some(offers) if offers.has(&hash) => {
                content.map_or(Ok(()), |content| self.packer.note_unsent(content))?;
            }
            Some(offers) if offers.asked(&hash) => {}
            Some(offers) if offers.has_room() => {
                let sent = &mut self.remembered;
                offers.keep(hash, bytes, content, &mut Lacking { packer: &mut self.packer, sent })?;
            }
            _ => {
                self.packer.data(bytes)?;
                self.packer.end(size, hash, content)?;
                self.remembered.insert(&hash);
            }
        }
        Ok((if still { Attempt::Still(size, hash) } else { Attempt::Moved(size, hash) }, after))
    }

    /// Only hashed, as it is most likely the content that the base has.
    fn attempt_hashed(
        &mut self,
        found: &Found<'_>,
        file: &mut File,
        before: &Facts,
    ) -> Result<(Attempt, Facts), PushError> {
        let mut hasher = blake3::Hasher::new();
        let bytes_max = before.size + 1;
        while hasher.count() < bytes_max {
            match self.read_on(file, 0, bytes_max - hasher.count()) {
                Ok(0) => break,
                Ok(length) => hasher.update(self.buffer.get(..length).unwrap_or_default()),
                Err(errno) => return Ok((Attempt::Failed(errno), *before)),
            };
        }
        Ok(match found.look(&*file) {
            Ok(after) => {
                let hash = ContentHash::from_bytes(*hasher.finalize().as_bytes());
                (ended(hasher.count(), hash, before, &after), after)
            }
            Err(errno) => (Attempt::Failed(errno), *before),
        })
    }

    /// Only looked at, as the server may have it: then there is nothing to send. None if it does not.
    fn attempt_offered(
        &mut self,
        found: &Found<'_>,
        file: &mut File,
        before: &Facts,
    ) -> Result<Option<(Attempt, Facts)>, PushError> {
        let read = self.scan(file, before.size, None, Goes::Nowhere)?;
        let (Scanned { bytes, hash, pieces }, after) = match (read, found.look(&*file)) {
            (Ok(scanned), Ok(after)) => (scanned, after),
            (Err(errno), _) | (_, Err(errno)) => return Ok(Some((Attempt::Failed(errno), *before))),
        };
        let attempt = ended(bytes, hash, before, &after);
        let Attempt::Still(size, hash) = attempt else { return Ok(Some((attempt, after))) };
        if self.remembered.has(&hash) {
            return Ok(Some((attempt, after)));
        }
        let Some(offers) = self.offers.as_mut().filter(|_| !self.elsewhere.is_wanted(&hash)) else {
            return Ok(None);
        };
        let sent = &mut self.remembered;
        if !offers.ask(hash, &mut Lacking { packer: &mut self.packer, sent })? {
            return Ok(None);
        }
        // Without it the next change costs the whole file.
        let _ = self.pieces.save(&hash, &pieces);
        self.packer.note_unsent(content(size, hash, &after))?;
        Ok(Some((attempt, after)))
    }

    /// Sent while it is read: what of it is new.
    fn attempt_scanned(
        &mut self,
        (found, file): (&Found<'_>, &mut File),
        before: &Facts,
        old: Option<Lent>,
        turn: Turn,
    ) -> Result<(Attempt, Facts), PushError> {
        let read = self.scan(file, before.size, old, Goes::Sent)?;
        let (Scanned { bytes, hash, pieces }, after) = match (read, found.look(&*file)) {
            (Ok(scanned), Ok(after)) => (scanned, after),
            (Err(errno), _) | (_, Err(errno)) => {
                self.packer.drop_open()?;
                return Ok((Attempt::Failed(errno), *before));
            }
        };
        let attempt = ended(bytes, hash, before, &after);
        match &attempt {
            // A copy, or touched and no more.
            Attempt::Still(size, hash) if self.elsewhere.has(hash) => {
                self.packer.drop_open()?;
                self.packer.note_unsent(content(*size, *hash, &after))?;
            }
            Attempt::Still(_, hash) if self.remembered.has(hash) => self.packer.drop_open()?,
            Attempt::Still(size, hash) => {
                self.packer.end(*size, *hash, Some(content(*size, *hash, &after)))?;
                self.remembered.insert(hash);
                // Without it the next change costs the whole file.
                let _ = self.pieces.save(hash, &pieces);
            }
            Attempt::Moved(size, hash) if turn == Turn::Last => {
                self.packer.end(*size, *hash, None)?;
                self.remembered.insert(hash);
            }
            Attempt::Moved(..) | Attempt::Failed(_) => self.packer.drop_open()?,
        }
        Ok((attempt, after))
    }

    /// Reads at most one byte more than the file has, so that one that grew is seen, and never followed for ever.
    fn scan(
        &mut self,
        file: &mut File,
        size: u64,
        old: Option<Lent>,
        goes: Goes,
    ) -> Result<Result<Scanned, Errno>, PushError> {
        let old = old.and_then(|Lent { path, expected }| {
            self.pieces.load(&expected.hash).map(|pieces| Old { path, pieces })
        });
        // With nothing old, nothing is packed yet.
        let mut scan = Scan::begin(Pieces::for_length(size), old, &mut self.packer)?;
        let mut left = 0;
        loop {
            let room = (size + 1).saturating_sub(scan.bytes()).min(READ_BYTES as u64);
            let length = match self.read_on(file, left, room) {
                Ok(length) => length,
                Err(errno) => return Ok(Err(errno)),
            };
            let held = self.buffer.get(..left + length).unwrap_or_default();
            let last = if length < READ_BYTES { Last::Yes } else { Last::No };
            let done = match goes {
                Goes::Sent => scan.take(held, left, last, &mut self.packer)?,
                Goes::Nowhere => scan.take(held, left, last, &mut Nowhere)?,
            };
            match (last, goes) {
                (Last::Yes, Goes::Sent) => return Ok(Ok(scan.finish(&mut self.packer)?)),
                (Last::Yes, Goes::Nowhere) => return Ok(Ok(scan.finish(&mut Nowhere)?)),
                (Last::No, _) => {}
            }
            self.buffer.copy_within(done..left + length, 0);
            left = left + length - done;
        }
    }

    /// Reads into the buffer behind what is left there, so much that it is full unless the file ends, and at most `bytes_max`.
    fn read_on(&mut self, file: &mut File, left: usize, bytes_max: u64) -> Result<usize, Errno> {
        if stop::is_asked() {
            return Err(Errno::CANCELED);
        }
        let want = usize::try_from(bytes_max).unwrap_or(READ_BYTES).min(READ_BYTES);
        let length = fill(file, self.buffer.get_mut(left..left + want).unwrap_or_default(), None)?;
        self.read_bytes += length as u64;
        self.reading.advance(length as u64);
        Ok(length)
    }

    /// The server asks for this content again.
    pub(super) fn is_wanted(&self, hash: &ContentHash) -> bool {
        self.elsewhere.is_wanted(hash)
    }
}

/// What a file that was read to its end comes to.
fn ended(size: u64, hash: ContentHash, before: &Facts, after: &Facts) -> Attempt {
    match before.is_untouched(after) && size == before.size {
        true => Attempt::Still(size, hash),
        false => Attempt::Moved(size, hash),
    }
}

fn content(size: u64, hash: ContentHash, facts: &Facts) -> Content {
    Content { size, hash, mtime: facts.mtime, stamp: facts.stamp }
}
