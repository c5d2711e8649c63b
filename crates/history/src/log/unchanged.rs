//! Pushes in which nothing had changed: a line of the log, and no snapshot.

use chrono::DateTime;
use formats::PushId;
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
    /// The push.
    pub push: PushId,
    /// When it was accepted, by the server's clock.
    pub accepted: String,
    /// The same, in seconds since 1970.
    pub time: i64,
    /// Line of the log that says so.
    pub line: u64,
}

/// An accepted push: a time at which the host was as one of the snapshots that exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptedPush<'a> {
    /// The place of the snapshot in [`Log::snapshots`].
    pub place: usize,
    /// Start of the push by the host's clock, seconds since 1970.
    pub started: i64,
    /// The host's time zone.
    pub zone: &'a str,
    /// When it was accepted, by the server's clock; of an imported one, when it was made.
    pub accepted: &'a str,
    /// The same, in seconds since 1970.
    pub time: i64,
    /// Line of the log that says so.
    pub line: u64,
}

impl Log {
    /// The accepted pushes that were the same as the newest snapshot of their time, oldest first; also of snapshots that were pruned since.
    #[must_use]
    pub fn unchanged_pushes(&self) -> &[UnchangedPush] {
        &self.unchanged
    }

    /// The newest push that was the same as this snapshot; none if no other was.
    #[must_use]
    pub fn unchanged_at(&self, snapshot: &Snapshot) -> Option<&UnchangedPush> {
        let end = self.unchanged.partition_point(|push| push.sequence <= snapshot.sequence);
        self.unchanged.get(..end)?.last().filter(|push| push.sequence == snapshot.sequence)
    }

    /// All accepted pushes of the snapshots that exist, oldest first: each snapshot, and after it those in which nothing had changed.
    pub fn accepted_pushes(&self) -> impl Iterator<Item = AcceptedPush<'_>> {
        self.snapshots().iter().enumerate().flat_map(move |(place, snapshot)| {
            let begin = self.unchanged.partition_point(|push| push.sequence < snapshot.sequence);
            let rest = self.unchanged.get(begin..).unwrap_or_default();
            let same = rest.iter().take_while(move |push| push.sequence == snapshot.sequence);
            std::iter::once(of_snapshot(place, snapshot))
                .chain(same.map(move |push| of_unchanged(place, push)))
        })
    }

    /// The newest accepted push. The newest snapshot is what it came to, whether it is one of its own or not.
    #[must_use]
    pub fn newest_push(&self) -> Option<AcceptedPush<'_>> {
        let newest = self.latest()?;
        let place = self.snapshots().len() - 1;
        let unchanged = self.unchanged_at(newest).map(|push| of_unchanged(place, push));
        Some(unchanged.unwrap_or_else(|| of_snapshot(place, newest)))
    }

    /// A push may stand for the snapshot only that the host is told as its base: the base is the root of the newest, or none.
    pub(super) fn unchanged(&mut self, line: &LogLine, push: &Unchanged) -> Result<(), LogDefect> {
        let is_newest = self.latest().is_some_and(|newest| newest.sequence == push.sequence);
        if !is_newest || self.base() != Some(push.root) {
            return Err(LogDefect::Snapshot("is said to be unchanged, and is not the base"));
        }
        let time = DateTime::parse_from_rfc3339(&line.time).map_err(|_| LogDefect::Ingest("not a time"))?;
        self.unchanged.push(UnchangedPush {
            sequence: push.sequence,
            push: push.push,
            time: time.timestamp(),
            started: push.started,
            zone: push.zone.clone(),
            accepted: line.time.clone(),
            line: line.line,
        });
        Ok(())
    }
}

fn of_snapshot(place: usize, snapshot: &Snapshot) -> AcceptedPush<'_> {
    let Snapshot { started, zone, accepted, line, name, .. } = snapshot;
    AcceptedPush { place, started: *started, zone, accepted, time: name.time().timestamp(), line: *line }
}

fn of_unchanged(place: usize, push: &UnchangedPush) -> AcceptedPush<'_> {
    let UnchangedPush { started, zone, accepted, time, line, .. } = push;
    AcceptedPush { place, started: *started, zone, accepted, time: *time, line: *line }
}
