//! The snapshots that a log comes to: which exist, which were pruned, what is held and what was verified.

use formats::Root;
use formats::records::grant::Granted;
use formats::records::log::{Event, LogLine};

use super::state::Log;
use crate::error::{Error, LogDefect, Result};
use crate::name::SnapshotName;
use crate::snapshot::Snapshot;

/// A snapshot that does not exist any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    /// What it was.
    pub snapshot: Snapshot,
    /// Since when, by the server's clock.
    pub time: String,
    /// Line of the log that says so.
    pub line: u64,
}

/// Something that is not to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Name of the snapshot; none for the whole history.
    pub snapshot: Option<String>,
    /// Why.
    pub reason: String,
    /// Since when, by the server's clock.
    pub time: String,
    /// Line of the log that says so.
    pub line: u64,
}

/// All that there was, read again and found as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Sequence of the newest snapshot that was read.
    pub newest: u64,
    /// When, by the server's clock.
    pub time: String,
}

/// A copy that a host may fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenGrant {
    /// What, until when, and by whom.
    pub granted: Granted,
    /// Since when, by the server's clock.
    pub time: String,
    /// Line of the log that says so.
    pub line: u64,
}

/// The state.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    /// Ever made.
    made: u64,
    snapshots: Vec<Snapshot>,
    pruned: Vec<Pruned>,
    holds: Vec<Held>,
    verified: Option<Verified>,
    grant: Option<OpenGrant>,
    released_line: u64,
    new_bytes: u64,
    freed_bytes: u64,
    /// When, and how much.
    freed: Vec<(String, u64)>,
}

impl Kept {
    /// One more.
    pub(super) fn add(&mut self, snapshot: Snapshot) {
        self.made += 1;
        self.new_bytes = self.new_bytes.saturating_add(snapshot.new_bytes);
        self.snapshots.push(snapshot);
    }

    /// What happened to those that are there.
    pub(super) fn take(&mut self, line: &LogLine) -> std::result::Result<(), LogDefect> {
        match &line.event {
            Event::Hold { reason, snapshot } => {
                self.require(snapshot.as_deref())?;
                self.holds.retain(|held| held.snapshot != *snapshot);
                let (snapshot, reason) = (snapshot.clone(), reason.clone());
                self.holds.push(Held { snapshot, reason, time: line.time.clone(), line: line.line });
            }
            Event::Release { snapshot, .. } => {
                self.holds.retain(|held| held.snapshot != *snapshot);
                if snapshot.is_none() {
                    self.released_line = line.line;
                }
            }
            Event::Verify { newest, .. } => {
                let newest = newest.parse::<SnapshotName>().ok().filter(|name| name.sequence() <= self.made);
                let newest = newest.ok_or(LogDefect::Snapshot("verifies a snapshot that never was"))?;
                self.verified = Some(Verified { newest: newest.sequence(), time: line.time.clone() });
            }
            Event::Prune { sequence, name, root, .. } => self.prune(line, (*sequence, name, *root))?,
            Event::Grant(granted) => self.open(line, granted)?,
            Event::GrantEnd { grant, .. } => match &self.grant {
                Some(open) if open.line == *grant => self.grant = None,
                _ => return Err(LogDefect::Snapshot("ends a grant that is not open")),
            },
            Event::Freed { bytes } => {
                self.freed_bytes = self.freed_bytes.saturating_add(*bytes);
                self.freed.push((line.time.clone(), *bytes));
            }
            Event::Ingest(_)
            | Event::Unchanged(_)
            | Event::Reject { .. }
            | Event::Alarm { .. }
            | Event::Reset { .. }
            | Event::Rot { .. }
            | Event::Healed { .. }
            | Event::Redact(_)
            | Event::Restore { .. } => {}
        }
        Ok(())
    }

    /// The last guard: a line that names what must stay can neither be written nor read.
    fn prune(
        &mut self,
        line: &LogLine,
        (sequence, name, root): (u64, &str, Root),
    ) -> std::result::Result<(), LogDefect> {
        let place = self.place(sequence).ok_or(LogDefect::Snapshot("prunes a snapshot that is not there"))?;
        let found = self.snapshots.get(place);
        if !found.is_some_and(|found| found.name.as_str() == name && found.root == root) {
            return Err(LogDefect::Snapshot("prunes a snapshot that is another one"));
        }
        if place + 1 == self.snapshots.len() {
            return Err(LogDefect::Snapshot("prunes the newest snapshot"));
        }
        if self.holds.iter().any(|held| held.snapshot.as_deref().is_none_or(|held| held == name)) {
            return Err(LogDefect::Snapshot("prunes a snapshot that is on hold"));
        }
        let snapshot = self.snapshots.remove(place);
        self.pruned.push(Pruned { snapshot, time: line.time.clone(), line: line.line });
        Ok(())
    }

    fn open(&mut self, line: &LogLine, granted: &Granted) -> std::result::Result<(), LogDefect> {
        if self.grant.is_some() {
            return Err(LogDefect::Snapshot("opens a second grant"));
        }
        if !self.snapshots.iter().any(|known| known.name.as_str() == granted.snapshot) {
            return Err(LogDefect::Snapshot("grants a snapshot that is not there"));
        }
        self.grant = Some(OpenGrant { granted: granted.clone(), time: line.time.clone(), line: line.line });
        Ok(())
    }

    fn require(&self, name: Option<&str>) -> std::result::Result<(), LogDefect> {
        match name {
            Some(name) if !self.snapshots.iter().any(|known| known.name.as_str() == name) => {
                Err(LogDefect::Snapshot("holds a snapshot that is not there"))
            }
            _ => Ok(()),
        }
    }

    fn place(&self, sequence: u64) -> Option<usize> {
        self.snapshots.binary_search_by_key(&sequence, |known| known.sequence).ok()
    }
}

impl Log {
    /// The snapshots that exist, oldest first.
    #[must_use]
    pub fn snapshots(&self) -> &[Snapshot] {
        &self.kept.snapshots
    }

    /// The newest snapshot.
    #[must_use]
    pub fn latest(&self) -> Option<&Snapshot> {
        self.snapshots().last()
    }

    /// The snapshot of this name; `latest` is the newest.
    pub fn find(&self, name: &str) -> Result<&Snapshot> {
        let found = match name {
            "latest" => self.latest(),
            name => self.snapshots().iter().find(|snapshot| snapshot.name.as_str() == name),
        };
        found.ok_or_else(|| {
            let (host, name) = (self.host().to_owned(), name.to_owned());
            match self.pruned().iter().find(|pruned| pruned.snapshot.name.as_str() == name) {
                Some(pruned) => Error::Pruned { host, name, time: pruned.time.clone() },
                None => Error::NoSnapshot { host, name },
            }
        })
    }

    /// What the log knows under this name, whether it still exists or was pruned.
    #[must_use]
    pub fn known(&self, name: &SnapshotName) -> Option<&Snapshot> {
        let kept = self.kept.place(name.sequence()).and_then(|place| self.snapshots().get(place));
        let pruned =
            || self.pruned().iter().map(|pruned| &pruned.snapshot).find(|pruned| pruned.name == *name);
        kept.filter(|kept| kept.name == *name).or_else(pruned)
    }

    /// The newest snapshot with this root.
    #[must_use]
    pub fn by_root(&self, root: Root) -> Option<&Snapshot> {
        self.snapshots().iter().rev().find(|snapshot| snapshot.root == root)
    }

    /// The snapshots that do not exist any more, in the order in which they went.
    #[must_use]
    pub fn pruned(&self) -> &[Pruned] {
        &self.kept.pruned
    }

    /// Why nothing of this history may be removed, if that is so.
    #[must_use]
    pub fn hold(&self) -> Option<&str> {
        self.holds().iter().find(|held| held.snapshot.is_none()).map(|held| held.reason.as_str())
    }

    /// Why this snapshot may not be removed, by a hold of its own.
    #[must_use]
    pub fn hold_on(&self, name: &SnapshotName) -> Option<&str> {
        let held = self.holds().iter().find(|held| held.snapshot.as_deref() == Some(name.as_str()));
        held.map(|held| held.reason.as_str())
    }

    /// All holds that last, oldest first.
    #[must_use]
    pub fn holds(&self) -> &[Held] {
        &self.kept.holds
    }

    /// When all was last read again and found well.
    #[must_use]
    pub fn verified(&self) -> Option<&Verified> {
        self.kept.verified.as_ref()
    }

    /// The newest snapshot that exists and was read again.
    #[must_use]
    pub fn newest_verified(&self) -> Option<&Snapshot> {
        let newest = self.verified()?.newest;
        self.snapshots().iter().rev().find(|snapshot| snapshot.sequence <= newest)
    }

    /// The grant that is open. There is no more than one.
    #[must_use]
    pub fn grant(&self) -> Option<&OpenGrant> {
        self.kept.grant.as_ref()
    }

    /// The last line by which the whole history was released: what is before it, a person has looked at. 0 if there is none.
    #[must_use]
    pub fn released_line(&self) -> u64 {
        self.kept.released_line
    }

    /// Bytes of different contents that all snapshots ever brought, without what pruned ones had for themselves.
    #[must_use]
    pub fn content_bytes(&self) -> u64 {
        self.kept.new_bytes.saturating_sub(self.kept.freed_bytes)
    }

    /// Bytes that pruned snapshots had for themselves and that left the disk at times, by the server's clock, that are wanted.
    #[must_use]
    pub fn freed_since(&self, is_wanted: impl Fn(&str) -> bool) -> u64 {
        let freed = self.kept.freed.iter().filter(|(time, _)| is_wanted(time));
        freed.fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes))
    }

    /// The sequence of the next snapshot.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.kept.made + 1
    }
}
