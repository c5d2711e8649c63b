//! Pushes in which nothing had changed: a line of the log, and no snapshot.

use formats::records::log::{LogLine, Unchanged};

use super::state::Log;
use crate::error::LogDefect;
use crate::snapshot::Snapshot;

/// An accepted push that is the same as a snapshot that was there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnchangedPush {
    /// Sequence of that snapshot.
    pub sequence: u64,
    /// Start of the push by the host's clock, seconds since 1970.
    pub started: i64,
    /// The host's time zone.
    pub zone: String,
    /// When it was accepted, by the server's clock.
    pub accepted: String,
    /// Line of the log that says so.
    pub line: u64,
}

/// An accepted push, whether it became a snapshot or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptedPush<'a> {
    /// Start of the push by the host's clock, seconds since 1970.
    pub started: i64,
    /// The host's time zone.
    pub zone: &'a str,
    /// When it was accepted, by the server's clock.
    pub accepted: &'a str,
    /// Line of the log that says so.
    pub line: u64,
}

impl Log {
    /// The accepted pushes that are the same as the newest snapshot of their time, oldest first.
    #[must_use]
    pub fn unchanged_pushes(&self) -> &[UnchangedPush] {
        &self.unchanged
    }

    /// The newest push that was the same as this snapshot; none if no other was.
    #[must_use]
    pub fn unchanged_since(&self, snapshot: &Snapshot) -> Option<&UnchangedPush> {
        let end = self.unchanged.partition_point(|push| push.sequence <= snapshot.sequence);
        self.unchanged.get(..end)?.last().filter(|push| push.sequence == snapshot.sequence)
    }

    /// All accepted pushes whose snapshot was not pruned, newest first.
    pub fn accepted_pushes(&self) -> impl Iterator<Item = AcceptedPush<'_>> {
        let mut snapshots = self.snapshots().iter().rev().map(of_snapshot).peekable();
        let mut unchanged = self.unchanged.iter().rev().map(of_unchanged).peekable();
        std::iter::from_fn(move || {
            let line = |push: Option<&AcceptedPush<'_>>| push.map(|push| push.line);
            if line(snapshots.peek()) > line(unchanged.peek()) { snapshots.next() } else { unchanged.next() }
        })
    }

    /// A push may stand for the snapshot only that the host is told as its base.
    pub(super) fn unchanged(&mut self, line: &LogLine, push: &Unchanged) -> Result<(), LogDefect> {
        let is_newest = |newest: &Snapshot| newest.sequence == push.sequence && newest.root == push.root;
        if !self.latest().is_some_and(is_newest) || self.base() != Some(push.root) {
            return Err(LogDefect::Snapshot("is said to be unchanged, and is not the base"));
        }
        self.unchanged.push(UnchangedPush {
            sequence: push.sequence,
            started: push.started,
            zone: push.zone.clone(),
            accepted: line.time.clone(),
            line: line.line,
        });
        Ok(())
    }
}

fn of_snapshot(snapshot: &Snapshot) -> AcceptedPush<'_> {
    let Snapshot { started, zone, accepted, line, .. } = snapshot;
    AcceptedPush { started: *started, zone, accepted, line: *line }
}

fn of_unchanged(push: &UnchangedPush) -> AcceptedPush<'_> {
    let UnchangedPush { started, zone, accepted, line, .. } = push;
    AcceptedPush { started: *started, zone, accepted, line: *line }
}
