use super::*;

mod model;

const DEFAULT: Policy = Policy { every_days: 3, daily: 31, weekly: 13, monthly: 24, reach_days: 731 };
const HOUR: i64 = 3600;
/// 2026-01-01, a Thursday.
const START: i64 = 1_767_225_600;
/// Of random ones, so many.
const HISTORIES: usize = 100_000;

/// Random enough, and the same every time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    fn step(&mut self, seconds: i64) -> i64 {
        i64::try_from(self.roll(u64::try_from(seconds).unwrap())).unwrap()
    }

    /// Pushes at hours, days or weeks from each other, with gaps, and a clock that is set wrong now and then.
    fn history(&mut self) -> Vec<i64> {
        let pace = [HOUR, 8 * HOUR, DAY_SECONDS, 9 * DAY_SECONDS, 40 * DAY_SECONDS][self.step(5) as usize];
        let jumps = [0, 2, 20][self.step(3) as usize];
        let mut time = START + self.step(4000 * DAY_SECONDS);
        let length = self.roll(120) as usize;
        let mut times = Vec::with_capacity(length);
        while times.len() < length {
            time += 1 + self.step(2 * pace);
            let off = match self.roll(100) < jumps {
                true => self.step(800 * DAY_SECONDS) - 400 * DAY_SECONDS,
                false => 0,
            };
            // Sometimes for one snapshot, sometimes from then on.
            time += if self.roll(4) == 0 { off } else { 0 };
            times.push(time + off);
        }
        times
    }

    fn policy(&mut self) -> Policy {
        let mut few = |most| u32::try_from(self.roll(most)).unwrap();
        let policy = Policy {
            every_days: few(9),
            daily: few(9),
            weekly: few(6),
            monthly: few(6),
            reach_days: few(900),
        };
        if few(3) == 0 { DEFAULT } else { policy }
    }
}

fn is_long() -> bool {
    std::env::var_os("FIRN_LONG").is_some()
}

fn assert_as_the_model_says(times: &[i64], policy: &Policy) -> usize {
    let found = retain(times, policy);
    for (place, rules) in model::kept(times, policy).iter().enumerate() {
        assert_eq!(
            found[place].map(Rule::word),
            rules.first().copied(),
            "{place} of {times:?} by {policy:?}"
        );
    }
    found.iter().filter(|rule| rule.is_none()).count()
}

#[test]
fn what_is_kept_is_what_the_model_keeps_on_random_histories() {
    let mut dice = Dice(17);
    let dropped: usize = (0..HISTORIES)
        .map(|_| {
            let policy = dice.policy();
            assert_as_the_model_says(&dice.history(), &policy)
        })
        .sum();
    println!("{HISTORIES} random histories equal, {dropped} snapshots kept by nobody");
    assert!(dropped > HISTORIES);
}

#[test]
fn what_is_kept_is_what_the_model_keeps_on_every_history_of_up_to_eight_snapshots() {
    // A day, the next, the week before, the month before, and two years before.
    let all = [5 * HOUR, DAY_SECONDS, -6 * DAY_SECONDS, -20 * DAY_SECONDS, -740 * DAY_SECONDS];
    let times = if is_long() { &all[..] } else { &all[..4] };
    let policies = [
        DEFAULT,
        Policy { every_days: 1, daily: 1, weekly: 0, monthly: 0, reach_days: 9 },
        Policy { every_days: 0, daily: 0, weekly: 1, monthly: 1, reach_days: 100_000 },
    ];
    let (mut histories, mut dropped) = (0, 0);
    for length in 0..=8 {
        for number in 0..times.len().pow(length) {
            let pick = |place: u32| START + times[number / times.len().pow(place) % times.len()];
            let history: Vec<i64> = (0..length).map(pick).collect();
            for policy in &policies {
                dropped += assert_as_the_model_says(&history, policy);
                histories += 1;
            }
        }
    }
    println!("{histories} histories equal, {dropped} snapshots kept by nobody");
    assert!(histories > 200_000 && dropped > 0);
}

/// As `prune` does it: what nobody keeps is taken away, and then there is nothing more to take. Only where a clock was wrong may one of two go
/// that came to be neighbours of one day, week or month: the older one, which is kept by its age, stands for both.
#[test]
fn what_is_left_is_kept_again_by_the_same_policy() {
    let mut dice = Dice(4);
    for _ in 0..2_000 {
        let (times, policy) = (dice.history(), dice.policy());
        let kept = retain(&times, &policy);
        let left: Vec<i64> =
            times.iter().zip(&kept).filter(|(_, rule)| rule.is_some()).map(|(time, _)| *time).collect();
        let rules: Vec<Option<Rule>> = kept.into_iter().filter(Option::is_some).collect();
        let again = retain(&left, &policy);
        for (place, _) in again.iter().enumerate().filter(|(_, rule)| rule.is_none()) {
            let stands_for_it = place > 0 && rules[place - 1] == Some(Rule::Reach);
            assert!(stands_for_it && !times.is_sorted(), "{place} of {left:?} by {policy:?}");
        }
    }
}

/// Three pushes a day for three years, and what is left of them each day is judged again the next.
#[test]
fn the_default_keeps_two_years_and_no_more_than_it_says() {
    let mut times: Vec<i64> = Vec::new();
    for push in 0..3 * 3 * 365_i64 {
        times.push(START + push * 8 * HOUR + 40 * 60);
        let kept = retain(&times, &DEFAULT);
        let mut rules = kept.iter();
        times.retain(|_| rules.next().is_some_and(Option::is_some));
    }
    let kept = retain(&times, &DEFAULT);
    let count = |rule| kept.iter().filter(|kept| **kept == Some(rule)).count();
    let newest = times[times.len() - 1];
    let age = (newest - times[0]) / DAY_SECONDS;
    println!("{} snapshots of 3,285, the oldest {age} days old", times.len());
    assert!((731..=800).contains(&age), "{age}");
    // Monday's and the first of a month's are the first of their day, too.
    assert_eq!(count(Rule::Newest) + count(Rule::Every), 9);
    assert_eq!((count(Rule::Daily), count(Rule::Weekly)), (29, 10));
    assert_eq!((count(Rule::Monthly), count(Rule::Reach)), (24, 0));
}

/// A host pushes three times a day, and from some push on what somebody else wants. Whenever that begins: a good version is there for two years,
/// and it is not older than a month; after that the rules keep none.
#[test]
fn for_two_years_a_good_snapshot_is_left_whenever_the_garbage_began() {
    let (mut worst, good_days) = (0, 60);
    // Every day of a month, with the first push of the day.
    for begun in (0..=3 * 31).step_by(3) {
        let first_bad = START + good_days * DAY_SECONDS + begun * 8 * HOUR;
        let last_good = first_bad - 8 * HOUR;
        let mut times: Vec<i64> = Vec::new();
        let mut time = START;
        while time <= first_bad + 800 * DAY_SECONDS {
            times.push(time);
            let mut rules = retain(&times, &DEFAULT).into_iter();
            times.retain(|_| rules.next().is_some_and(|rule| rule.is_some()));
            let good = times.iter().rfind(|time| **time < first_bad);
            if (first_bad..first_bad + 731 * DAY_SECONDS).contains(&time) {
                worst = worst.max(last_good - good.expect("no good one is left"));
            }
            time += 8 * HOUR;
        }
        assert!(times[0] >= first_bad, "the control: no rule keeps one for ever");
    }
    println!("a good one is left for 731 days, at worst {} days older than the last", worst / DAY_SECONDS);
    assert!((25 * DAY_SECONDS..=31 * DAY_SECONDS).contains(&worst), "{worst}");
}

/// By a policy that keeps a week and nothing else: what nobody keeps goes each day, and the history still reaches back.
#[test]
fn the_oldest_stays_until_another_is_old_enough() {
    let week = Policy { every_days: 0, daily: 7, weekly: 0, monthly: 0, reach_days: 731 };
    let mut times: Vec<i64> = Vec::new();
    for day in 0..2_000 {
        times.push(START + day * DAY_SECONDS);
        let mut rules = retain(&times, &week).into_iter();
        times.retain(|_| rules.next().is_some_and(|rule| rule.is_some()));
        let age = (times[times.len() - 1] - times[0]) / DAY_SECONDS;
        assert!(age >= day.min(731), "day {day}: the oldest is {age} days old");
    }
    let rules = retain(&times, &week);
    assert_eq!((times.len(), rules[0]), (9, Some(Rule::Reach)));
}

#[test]
fn a_silent_host_loses_nothing_and_a_clock_that_jumps_costs_no_more_than_its_own_days() {
    let days = |from: i64, to: i64| (from..to).map(|day| START + day * DAY_SECONDS);
    let times: Vec<i64> = days(0, 40).collect();
    let kept = |times: &[i64]| -> Vec<i64> {
        let rules = retain(times, &DEFAULT);
        times.iter().zip(rules).filter(|(_, rule)| rule.is_some()).map(|(time, _)| *time).collect()
    };
    assert!(kept(&times).len() >= 32);
    // Whenever it is asked, whatever the time is then: there is no clock in it. One snapshot 400 days ahead, or back, and days go on.
    for off in [400, -400] {
        let odd = [START + (40 + off) * DAY_SECONDS];
        let jumped: Vec<i64> = days(0, 40).chain(odd).chain(days(41, 43)).collect();
        let straight: Vec<i64> = days(0, 40).chain(days(41, 43)).collect();
        let lost: Vec<i64> =
            kept(&straight).into_iter().filter(|time| !kept(&jumped).contains(time)).collect();
        assert!(lost.is_empty(), "{off}: {lost:?}");
    }
}

#[test]
fn a_key_of_a_record_goes_before_the_settings_and_comes_back_as_it_was_written() {
    let read = |text: &str| toml_of(text);
    let (settings, record) = (read("daily = 5\nweekly = 2\n"), read("daily = 7\n"));
    let policy = record.meant(&settings, 9);
    assert_eq!(policy, Policy { daily: 7, weekly: 2, reach_days: 9, ..DEFAULT });
    assert_eq!(record.text(), "\n[retain]\ndaily = 7\n");
    assert_eq!(TypedRetain::default().text(), "");
    assert!(read("monthly = 100001\n").check(std::path::Path::new("x")).is_err());
}

fn toml_of(text: &str) -> TypedRetain {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    cli::settings::load(file.path()).unwrap()
}
