//! What a push would send: the walk side by side with the last accepted state. Nothing is sent, and nothing written.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use formats::{Body, ContentHash, Entry, Kind, RelPath};
use rustix::io::Errno;

use cli::{Amount, Monitor, Task};

use super::account::{Account, Count};
use super::describe::{describe, is_untouched, kind_of, note_missed, text, with_flags};
use super::error::PushError;
use crate::state::{Base, Known};
use crate::walk::{Excluded, FileKind, Found, Links, Missed, Names, Selection, Visit, Walker, open_file};

const BUFFER_BYTES: usize = 256 * 1024;

/// How a path differs from the accepted state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// It was not there.
    New,
    /// Its content or what is known of it is another.
    Changed,
    /// It is not there any more.
    Removed,
}

/// What a push would come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Preview {
    /// Paths of the state that the push would bring.
    pub entries: u64,
    /// Of them, those that the accepted state lacks.
    pub new: u64,
    /// Those of which it knows otherwise.
    pub changed: u64,
    /// Those that it has and the push would not.
    pub removed: u64,
    /// Sizes of the files whose content is or may be new.
    pub content_bytes: u64,
}

/// Compares what `selection` chooses below `top` with `base`, and tells each difference, in the order of manifests.
pub fn preview(
    (selection, top): (&Selection, OwnedFd),
    base: Option<Base>,
    account: &mut Account,
    monitor: &dyn Monitor,
    tell: &mut dyn FnMut(Difference, &RelPath),
) -> Result<Preview, PushError> {
    let mut comparer = Comparer {
        selection,
        base,
        names: Names::load(),
        links: Links::default(),
        buffer: vec![0; BUFFER_BYTES],
        so_far: Preview::default(),
        account,
        monitor,
        task: monitor.task("comparing", Amount::Items(None)),
        tell,
    };
    Walker::beneath(selection, top).walk(&mut comparer)?;
    comparer.tell_removed(None)?;
    Ok(comparer.so_far)
}

struct Comparer<'a> {
    selection: &'a Selection,
    base: Option<Base>,
    names: Names,
    links: Links,
    buffer: Vec<u8>,
    so_far: Preview,
    account: &'a mut Account,
    monitor: &'a dyn Monitor,
    task: Task,
    tell: &'a mut dyn FnMut(Difference, &RelPath),
}

impl Visit for Comparer<'_> {
    type Stop = PushError;

    fn found(&mut self, found: &Found<'_>) -> Result<(), PushError> {
        self.tell_removed(Some(found.path))?;
        self.task.advance(1);
        let facts = &found.facts;
        let known =
            self.base.as_mut().map(|base| base.at(found.path)).transpose().map_err(PushError::Base)?;
        let known = known.flatten();
        if facts.links > 1
            && facts.kind != FileKind::Folder
            && let Some(first) = self.links.first(facts)
        {
            let entry = Entry { path: found.path.clone(), body: Body::Link(first) };
            self.compare(known.as_ref(), &entry, 0);
            return Ok(());
        }
        if facts.kind != FileKind::Folder {
            self.links.remember(facts, found.path);
        }
        if let (Some(base), Some(known)) = (&self.base, &known)
            && is_untouched(base, &self.names, known, facts)
        {
            match with_flags(base, known, found) {
                Ok(None) => {
                    self.account.add(Count::Unchanged, 1);
                    self.so_far.entries += 1;
                }
                Ok(Some(_)) => self.differ(Some(known), found.path, 0),
                Err(errno) => {
                    self.so_far.entries += 1;
                    self.account.leave_out(found.path.as_bytes(), text(errno));
                }
            }
            return Ok(());
        }
        let done = if facts.kind == FileKind::File {
            self.file(found, known.as_ref())
        } else {
            kind_of(found).map(|kind| {
                let entry = describe(found, (facts, kind), found.opened(), &self.names, self.account);
                self.compare(known.as_ref(), &entry, 0);
            })
        };
        match done {
            Ok(()) => {}
            Err(Errno::NOENT) => self.account.add(Count::Vanished, 1),
            Err(errno) => self.account.leave_out(found.path.as_bytes(), text(errno)),
        }
        Ok(())
    }

    fn missed(&mut self, path: &[u8], why: Missed) -> Result<(), PushError> {
        let is_made = |path| RelPath::new(path).is_ok_and(|path| self.selection.produces(&path));
        match why {
            Missed::Excluded(Excluded::Named) | Missed::Vanished if is_made(path) => {}
            why => note_missed(self.account, self.monitor, path, why),
        }
        Ok(())
    }
}

impl Comparer<'_> {
    /// Reads the file only where nothing but the content itself can tell whether it is another.
    fn file(&mut self, found: &Found<'_>, known: Option<&Known>) -> Result<(), Errno> {
        let facts = &found.facts;
        let mut file = open_file(found.folder, found.name, facts)?;
        let before = known.and_then(|known| known.entry.node()).and_then(|node| match node.kind {
            Kind::File { size, content } if size == facts.size && node.meta.mtime == facts.mtime => {
                Some(content)
            }
            _ => None,
        });
        let kind = |content| Kind::File { size: facts.size, content };
        let content = before.unwrap_or(ContentHash::from_bytes([0; 32]));
        let entry = describe(found, (facts, kind(content)), Some(file.as_fd()), &self.names, self.account);
        let is_other = match before {
            None => true,
            Some(_) if known.is_some_and(|known| known.entry != entry) => false,
            Some(content) => self.hash(&mut file, facts.size)? != content,
        };
        if is_other {
            self.differ(known, found.path, facts.size);
        } else {
            self.compare(known, &entry, 0);
        }
        Ok(())
    }

    /// One byte more than it has, at most: so one that grew is seen, and never followed for ever.
    fn hash(&mut self, file: &mut File, size: u64) -> Result<ContentHash, Errno> {
        let mut hasher = blake3::Hasher::new();
        let mut file = file.take(size.saturating_add(1));
        loop {
            match file.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(length) => {
                    hasher.update(self.buffer.get(..length).unwrap_or_default());
                    self.account.add(Count::ReadBytes, length as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
            }
        }
        self.account.add(Count::ReadFiles, 1);
        Ok(ContentHash::from_bytes(*hasher.finalize().as_bytes()))
    }

    fn compare(&mut self, known: Option<&Known>, entry: &Entry, content_bytes: u64) {
        if known.is_some_and(|known| known.entry == *entry) {
            self.so_far.entries += 1;
        } else {
            self.differ(known, &entry.path, content_bytes);
        }
    }

    fn differ(&mut self, known: Option<&Known>, path: &RelPath, content_bytes: u64) {
        self.so_far.entries += 1;
        self.so_far.content_bytes = self.so_far.content_bytes.saturating_add(content_bytes);
        let difference = match known {
            None => {
                self.so_far.new += 1;
                Difference::New
            }
            Some(_) => {
                self.so_far.changed += 1;
                Difference::Changed
            }
        };
        (self.tell)(difference, path);
    }

    /// What the base has before this path, or to its end, and the walk did not meet.
    fn tell_removed(&mut self, before: Option<&RelPath>) -> Result<(), PushError> {
        while let Some(base) = &mut self.base
            && let Some(known) = base.take_before(before).map_err(PushError::Base)?
        {
            // What a dump brings is not looked for: it would have to be run.
            if self.selection.produces(&known.entry.path) {
                continue;
            }
            self.so_far.removed += 1;
            (self.tell)(Difference::Removed, &known.entry.path);
        }
        Ok(())
    }
}
