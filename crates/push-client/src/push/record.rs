//! From what the walk finds to the new manifest: taken over from the base where nothing was touched, read where it was.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, BorrowedFd};

use formats::manifest::ManifestError;
use formats::{Body, ContentHash, Entry, Kind, Node, RelPath};
use rustix::io::Errno;

use cli::{Monitor, Task};

use super::account::{Account, Count};
use super::contents::{Contents, LONG_BYTES};
use super::describe::{describe, is_untouched, kind_of, note_missed, text, with_flags};
use super::dumps::Dues;
use super::error::PushError;
use super::reading::{Copied, Expected, Reading};
use super::rehash::Rehash;
use crate::commands::{CommandError, stop};
use crate::state::{Base, Content, Known, NewState, Short, StateError, is_settled, shortened};
use crate::walk::{Excluded, Facts, FileKind, Found, Links, Missed, Names, Stamp, Visit};

/// Contents that need not be sent in a push that is gone on with: they arrived, or base or lender has them.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) contents: HashMap<(u64, u64), Content>,
    /// When the push started.
    pub(super) started: i64,
}

/// Writes the new state, entry by entry.
pub(super) struct Recorder<'a> {
    pub(super) names: Names,
    pub(super) links: Links,
    pub(super) base: Option<Base>,
    /// What the walk does not find.
    pub(super) dues: Dues,
    pub(super) wanted: HashSet<ContentHash>,
    pub(super) held: Held,
    pub(super) contents: Contents<'a>,
    pub(super) new: NewState,
    /// Which untouched files are read again.
    pub(super) rehash: Option<Rehash>,
    /// Long contents of the base and of the new state.
    pub(super) long: HashSet<Short>,
    /// How often one more look is taken at what is found, if its kind is another each time.
    pub(super) looks_left: u32,
    /// Every entry so far was taken over from the base, stamp and all.
    pub(super) all_taken_over: bool,
    pub(super) account: &'a mut Account,
    pub(super) monitor: &'a dyn Monitor,
    pub(super) task: Task,
}

/// Another look at a path whose kind has changed is taken so often.
const LOOKS_MAX: u32 = 4;
/// Marks an entry whose next look must read it again.
const NEVER: Stamp = Stamp { ctime_seconds: i64::MAX, ctime_nanos: 0, inode: 0, device: 0 };

impl Visit for Recorder<'_> {
    type Stop = PushError;

    fn found(&mut self, found: &Found<'_>) -> Result<(), PushError> {
        self.waiting()?;
        self.looks_left = LOOKS_MAX;
        self.put_dues(Some(found.path))?;
        self.dues.found(found.path, found.facts.kind)?;
        let facts = &found.facts;
        let known = match &mut self.base {
            Some(base) => base.at(found.path).map_err(PushError::Base)?,
            None => None,
        };
        if facts.links > 1
            && facts.kind != FileKind::Folder
            && let Some(first) = self.links.first(facts)
        {
            let entry = Entry { path: found.path.clone(), body: Body::Link(first) };
            let taken_over = known.is_some_and(|known| known.entry == entry && known.stamp == facts.stamp);
            self.all_taken_over &= taken_over;
            return self.write(entry, &facts.stamp);
        }
        let mut expected = None;
        if let Some(known) = known {
            self.note_long(&known.entry);
            if self.is_untouched(&known, facts) {
                let is_due = facts.kind == FileKind::File
                    && self.rehash.is_some_and(|rehash| rehash.is_due(found.path));
                return if is_due { self.reread(found, known) } else { self.take_over(found, known) };
            }
            expected = self.expected(&known.entry);
        }
        self.all_taken_over = false;
        match facts.kind {
            FileKind::File => self.file(found, expected),
            _ => self.other(found),
        }
    }

    fn waiting(&mut self) -> Result<(), PushError> {
        if stop::is_asked() { Err(CommandError::Stopped.into()) } else { Ok(()) }
    }

    fn missed(&mut self, path: &[u8], why: Missed) -> Result<(), PushError> {
        match why {
            Missed::Excluded(Excluded::Named) | Missed::Vanished if self.dues.covers(path) => {}
            Missed::LinkedRoot if self.dues.covers(path) => self.dues.found_at(path, FileKind::Symlink)?,
            why => note_missed(self.account, self.monitor, path, why),
        }
        Ok(())
    }
}

impl Recorder<'_> {
    /// Puts in what the walk does not find and what comes before `path`, or at all if there is none.
    pub(super) fn put_dues(&mut self, path: Option<&RelPath>) -> Result<(), PushError> {
        while let Some(entry) = self.dues.take_before(path, &self.names) {
            self.all_taken_over = false;
            if let Some(base) = &mut self.base
                && let Some(known) = base.at(&entry.path).map_err(PushError::Base)?
            {
                self.note_long(&known.entry);
            }
            self.write(entry, &NEVER)?;
        }
        // A file that was being read when the signal came is left out by now.
        if path.is_none() { self.waiting() } else { Ok(()) }
    }

    /// The base's entry can be taken over as it is, and its content is there.
    fn is_untouched(&self, known: &Known, facts: &Facts) -> bool {
        let is_wanted = match known.entry.node().map(|node| &node.kind) {
            Some(Kind::File { content, .. }) => self.wanted.contains(content),
            _ => false,
        };
        let base = self.base.as_ref();
        !is_wanted && base.is_some_and(|base| is_untouched(base, &self.names, known, facts))
    }

    fn take_over(&mut self, found: &Found<'_>, known: Known) -> Result<(), PushError> {
        self.account.add(Count::Unchanged, 1);
        self.links.remember(&found.facts, found.path);
        let entry = self.with_flags(known, found);
        self.write(entry, &found.facts.stamp)
    }

    /// Reads an untouched file. Another content under the same times is named; what cannot be read is kept as it was, and named.
    fn reread(&mut self, found: &Found<'_>, known: Known) -> Result<(), PushError> {
        let expected = self.expected(&known.entry);
        let reading = self.contents.read(found, expected)?;
        self.account.add(Count::Reread, 1);
        match &reading {
            Reading::Whole(copied) if expected.is_some_and(|expected| expected.hash == copied.hash) => {
                return self.take_over(found, known);
            }
            Reading::Whole(copied) if copied.facts.is_untouched(&found.facts) => {
                self.account.add(Count::SilentChanges, 1);
                let why = "changed silently: its content is another, and neither its size nor its times are; pushed as it is now";
                self.leave_out(found.path.as_bytes(), why.to_owned());
            }
            Reading::Refused(errno) => {
                let why = format!("could not be read again ({}); kept as it was before", text(*errno));
                self.leave_out(found.path.as_bytes(), why);
                return self.take_over(found, known);
            }
            _ => {}
        }
        self.all_taken_over = false;
        self.take_reading(found, reading)
    }

    fn with_flags(&mut self, known: Known, found: &Found<'_>) -> Entry {
        let Some(base) = &self.base else { return known.entry };
        match with_flags(base, &known, found) {
            Ok(flagged) => flagged.unwrap_or(known.entry),
            Err(errno) => {
                self.leave_out(found.path.as_bytes(), format!("inode flags: {}", text(errno)));
                known.entry
            }
        }
    }

    /// The content that the base has at this path, unless the server asks for it again.
    fn expected(&self, entry: &Entry) -> Option<Expected> {
        let Node { meta, kind: Kind::File { size, content } } = entry.node()? else { return None };
        let wanted = self.wanted.contains(content);
        (!wanted).then_some(Expected { size: *size, mtime: meta.mtime, hash: *content })
    }

    fn file(&mut self, found: &Found<'_>, expected: Option<Expected>) -> Result<(), PushError> {
        if let Some(content) = self.held_of(&found.facts) {
            // Sent before the cut; only its attributes are read again.
            let kind = Kind::File { size: content.size, content: content.hash };
            return self.node(found, &found.facts, kind, None, &found.facts.stamp);
        }
        let reading = self.contents.read(found, expected)?;
        self.take_reading(found, reading)
    }

    fn take_reading(&mut self, found: &Found<'_>, reading: Reading) -> Result<(), PushError> {
        let (copied, steady) = match reading {
            Reading::Whole(copied) => (copied, true),
            Reading::Unsteady(copied) => (copied, false),
            Reading::Vanished => {
                self.account.add(Count::Vanished, 1);
                return Ok(());
            }
            Reading::NoFile | Reading::Refused(Errno::ISDIR) => return self.replaced(found),
            Reading::Refused(errno) => {
                self.leave_out(found.path.as_bytes(), text(errno));
                return Ok(());
            }
        };
        self.account.add(Count::ReadFiles, 1);
        if !steady {
            let why = "changed each time it was read; its last reading is kept".to_owned();
            self.leave_out(found.path.as_bytes(), why);
        }
        let Copied { size, hash, facts, file } = copied;
        let stamp = if steady { facts.stamp } else { NEVER };
        self.node(found, &facts, Kind::File { size, content: hash }, Some(file.as_fd()), &stamp)
    }

    fn other(&mut self, found: &Found<'_>) -> Result<(), PushError> {
        match kind_of(found) {
            Ok(kind) => self.node(found, &found.facts, kind, found.opened(), &found.facts.stamp),
            Err(Errno::NOENT) => {
                self.account.add(Count::Vanished, 1);
                Ok(())
            }
            // It was a symbolic link when the walk looked.
            Err(Errno::INVAL) => self.replaced(found),
            Err(errno) => {
                self.leave_out(found.path.as_bytes(), text(errno));
                Ok(())
            }
        }
    }

    /// Something else has the name since the walk looked, which may be long ago.
    fn replaced(&mut self, found: &Found<'_>) -> Result<(), PushError> {
        let path = found.path.as_bytes();
        let now = match found.look_again() {
            Ok(facts) => facts,
            Err(Errno::NOENT) => {
                self.account.add(Count::Vanished, 1);
                return Ok(());
            }
            Err(errno) => {
                self.leave_out(path, text(errno));
                return Ok(());
            }
        };
        let is_elsewhere = now.is_mount || now.stamp.device != found.facts.stamp.device;
        let is_another = now.kind != found.facts.kind && !is_elsewhere;
        match (now.kind, self.looks_left.checked_sub(1)) {
            (FileKind::Folder, _) if is_another => {
                let why = "was replaced by a folder while the push ran; the next push takes it".to_owned();
                self.leave_out(path, why);
                Ok(())
            }
            (kind, Some(left)) if is_another => {
                self.looks_left = left;
                let found = Found { facts: now, ..*found };
                if kind == FileKind::File { self.file(&found, None) } else { self.other(&found) }
            }
            _ => {
                note_missed(self.account, self.monitor, path, Missed::Unsteady);
                Ok(())
            }
        }
    }

    fn node(
        &mut self,
        found: &Found<'_>,
        facts: &Facts,
        kind: Kind,
        open: Option<BorrowedFd<'_>>,
        stamp: &Stamp,
    ) -> Result<(), PushError> {
        let entry = describe(found, (facts, kind), open, &self.names, self.account);
        if facts.kind != FileKind::Folder {
            self.links.remember(facts, found.path);
        }
        self.write(entry, stamp)
    }

    fn note_long(&mut self, entry: &Entry) {
        if let Some(Node { kind: Kind::File { size, content }, .. }) = entry.node()
            && *size > LONG_BYTES
        {
            self.long.insert(shortened(content.as_bytes()));
        }
    }

    fn write(&mut self, entry: Entry, stamp: &Stamp) -> Result<(), PushError> {
        self.task.advance(1);
        self.note_long(&entry);
        match self.new.push(&entry, stamp) {
            Ok(()) => {
                self.account.add(Count::Entries, 1);
                Ok(())
            }
            Err(ManifestError::Malformed { source, .. }) => {
                self.leave_out(entry.path.as_bytes(), source.to_string());
                Ok(())
            }
            Err(ManifestError::Io(source)) => {
                Err(PushError::State(StateError::File { name: "new.manifest".to_owned(), source }))
            }
            Err(error) => Err(PushError::Manifest(error)),
        }
    }

    /// What the receiver holds of this file: only if a touch since its reading would show.
    fn held_of(&self, facts: &Facts) -> Option<Content> {
        let content = self.held.contents.get(&(facts.stamp.device, facts.stamp.inode))?;
        (content.is_of(facts) && is_settled(&facts.stamp, self.held.started)).then_some(*content)
    }

    fn leave_out(&mut self, path: &[u8], why: String) {
        self.account.leave_out(path, why);
    }
}
