//! A rolling verify: a share of a history each day, all of it in one cycle. What was read well is kept in the history's folder; lost, a cycle begins
//! anew.
//!
//! What is due depends on how long ago the cycle began, and on nothing that happens every day: a day on which nobody read is made up for by the next
//! run. A part with a defect stays due until it is read well, or the cycle is over.

use std::io::Read;

use chrono::{DateTime, TimeDelta, Utc};
use durable::Dir;
use history::{Log, SnapshotName, layout};
use serde::{Deserialize, Serialize};

use super::share::{PARTS, Share};

const FORMAT: &str = "firn.verify/1.0";
/// Longer than any.
const BYTES_MAX: u64 = 4_096;
/// A run that begins a little earlier in the day than the last counts as one of the next day all the same.
const HALF_A_DAY: TimeDelta = TimeDelta::hours(12);
/// Longer than any cycle.
const SECONDS_MAX: i64 = 1_000 * 86_400;

/// How far a cycle has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cycle {
    format: String,
    /// When it began, by the server's clock, seconds since 1970.
    started: i64,
    /// The newest snapshot then: all that it has is read in this cycle.
    newest: String,
    /// What was read, and was as it should be, or is noted as rotten.
    done: Share,
    /// Whether a manifest could not be read once: nobody knows which parts it names.
    is_unsound: bool,
    read_bytes: u64,
}

/// What a run has read of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartsRead {
    pub(super) share: Share,
    /// Parts with a defect that nobody has noted.
    pub(super) bad: Share,
    /// Defects of manifests.
    pub(super) records: u64,
    pub(super) bytes: u64,
}

impl Cycle {
    /// The one under way, or a new one; none of an empty history. What is not to be believed is not gone on with.
    pub(super) fn of(dir: &Dir, log: &Log, now: DateTime<Utc>, cycle_days: u32) -> Option<Self> {
        let newest = log.latest()?.name.to_string();
        let is_known = |name: &str| name.parse::<SnapshotName>().is_ok_and(|name| log.known(&name).is_some());
        let under_way = read(dir).filter(|cycle| cycle.is_of_now(now, cycle_days) && is_known(&cycle.newest));
        let (format, done) = (FORMAT.to_owned(), Share::default());
        Some(under_way.unwrap_or(Self {
            format,
            started: now.timestamp(),
            newest,
            done,
            is_unsound: false,
            read_bytes: 0,
        }))
    }

    /// Whether it began before now, and not so long ago that what was read first in it says nothing any more.
    fn is_of_now(&self, now: DateTime<Utc>, cycle_days: u32) -> bool {
        let seconds = now.timestamp().saturating_sub(self.started);
        (0..=i64::from(cycle_days) * 2 * 86_400).contains(&seconds)
    }

    /// What is to be read now.
    pub(super) fn share(&self, now: DateTime<Utc>, cycle_days: u32) -> Share {
        Share::first(self.due(now, cycle_days)).without(self.done)
    }

    /// Whether this run is its last.
    pub(super) fn ends(&self, now: DateTime<Utc>, cycle_days: u32) -> bool {
        self.due(now, cycle_days) == PARTS
    }

    /// So many parts should be done after this run.
    fn due(&self, now: DateTime<Utc>, cycle_days: u32) -> u32 {
        let passed = TimeDelta::seconds(now.timestamp().saturating_sub(self.started).clamp(0, SECONDS_MAX));
        let days = (passed + HALF_A_DAY).num_days().saturating_add(1);
        let parts = u64::try_from(days).unwrap_or(1).saturating_mul(PARTS.into());
        u32::try_from(parts.div_ceil(cycle_days.max(1).into())).unwrap_or(PARTS).min(PARTS)
    }

    /// After a run.
    pub(super) fn advance(&mut self, read: PartsRead) {
        self.done = self.done.and(read.share.without(read.bad));
        self.is_unsound |= read.records > 0;
        self.read_bytes = self.read_bytes.saturating_add(read.bytes);
    }

    pub(super) fn is_whole(&self) -> bool {
        self.done == Share::ALL && !self.is_unsound
    }

    pub(super) fn newest(&self) -> &str {
        &self.newest
    }

    pub(super) fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// How far it has come, for people.
    pub(super) fn told(&self) -> String {
        format!(
            "{} of {PARTS} parts read since {}",
            self.done.count(),
            DateTime::from_timestamp(self.started, 0).unwrap_or_default().format("%Y-%m-%d")
        )
    }
}

fn read(dir: &Dir) -> Option<Cycle> {
    let mut text = String::new();
    dir.open_read(layout::VERIFY).ok()?.take(BYTES_MAX).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok().filter(|cycle: &Cycle| cycle.format == FORMAT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn began(now: DateTime<Utc>) -> Cycle {
        let (format, newest) = (FORMAT.to_owned(), String::new());
        Cycle {
            format,
            started: now.timestamp(),
            newest,
            done: Share::default(),
            is_unsound: false,
            read_bytes: 0,
        }
    }

    /// Runs after so many days from the start; how many parts each of them reads.
    fn runs(days: &[i64], cycle_days: u32, bad: Share) -> (Cycle, Vec<u32>) {
        let mut cycle = began(DateTime::UNIX_EPOCH);
        let read = days.iter().map(|day| {
            let now = DateTime::UNIX_EPOCH + TimeDelta::days(*day);
            let share = cycle.share(now, cycle_days);
            cycle.advance(PartsRead { share, bad, records: 0, bytes: 1 });
            share.count()
        });
        let read = read.collect();
        (cycle, read)
    }

    #[test]
    fn a_cycle_reads_all_of_it_in_shares_of_one_size() {
        let days: Vec<i64> = (0..30).collect();
        let (cycle, read) = runs(&days, 30, Share::default());
        assert!(cycle.is_whole() && read.iter().all(|parts| (8..=9).contains(parts)), "{read:?}");
        let end = |day| cycle.ends(DateTime::UNIX_EPOCH + TimeDelta::days(day), 30);
        assert!(!end(28) && end(29));
    }

    #[test]
    fn a_day_without_a_run_is_made_up_for_by_the_next_and_a_second_run_of_a_day_reads_nothing() {
        let (cycle, read) = runs(&[0, 0, 5, 29], 30, Share::default());
        assert_eq!(read, [9, 0, 43, 204]);
        assert!(cycle.is_whole());
    }

    #[test]
    fn a_cycle_that_began_long_ago_or_later_than_now_begins_anew() {
        let began = DateTime::UNIX_EPOCH + TimeDelta::days(1_000);
        let is_of_now = |days| super::tests::began(began).is_of_now(began + TimeDelta::days(days), 30);
        assert!([0, 1, 30, 60].map(is_of_now).iter().all(|is| *is));
        assert!(![-1, 61, 330].map(is_of_now).iter().any(|is| *is));
    }

    #[test]
    fn a_part_with_a_defect_stays_due_and_keeps_the_cycle_from_being_whole() {
        let mut bad = Share::default();
        bad.add(3);
        let (cycle, read) = runs(&[0, 1, 29], 30, bad);
        assert_eq!(read, [9, 10, 239]);
        assert!(!cycle.is_whole());
    }
}
