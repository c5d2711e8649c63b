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

/// A time at which a host was as one of its snapshots, seconds since 1970: when that was made, or when a push came in which nothing had changed.
pub(crate) type Seen = (i64, SnapshotName);

/// Each name with its snapshot: `latest`, and of each day, week and month the first one that was seen, 0 being the newest period. So a name stays with
/// its snapshot until the period is over. A period in which none was seen has no number.
///
/// The order in which they are given says which is newer; a time only which period it is in. What was seen while the clock was ahead of what came later
/// has no number, and takes nobody's.
pub(crate) fn views_of(seen: &[Seen]) -> Vec<(String, &SnapshotName)> {
    let mut views: Vec<_> = seen.last().map(|(_, newest)| (LATEST.to_owned(), newest)).into_iter().collect();
    for kind in &KINDS {
        let firsts = firsts(seen, kind).into_iter().enumerate();
        views.extend(firsts.map(|(number, name)| (format!("{}.{number}", kind.word), name)));
    }
    views
}

/// The first snapshot of each period, newest period first.
fn firsts<'a>(seen: &'a [Seen], kind: &Kind) -> Vec<&'a SnapshotName> {
    let mut firsts = Vec::new();
    let mut oldest = None;
    for (time, name) in seen.iter().rev() {
        let period = (kind.period)(*time);
        match oldest {
            // One more of the period, older than those before.
            Some(oldest) if period == oldest => drop(firsts.pop()),
            Some(oldest) if period > oldest => continue,
            _ if firsts.len() > kind.before => break,
            _ => oldest = Some(period),
        }
        firsts.push(name);
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

    fn seen(name: SnapshotName) -> Seen {
        (name.time().timestamp(), name)
    }

    /// Snapshots at these times, in this order.
    fn taken(times: &[&str]) -> Vec<Seen> {
        let name = |(at, time): (usize, &&str)| seen(format!("{time}-{:010}", at + 1).parse().unwrap());
        times.iter().enumerate().map(name).collect()
    }

    /// `name=sequence`, of those names that begin so.
    fn named(snapshots: &[Seen], word: &str) -> Vec<String> {
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
    fn a_snapshot_has_the_names_of_all_days_on_which_nothing_changed() {
        let mut all = taken(&["20260101T000000Z", "20260101T100000Z"]);
        let stood = all[1].1.clone();
        for day in [2, 3, 5] {
            let name: SnapshotName = format!("202601{day:02}T000000Z-0000000002").parse().unwrap();
            all.push((name.time().timestamp(), stood.clone()));
        }
        assert_eq!(named(&all, "latest"), ["latest=2"]);
        assert_eq!(named(&all, "daily"), ["daily.0=2", "daily.1=2", "daily.2=2", "daily.3=1"]);
        all.push(seen("20260106T000000Z-0000000003".parse().unwrap()));
        assert_eq!(named(&all, "daily")[..2], ["daily.0=3", "daily.1=2"]);
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
        let snapshots: Vec<_> =
            (0..1_800).map(|at| seen(SnapshotName::new(time(at), at + 1).unwrap())).collect();
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
