//! How a host's history stands beyond whether it is late: alarms, budget, verify, and when the disk will be full. Values in, values out.

use chrono::{DateTime, TimeDelta, Utc};
use formats::limits::FLAT_ENTRY_BYTES;
use history::Log;
use serde_json::{Value, json};

use super::ice::time;
use super::newest::Newest;
use crate::explain::{json_of, open_alarms};
use crate::ingest_host::charge;
use crate::limits::Allowed;

/// What the log tells about use is of so many days.
const DAYS: i64 = 30;
/// Alarms that are told of each host; `explain` tells all.
const TOLD_MAX: usize = 10;
/// Names that an inode of ext4 can bear. XFS and btrfs bear more.
const NAMES_MAX: u64 = 65_000;
/// What will be used up that soon is named.
const SOON_DAYS: u64 = 30;

/// What the file system of the history still has, without what is kept back.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Free {
    pub(crate) bytes: Option<u64>,
    /// None also where the file system does not count them.
    pub(crate) inodes: Option<u64>,
}

/// What a history takes in a day, by its last 30.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Use {
    bytes: u64,
    inodes: Option<u64>,
}

impl Use {
    /// Of the host whose newest snapshot has so many different contents, where that is known. What has no content of its own (folders, symbolic
    /// links) is made anew in each snapshot; what was pruned gave its back.
    pub(crate) fn of(now: DateTime<Utc>, log: &Log, contents: Option<u64>) -> Self {
        let is_recent =
            |text: &str| time(text).is_some_and(|time| time <= now && now - time < TimeDelta::days(DAYS));
        let made: Vec<_> =
            log.snapshots().iter().filter(|one| !one.imported && is_recent(&one.accepted)).collect();
        let first = log.snapshots().first().and_then(|first| time(&first.accepted));
        // The first push brings what was there before: it is no use of a day.
        let made: Vec<_> = made.into_iter().filter(|one| one.sequence > 1).collect();
        let days = first.map_or(1, |first| (now - first).num_days().clamp(1, DAYS)).unsigned_abs();
        let bytes = made.iter().fold(0u64, |sum, one| {
            let entries = one.entries.saturating_mul(FLAT_ENTRY_BYTES);
            sum.saturating_add(one.new_bytes).saturating_add(entries).saturating_add(one.long_entry_bytes)
        });
        let bytes = bytes.saturating_sub(log.freed_since(|text| is_recent(text)));
        let inodes = contents.map(|contents| {
            let own = |entries: u64| entries.saturating_sub(contents);
            let made = made
                .iter()
                .fold(0u64, |sum, one| sum.saturating_add(own(one.entries)).saturating_add(one.changes));
            let gone = log.pruned().iter().filter(|pruned| is_recent(&pruned.time));
            made.saturating_sub(gone.fold(0, |sum, pruned| sum.saturating_add(own(pruned.snapshot.entries))))
                / days
        });
        Self { bytes: bytes / days, inodes }
    }

    /// All hosts together.
    pub(crate) fn and(self, other: Self) -> Self {
        let inodes = match (self.inodes, other.inodes) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (known, None) | (None, known) => known,
        };
        Self { bytes: self.bytes.saturating_add(other.bytes), inodes }
    }
}

/// When it is used up.
pub(crate) fn forecast(free: Free, a_day: Use) -> Value {
    json!({
        "bytes": { "free": free.bytes, "per_day": a_day.bytes, "days": days(free.bytes, Some(a_day.bytes)) },
        "inodes": { "free": free.inodes, "per_day": a_day.inodes, "days": days(free.inodes, a_day.inodes) },
    })
}

/// What will be used up soon, in words.
pub(crate) fn soon(free: Free, a_day: Use) -> Vec<String> {
    let kinds = [("room", free.bytes, Some(a_day.bytes)), ("inodes", free.inodes, a_day.inodes)];
    let soon = kinds.into_iter().filter_map(|(what, free, a_day)| Some((what, days(free, a_day)?)));
    soon.filter(|(_, days)| *days <= SOON_DAYS)
        .map(|(what, days)| {
            format!("the history's {what} will be used up in {days} days, as the last {DAYS} were")
        })
        .collect()
}

fn days(free: Option<u64>, a_day: Option<u64>) -> Option<u64> {
    free?.checked_div(a_day?)
}

/// Adds what is known of one host to its report.
pub(crate) fn json(
    log: Option<&Log>,
    newest: Option<Newest>,
    allowed: Option<&Allowed>,
    (now, a_day): (DateTime<Utc>, Use),
) -> Value {
    let Some(log) = log else { return Value::Null };
    let alarms = open_alarms(log);
    let told = alarms.iter().rev().take(TOLD_MAX).map(|raised| json_of(log, raised)).collect::<Vec<_>>();
    let limit = |bytes: u64| Some(bytes).filter(|bytes| *bytes < u64::MAX);
    json!({
        "tripwires": { "alarms": alarms.len(), "last": told },
        "quota": {
            "used_bytes": charge::of_log(log),
            "soft_bytes": allowed.and_then(|allowed| limit(allowed.admission.history_soft_bytes)),
            "hard_bytes": allowed.and_then(|allowed| limit(allowed.admission.history_bytes)),
        },
        "verify_days": verify_days(now, log),
        "per_day": { "bytes": a_day.bytes, "inodes_at_most": a_day.inodes },
        "links": links(log.snapshots().len() as u64, newest.map(|newest| newest.most_names)),
    })
}

/// When an inode has as many names as it can bear: that of the content which has most names in the newest snapshot, if each had so many.
fn links(snapshots: u64, a_snapshot: Option<u64>) -> Value {
    let names = a_snapshot.map(|a_snapshot| a_snapshot.saturating_mul(snapshots));
    let left = |names| NAMES_MAX.saturating_sub(names).checked_div(a_snapshot?);
    json!({
        "a_snapshot": a_snapshot,
        "names": names,
        "ceiling": NAMES_MAX,
        "snapshots_left": names.and_then(left),
    })
}

/// Since the whole history was last read again and found well; none if it never was.
fn verify_days(now: DateTime<Utc>, log: &Log) -> Option<i64> {
    log.verified().and_then(|verified| time(&verified.time)).map(|verified| (now - verified).num_days())
}

/// For the line of a host: only what somebody has to look at.
pub(crate) fn parts(log: &Log) -> Vec<String> {
    let alarms = open_alarms(log);
    let Some(last) = alarms.last() else { return Vec::new() };
    vec![format!(
        "{} alarms since the last release, the last at {}: `snapshotter explain {}`",
        alarms.len(),
        last.time,
        log.host()
    )]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_with_many_names_in_each_snapshot_comes_to_the_ceiling_so_many_times_sooner() {
        let left = |snapshots, a_snapshot| links(snapshots, a_snapshot)["snapshots_left"].as_u64();
        assert_eq!(left(77, Some(1)), Some(64_923));
        assert_eq!(left(77, Some(100)), Some(573));
        assert_eq!(left(77, Some(1_000)), Some(0), "it has several inodes by now");
        assert_eq!(left(2, Some(65_001)), Some(0));
        assert_eq!(left(77, Some(u64::MAX)), Some(0));
        assert_eq!(left(77, Some(0)), None, "no file but empty ones");
        assert_eq!((left(77, None), links(77, None)["ceiling"].as_u64()), (None, Some(65_000)));
    }

    #[test]
    fn what_is_used_up_soon_is_named_and_what_is_not_is_not() {
        let free = Free { bytes: Some(3_000), inodes: Some(310) };
        let a_day = Use { bytes: 100, inodes: Some(10) };
        assert_eq!(soon(free, a_day).len(), 1);
        assert_eq!(forecast(free, a_day)["bytes"]["days"], 30);
        assert_eq!(forecast(free, a_day)["inodes"]["days"], 31);
        for quiet in [Use::default(), Use { bytes: 0, inodes: Some(0) }] {
            assert!(soon(free, quiet).is_empty() && forecast(free, quiet)["bytes"]["days"].is_null());
        }
        assert!(soon(Free::default(), a_day).is_empty(), "what is not known is not told");
        assert_eq!(soon(Free { bytes: Some(0), inodes: Some(0) }, a_day).len(), 2);
        let most = Use { bytes: u64::MAX, inodes: Some(u64::MAX) };
        assert_eq!(most.and(most), most);
        assert_eq!(Use::default().and(a_day), a_day);
    }
}
