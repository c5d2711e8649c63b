//! Which snapshots of a host are kept, and by which rule: grandfather, father, son.
//!
//! A value and nothing else: no clock is asked, no disk is touched, nothing is removed. All that is measured is measured from the newest push,
//! so a host that is silent loses nothing, and the only clock is the time at which that was accepted. What is listed as kept by no rule may go; whether
//! it does is decided by `prune`.

mod typed;

use chrono::{DateTime, Datelike};
use history::Log;

pub(crate) use typed::TypedRetain;

const DAY_SECONDS: i64 = 86_400;
/// 1970 began on a Thursday; weeks begin on Monday.
const DAYS_BEFORE_MONDAY: i64 = 3;

/// Which day, week or month a time is of.
pub(crate) type Bucket = fn(i64) -> i64;

/// What is kept of a host's history. A rule with 0 keeps nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Every snapshot of so many days before the newest push.
    pub(crate) every_days: u32,
    /// The first of the newest day, and of so many days before it that have any.
    pub(crate) daily: u32,
    /// The same of weeks, which begin on Monday.
    pub(crate) weekly: u32,
    /// The same of months.
    pub(crate) monthly: u32,
    /// The history reaches back so many days, or to its beginning.
    pub(crate) reach_days: u32,
}

/// Why a snapshot is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// It is the newest.
    Newest,
    /// It is of the last days.
    Every,
    /// It is the first of its day.
    Daily,
    /// It is the first of its week.
    Weekly,
    /// It is the first of its month.
    Monthly,
    /// It is the newest of those that are as old as the history has to be; the oldest, while none is.
    Reach,
}

impl Rule {
    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Rule::Newest => "newest",
            Rule::Every => "every",
            Rule::Daily => "daily",
            Rule::Weekly => "weekly",
            Rule::Monthly => "monthly",
            Rule::Reach => "reach",
        }
    }
}

/// For each snapshot of the log the first rule that keeps it, if any does. A push in which nothing had changed counts as one more of the same: what
/// stood for long is kept for each of the days on which it did.
pub(crate) fn retain_log(log: &Log, policy: &Policy) -> Vec<Option<Rule>> {
    let pushes: Vec<_> = log.accepted_pushes().collect();
    let times: Vec<i64> = pushes.iter().map(|push| push.time).collect();
    let mut kept = vec![None; log.snapshots().len()];
    for (push, rule) in pushes.iter().zip(retain(&times, policy)) {
        if let (Some(kept), Some(rule)) = (kept.get_mut(push.place), rule) {
            *kept = Some(kept.map_or(rule, |kept: Rule| kept.min(rule)));
        }
    }
    kept
}

/// For each snapshot the first rule that keeps it, if any does. `times` are when they were accepted, seconds since 1970, in the order of their
/// sequence: order is never taken from a time.
pub(crate) fn retain(times: &[i64], policy: &Policy) -> Vec<Option<Rule>> {
    let mut kept = vec![None; times.len()];
    let Some((last, newest)) = times.iter().copied().enumerate().next_back() else { return kept };
    let mut keep = |place: usize, rule: Rule| {
        if let Some(kept) = kept.get_mut(place) {
            kept.get_or_insert(rule);
        }
    };
    keep(last, Rule::Newest);
    let before = |days: u32| newest.saturating_sub(i64::from(days) * DAY_SECONDS);
    for (place, _) in times.iter().enumerate().filter(|(_, time)| **time > before(policy.every_days)) {
        keep(place, Rule::Every);
    }
    let calendars: [(Rule, u32, Bucket); 3] = [
        (Rule::Daily, policy.daily, day),
        (Rule::Weekly, policy.weekly, week),
        (Rule::Monthly, policy.monthly, month),
    ];
    for (rule, places, bucket) in calendars {
        firsts(times, places, bucket).into_iter().for_each(|place| keep(place, rule));
    }
    // Until one is old enough, the oldest is the one that will be first.
    let reaching = times.iter().rposition(|time| *time <= before(policy.reach_days));
    keep(reaching.unwrap_or(0), Rule::Reach);
    kept
}

/// The first snapshots of the newest bucket and of so many before it. Snapshots one after another in the same bucket are one run. A run whose
/// bucket is not older than all after it was made while the clock was wrong, or is older than such a one: it is kept too, and takes nobody's place.
fn firsts(times: &[i64], places: u32, bucket: Bucket) -> Vec<usize> {
    let mut firsts = Vec::new();
    if places == 0 {
        return firsts;
    }
    let (mut oldest, mut taken) = (None, 0);
    let mut runs = times.iter().map(|time| bucket(*time)).enumerate().rev().peekable();
    while let Some((place, key)) = runs.next() {
        if oldest.is_none_or(|oldest| key < oldest) {
            if taken > places {
                break;
            }
            oldest = Some(key);
            taken += 1;
        }
        if runs.peek().is_none_or(|(_, before)| *before != key) {
            firsts.push(place);
        }
    }
    firsts
}

pub(crate) fn day(time: i64) -> i64 {
    time.div_euclid(DAY_SECONDS)
}

pub(crate) fn week(time: i64) -> i64 {
    (day(time) + DAYS_BEFORE_MONDAY).div_euclid(7)
}

pub(crate) fn month(time: i64) -> i64 {
    let time = DateTime::from_timestamp(time, 0).unwrap_or_default();
    i64::from(time.year()) * 12 + i64::from(time.month0())
}

#[cfg(test)]
mod tests;
