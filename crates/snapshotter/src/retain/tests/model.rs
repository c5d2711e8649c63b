//! What is kept, said once more as plainly as possible and slowly, with dates as text: shares no line with what it judges.

use chrono::{DateTime, NaiveDate};

use crate::retain::Policy;

/// For each snapshot all rules that keep it.
pub(super) fn kept(times: &[i64], policy: &Policy) -> Vec<Vec<&'static str>> {
    let names = ["newest", "every", "daily", "weekly", "monthly", "reach"];
    (0..times.len())
        .map(|i| names.into_iter().filter(|name| keeps(name, i, times, policy)).collect())
        .collect()
}

fn keeps(name: &str, i: usize, times: &[i64], policy: &Policy) -> bool {
    let newest = times[times.len() - 1];
    match name {
        "newest" => i == times.len() - 1,
        "every" => newest - times[i] < i64::from(policy.every_days) * 24 * 60 * 60,
        "daily" => calendar(i, times, policy.daily, |date| date.format("%Y-%m-%d").to_string()),
        "weekly" => calendar(i, times, policy.weekly, |date| date.format("%G-W%V").to_string()),
        "monthly" => calendar(i, times, policy.monthly, |date| date.format("%Y-%m").to_string()),
        "reach" => {
            let as_old = |j: usize| newest - times[j] >= i64::from(policy.reach_days) * 24 * 60 * 60;
            match (0..times.len()).any(as_old) {
                true => as_old(i) && !(i + 1..times.len()).any(as_old),
                false => i == 0,
            }
        }
        other => panic!("{other}"),
    }
}

/// The first of its run, if from the newest down to it the calendar has been turned back at most so many times.
fn calendar(i: usize, times: &[i64], most: u32, page: impl Fn(NaiveDate) -> String) -> bool {
    let page = |j: usize| page(DateTime::from_timestamp(times[j], 0).unwrap().date_naive());
    if most == 0 || i > 0 && page(i - 1) == page(i) {
        return false;
    }
    let mut lowest = page(times.len() - 1);
    let mut turned = 0;
    for j in (i..times.len()).rev() {
        if page(j) < lowest {
            lowest = page(j);
            turned += 1;
        }
    }
    turned <= most
}
