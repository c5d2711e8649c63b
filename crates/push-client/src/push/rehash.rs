//! Which untouched files are read again, so that each comes round once a period: what changes without a trace on its inode (a rotten
//! disk, somebody who writes to the device) is seen by its bytes alone.

use formats::RelPath;

const DAY_SECONDS: i64 = 86_400;

/// The share of one run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rehash {
    period: i64,
    since: i64,
    now: i64,
}

impl Rehash {
    /// Of a run that starts at `now`, seconds since 1970, after one at `since`; none without a period or an earlier run.
    pub(super) fn new(days: u32, since: Option<i64>, now: i64) -> Option<Self> {
        let period = i64::from(days) * DAY_SECONDS;
        since.filter(|since| days > 0 && *since < now).map(|since| Self { period, since, now })
    }

    /// True if the moment of this path, the same in each period, lies after the earlier run and not after this one.
    pub(super) fn is_due(&self, path: &RelPath) -> bool {
        let mut start = [0; 8];
        start.iter_mut().zip(blake3::hash(path.as_bytes()).as_bytes()).for_each(|(to, from)| *to = *from);
        let moment = i64::from_le_bytes(start).rem_euclid(self.period);
        let turn = |time: i64| time.saturating_sub(moment).div_euclid(self.period);
        turn(self.now) > turn(self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = DAY_SECONDS;

    fn due(days: u32, since: i64, now: i64) -> Vec<usize> {
        let Some(rehash) = Rehash::new(days, Some(since), now) else { return Vec::new() };
        (0..3_000).filter(|n| rehash.is_due(&RelPath::new(format!("srv/{n}").as_bytes()).unwrap())).collect()
    }

    #[test]
    fn each_file_comes_round_once_a_period_however_the_runs_lie() {
        let mut times = vec![1_700_000_000];
        // Runs at odd distances, one of them after a week.
        for hours in [8, 8, 8, 1, 23, 168, 100, 4].into_iter().cycle() {
            let last = *times.last().unwrap();
            if last - times[0] >= 30 * DAY {
                break;
            }
            times.push((last + hours * 3_600).min(times[0] + 30 * DAY));
        }
        let mut seen: Vec<usize> = times.windows(2).flat_map(|pair| due(30, pair[0], pair[1])).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..3_000).collect::<Vec<_>>());
    }

    #[test]
    fn a_run_has_the_share_of_its_time() {
        let share = due(30, 1_700_000_000, 1_700_000_000 + 3 * DAY).len();
        assert!((240..360).contains(&share), "{share} of 3,000, a tenth was expected");
    }

    #[test]
    fn nothing_is_due_without_a_period_or_an_earlier_run_or_when_the_clock_went_back() {
        assert_eq!(due(0, 0, 400 * DAY), Vec::<usize>::new());
        assert_eq!(due(30, 10 * DAY, 5 * DAY), Vec::<usize>::new());
        assert!(Rehash::new(30, None, DAY).is_none());
        // After a long time it is everything, once.
        assert_eq!(due(30, 0, 400 * DAY).len(), 3_000);
        assert_eq!(due(30, i64::MIN + 1, i64::MAX).len(), 3_000);
    }
}
