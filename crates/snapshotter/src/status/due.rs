//! When a host is due: at a minute of its own, at some hours of the day, by the clock on its wall.

use chrono::{DateTime, Datelike, LocalResult, NaiveDate, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use crate::hours::Hours;

/// How far back slots are counted.
const BACK: TimeDelta = TimeDelta::days(400);
/// A clock that is put forward skips less than that, but for a few islands that skipped a day.
const GAP: TimeDelta = TimeDelta::hours(3);

/// The slots of one host.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    hours: Hours,
    minute: u32,
    zone: Option<Tz>,
}

impl Schedule {
    /// `zone` is what the host's last push said, if there was one.
    pub(crate) fn new(host: &formats::HostId, hours: &Hours, zone: Option<&str>) -> Self {
        let zone = zone.and_then(|zone| zone.parse().ok());
        Self { hours: hours.clone(), minute: formats::schedule::minute(host.as_str()), zone }
    }

    /// The hours.
    pub(crate) fn hours(&self) -> &Hours {
        &self.hours
    }

    /// The minute.
    pub(crate) fn minute(&self) -> u32 {
        self.minute
    }

    /// False if it is not known when the host's day begins: it never pushed, or from a zone that is unknown here.
    pub(crate) fn is_known(&self) -> bool {
        self.zone.is_some()
    }

    /// The slots after the one time and until the other, oldest first; of a very long time the last part.
    pub(crate) fn slots(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let Some(zone) = self.zone else { return Vec::new() };
        let after = after.max(until - BACK);
        let mut slots = Vec::new();
        let mut day = after.with_timezone(&zone).date_naive().pred_opt();
        let last = until.with_timezone(&zone).date_naive();
        while let Some(date) = day.filter(|date| *date <= last) {
            let hours = self.hours.as_slice().iter();
            slots.extend(hours.filter_map(|hour| instant(zone, date, u32::from(*hour), self.minute)));
            day = date.succ_opt();
        }
        slots.retain(|slot| *slot > after && *slot <= until);
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// The last slot until now, and the next.
    pub(crate) fn around(&self, now: DateTime<Utc>) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
        let two_days = TimeDelta::days(2);
        (self.slots(now - two_days, now).pop(), self.slots(now, now + two_days).into_iter().next())
    }

    /// The longest time between two slots, whatever the zone, the day on which clocks are put back included.
    pub(crate) fn longest_wait(&self) -> TimeDelta {
        let hours = self.hours.as_slice();
        let first = hours.first().map_or(24, |first| i64::from(*first) + 24);
        let next = hours.iter().skip(1).map(|hour| i64::from(*hour)).chain([first]);
        let longest = hours.iter().zip(next).map(|(hour, next)| next - i64::from(*hour)).max();
        TimeDelta::hours(longest.unwrap_or(24) + 1)
    }
}

/// The moment at which the clock on the wall shows this. Of a time that comes twice the first; a time that is skipped is reckoned as if the clock
/// had not been put forward.
fn instant(zone: Tz, date: NaiveDate, hour: u32, minute: u32) -> Option<DateTime<Utc>> {
    let wall =
        NaiveDate::from_ymd_opt(date.year(), date.month(), date.day())?.and_hms_opt(hour, minute, 0)?;
    match zone.from_local_datetime(&wall) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Some(at.to_utc()),
        LocalResult::None => {
            let before = zone.from_local_datetime(&(wall - GAP)).earliest()?;
            Some(before.to_utc() + GAP)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    /// web01 has the minute 40.
    fn schedule(hours: &str, zone: &str) -> Schedule {
        let host = formats::HostId::parse("web01").unwrap();
        Schedule::new(&host, &hours.parse().unwrap(), Some(zone))
    }

    fn slots(hours: &str, zone: &str, after: &str, until: &str) -> Vec<String> {
        let slots = schedule(hours, zone).slots(at(after), at(until));
        slots.iter().map(|slot| slot.format("%d %H:%M").to_string()).collect()
    }

    #[test]
    fn slots_are_at_the_hosts_hours_and_minute_in_its_zone() {
        let day = ("2026-01-10T00:00:00Z", "2026-01-11T00:00:00Z");
        for (zone, expected) in [
            ("UTC", ["10 02:40", "10 10:40", "10 18:40"]),
            ("Europe/Berlin", ["10 01:40", "10 09:40", "10 17:40"]),
            ("America/Los_Angeles", ["10 02:40", "10 10:40", "10 18:40"]),
            ("Asia/Kolkata", ["10 05:10", "10 13:10", "10 21:10"]),
            ("Pacific/Kiritimati", ["10 04:40", "10 12:40", "10 20:40"]),
        ] {
            assert_eq!(slots("2,10,18", zone, day.0, day.1), expected, "{zone}");
        }
    }

    #[test]
    fn a_time_that_comes_twice_is_one_slot_and_one_that_is_skipped_is_still_due() {
        // Berlin: forward on 29 March 2026 at 01:00 UTC, back on 25 October 2026 at 01:00 UTC.
        let spring = slots("2", "Europe/Berlin", "2026-03-28T00:00:00Z", "2026-03-30T12:00:00Z");
        assert_eq!(spring, ["28 01:40", "29 01:40", "30 00:40"]);
        let autumn = slots("2", "Europe/Berlin", "2026-10-24T00:00:00Z", "2026-10-26T12:00:00Z");
        assert_eq!(autumn, ["24 00:40", "25 00:40", "26 01:40"]);
    }

    #[test]
    fn the_bounds_are_exact_and_a_very_long_time_costs_no_more() {
        let schedule = schedule("10", "UTC");
        let slot = at("2026-01-10T10:40:00Z");
        assert!(schedule.slots(slot, slot + TimeDelta::hours(23)).is_empty());
        assert_eq!(schedule.slots(slot - TimeDelta::seconds(1), slot), [slot]);
        assert_eq!(schedule.slots(at("1970-01-01T00:00:00Z"), slot).len(), 400);
        assert_eq!(schedule.around(slot), (Some(slot), Some(slot + TimeDelta::days(1))));
    }

    #[test]
    fn the_longest_wait_holds_in_every_zone() {
        for (hours, longest) in [("2,10,18", 9), ("0", 25), ("1,2", 24), ("22,23", 24)] {
            let schedule = schedule(hours, "UTC");
            assert_eq!(schedule.longest_wait(), TimeDelta::hours(longest), "{hours}");
        }
    }
}
