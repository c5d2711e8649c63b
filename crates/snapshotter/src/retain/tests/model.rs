//! What is kept, said once more as plainly as possible and slowly, with dates as text: shares no line with what it judges.

use std::ops::Range;

use chrono::DateTime;

use crate::retain::Policy;

/// A day and its week: `2026-01-02 2026-W01`. Each part is in the order of time.
const PAGE: &str = "%Y-%m-%d %G-W%V";
const DAY: Range<usize> = 0..10;
const MONTH: Range<usize> = 0..7;
const WEEK: Range<usize> = 11..19;

/// A history, and the page of the calendar that each of its snapshots is on.
struct Told<'a> {
    times: &'a [i64],
    policy: &'a Policy,
    pages: Vec<String>,
}

/// For each snapshot all rules that keep it.
pub(super) fn kept(times: &[i64], policy: &Policy) -> Vec<Vec<&'static str>> {
    let page = |time: &i64| DateTime::from_timestamp(*time, 0).unwrap().format(PAGE).to_string();
    let told = Told { times, policy, pages: times.iter().map(page).collect() };
    let names = ["newest", "every", "daily", "weekly", "monthly", "reach"];
    (0..times.len()).map(|i| names.into_iter().filter(|name| told.keeps(name, i)).collect()).collect()
}

impl Told<'_> {
    fn keeps(&self, name: &str, i: usize) -> bool {
        let Told { times, policy, .. } = self;
        let newest = times[times.len() - 1];
        match name {
            "newest" => i == times.len() - 1,
            "every" => newest - times[i] < i64::from(policy.every_days) * 24 * 60 * 60,
            "daily" => self.calendar(i, DAY, policy.daily),
            "weekly" => self.calendar(i, WEEK, policy.weekly),
            "monthly" => self.calendar(i, MONTH, policy.monthly),
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
    fn calendar(&self, i: usize, part: Range<usize>, most: u32) -> bool {
        let page = |j: usize| &self.pages[j][part.clone()];
        if most == 0 || i > 0 && page(i - 1) == page(i) {
            return false;
        }
        let mut lowest = page(self.times.len() - 1);
        let mut turned = 0;
        for j in (i..self.times.len()).rev() {
            if page(j) < lowest {
                lowest = page(j);
                turned += 1;
            }
        }
        turned <= most
    }
}
