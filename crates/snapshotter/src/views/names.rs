//! Which snapshot has which of the names people know. Pure: no clock, no folder.

use history::SnapshotName;

use crate::retain::{self, Bucket};

/// The newest snapshot.
const LATEST: &str = "latest";

/// Periods of which the first snapshot has a name.
struct Kind {
    word: &'static str,
    /// So many periods have one besides the newest.
    before: usize,
    /// Which period a time is in, UTC.
    period: Bucket,
}

/// As many as a history of two years is looked at by.
const KINDS: [Kind; 3] = [
    Kind { word: "daily", before: 31, period: retain::day },
    Kind { word: "weekly", before: 13, period: retain::week },
    Kind { word: "monthly", before: 24, period: retain::month },
];

/// Each name with its snapshot: `latest`, and of each day, week and month the first one, 0 being the newest period. So a name stays with its snapshot
/// until the period is over. A period without a snapshot has no number.
///
/// The sequence says which is newer; the time in a snapshot's name only which period it is in. What was made while the clock was ahead of a newer snapshot's
/// has no number, and takes nobody's.
pub(crate) fn views_of(snapshots: &[SnapshotName]) -> Vec<(String, &SnapshotName)> {
    let mut newest_first: Vec<&SnapshotName> = snapshots.iter().collect();
    newest_first.sort_by_key(|name| std::cmp::Reverse(name.sequence()));
    let mut views: Vec<_> =
        newest_first.first().map(|newest| (LATEST.to_owned(), *newest)).into_iter().collect();
    for kind in &KINDS {
        let firsts = firsts(&newest_first, kind).into_iter().enumerate();
        views.extend(firsts.map(|(number, name)| (format!("{}.{number}", kind.word), name)));
    }
    views
}

/// The first snapshot of each period, newest period first.
fn firsts<'a>(newest_first: &[&'a SnapshotName], kind: &Kind) -> Vec<&'a SnapshotName> {
    let mut firsts = Vec::new();
    let mut oldest = None;
    for name in newest_first {
        let period = (kind.period)(name.time().timestamp());
        match oldest {
            // One more of the period, older than those before.
            Some(oldest) if period == oldest => drop(firsts.pop()),
            Some(oldest) if period > oldest => continue,
            _ if firsts.len() > kind.before => break,
            _ => oldest = Some(period),
        }
        firsts.push(*name);
    }
    firsts
}

/// Whether a name is one of those that [`views_of`] gives, whatever its number.
pub(crate) fn is_view(name: &[u8]) -> bool {
    let Ok(name) = std::str::from_utf8(name) else { return false };
    let numbered = name.split_once('.').is_some_and(|(word, number)| {
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        KINDS.iter().any(|kind| kind.word == word) && digits
    });
    name == LATEST || numbered
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    /// Snapshots at these times, in this order.
    fn taken(times: &[&str]) -> Vec<SnapshotName> {
        let name = |(at, time): (usize, &&str)| format!("{time}-{:010}", at + 1).parse().unwrap();
        times.iter().enumerate().map(name).collect()
    }

    /// `name=sequence`, of those names that begin so.
    fn named(snapshots: &[SnapshotName], word: &str) -> Vec<String> {
        let views = views_of(snapshots);
        let of_word = views.iter().filter(|(view, _)| view.starts_with(word));
        of_word.map(|(view, name)| format!("{view}={}", name.sequence())).collect()
    }

    #[test]
    fn without_a_snapshot_there_is_no_name() {
        assert!(views_of(&[]).is_empty());
    }

    #[test]
    fn the_first_snapshot_of_each_day_week_and_month_has_a_name_and_days_without_one_have_no_number() {
        let snapshots = taken(&[
            "20251231T235959Z",
            "20260101T000000Z",
            "20260101T100000Z",
            "20260104T235959Z", // a Sunday
            "20260105T000000Z",
            "20260105T080000Z",
            "20260201T020000Z",
            "20260201T100000Z",
        ]);
        assert_eq!(named(&snapshots, "latest"), ["latest=8"]);
        assert_eq!(
            named(&snapshots, "daily"),
            ["daily.0=7", "daily.1=5", "daily.2=4", "daily.3=2", "daily.4=1"]
        );
        assert_eq!(named(&snapshots, "weekly"), ["weekly.0=7", "weekly.1=5", "weekly.2=1"]);
        assert_eq!(named(&snapshots, "monthly"), ["monthly.0=7", "monthly.1=2", "monthly.2=1"]);
    }

    #[test]
    fn the_order_in_which_they_are_given_means_nothing() {
        let snapshots = taken(&["20260101T000000Z", "20260102T000000Z", "20260103T000000Z"]);
        let mut turned = snapshots.clone();
        turned.reverse();
        let owned = |snapshots: &[SnapshotName]| {
            views_of(snapshots).into_iter().map(|(view, name)| (view, name.clone())).collect::<Vec<_>>()
        };
        assert_eq!(owned(&snapshots), owned(&turned));
    }

    #[test]
    fn a_clock_that_was_wrong_for_a_day_takes_the_names_of_no_other_snapshot() {
        let snapshots = taken(&[
            "20260101T000000Z",
            "20360101T000000Z",
            "20260102T000000Z",
            "20360101T000000Z",
            "20260102T100000Z",
        ]);
        assert_eq!(named(&snapshots, "latest"), ["latest=5"]);
        assert_eq!(named(&snapshots, "daily"), ["daily.0=3", "daily.1=1"]);
        // Set back, it shows days that are older than all: from then on they are.
        let snapshots = taken(&["20260101T000000Z", "19700101T000000Z", "20260102T000000Z"]);
        assert_eq!(named(&snapshots, "daily"), ["daily.0=3", "daily.1=2"]);
    }

    #[test]
    fn there_are_32_days_14_weeks_and_25_months_and_no_more() {
        let first = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let time = |at: u64| first + chrono::Days::new(at / 2);
        let snapshots: Vec<_> = (0..1_800).map(|at| SnapshotName::new(time(at), at + 1).unwrap()).collect();
        for (word, count) in [("latest", 1), ("daily", 32), ("weekly", 14), ("monthly", 25)] {
            let named = named(&snapshots, word);
            assert_eq!(named.len(), count, "{named:?}");
        }
        assert!(views_of(&snapshots).iter().all(|(view, _)| is_view(view.as_bytes())));
        assert_eq!(named(&snapshots, "daily").last().unwrap(), "daily.31=1737");
    }

    #[test]
    fn no_other_name_is_a_view() {
        for other in [
            "",
            "latest.0",
            "daily",
            "daily.",
            "daily.x",
            "daily.1.2",
            "hourly.0",
            "Daily.0",
            "notes",
            ".lock",
        ] {
            assert!(!is_view(other.as_bytes()), "{other}");
        }
        assert!(!is_view(b"daily.\xff") && is_view(b"daily.99"));
    }
}
