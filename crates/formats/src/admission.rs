//! When a host may push, how often, and what it may have in all. Part of the published state; layout in docs/formats/session.md.

use crate::cursor::{Cursor, Malformed, malformed};
use crate::limits::EMERGENCIES;

/// So long an emergency counts.
pub const EMERGENCY_SECONDS: i64 = 30 * 24 * 3600;
const HOUR_SECONDS: i64 = 3600;
const DAY_HOURS: u32 = 24;

/// What a server says about a host's pushes besides the limits of one. The default bounds nothing but how long a session may creep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// When a push may begin.
    pub hours: OpenHours,
    /// Least time between two pushes; 0: none.
    pub interval_seconds: u32,
    /// When the newest push was judged, seconds since 1970, by the server's clock; 0 if none was, or nobody asks.
    pub newest: i64,
    /// Most pushes in 30 days outside the hours or before the interval is over.
    pub emergency_pushes: u8,
    /// When such pushes were judged, oldest first.
    pub emergencies: Vec<i64>,
    /// A session may creep for so long; the time in which the server itself is waited for does not count.
    pub grace_seconds: u32,
    /// Bytes that buy a session one more second after that; 0: no byte is needed.
    pub least_bytes_second: u32,
    /// A push that expands to more is warned of.
    pub soft_bytes: u64,
    /// A manifest with more entries is warned of.
    pub soft_entries: u64,
    /// What the history of this host may come to; beyond it, pushes are refused.
    pub history_bytes: u64,
    /// A history beyond this is warned of.
    pub history_soft_bytes: u64,
    /// What the history is charged with; 0 if nobody asks.
    pub history_used_bytes: u64,
}

/// Hours of the day, UTC, in which a push may begin: at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenHours(u32);

impl Default for Admission {
    fn default() -> Self {
        Self {
            hours: OpenHours::ALL,
            interval_seconds: 0,
            newest: 0,
            emergency_pushes: 0,
            emergencies: Vec::new(),
            // As long as a session may last: a host that walks for hours and finds little new is no slow one.
            grace_seconds: 12 * 3600,
            least_bytes_second: 256,
            soft_bytes: u64::MAX,
            soft_entries: u64::MAX,
            history_bytes: u64::MAX,
            history_soft_bytes: u64::MAX,
            history_used_bytes: 0,
        }
    }
}

impl Admission {
    /// How many emergencies are left at this time. One that lies ahead of the clock counts: a clock that was put back gives nothing.
    pub fn emergencies_left(&self, now: i64) -> usize {
        let counts = |at: &&i64| **at > now.saturating_sub(EMERGENCY_SECONDS);
        usize::from(self.emergency_pushes).saturating_sub(self.emergencies.iter().filter(counts).count())
    }

    pub(crate) fn encode(&self, to: &mut Vec<u8>) -> Result<(), Malformed> {
        if self.emergencies.len() > EMERGENCIES || usize::from(self.emergency_pushes) > EMERGENCIES {
            return malformed("emergencies: too many");
        }
        to.extend_from_slice(&self.hours.0.to_le_bytes());
        to.extend_from_slice(&self.interval_seconds.to_le_bytes());
        to.extend_from_slice(&self.newest.to_le_bytes());
        to.push(self.emergency_pushes);
        // At most EMERGENCIES, which is far below 256.
        to.push(u8::try_from(self.emergencies.len()).unwrap_or(u8::MAX));
        for at in &self.emergencies {
            to.extend_from_slice(&at.to_le_bytes());
        }
        to.extend_from_slice(&self.grace_seconds.to_le_bytes());
        to.extend_from_slice(&self.least_bytes_second.to_le_bytes());
        let [soft, entries] = [self.soft_bytes, self.soft_entries];
        for number in [soft, entries, self.history_bytes, self.history_soft_bytes, self.history_used_bytes] {
            to.extend_from_slice(&number.to_le_bytes());
        }
        Ok(())
    }

    pub(crate) fn decode(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        const WHAT: &str = "admission";
        let hours = OpenHours::of_mask(from.u32(WHAT)?)?;
        let (interval_seconds, newest) = (from.u32(WHAT)?, from.i64(WHAT)?);
        let (emergency_pushes, count) = (from.u8(WHAT)?, usize::from(from.u8(WHAT)?));
        if count > EMERGENCIES || usize::from(emergency_pushes) > EMERGENCIES {
            return malformed("emergencies: too many");
        }
        let emergencies = (0..count).map(|_| from.i64(WHAT)).collect::<Result<_, _>>()?;
        Ok(Self {
            hours,
            interval_seconds,
            newest,
            emergency_pushes,
            emergencies,
            grace_seconds: from.u32(WHAT)?,
            least_bytes_second: from.u32(WHAT)?,
            soft_bytes: from.u64(WHAT)?,
            soft_entries: from.u64(WHAT)?,
            history_bytes: from.u64(WHAT)?,
            history_soft_bytes: from.u64(WHAT)?,
            history_used_bytes: from.u64(WHAT)?,
        })
    }
}

impl OpenHours {
    /// The whole day.
    pub const ALL: OpenHours = OpenHours((1 << DAY_HOURS) - 1);

    /// These hours; none if there is none, or one that no day has.
    pub fn of(hours: impl IntoIterator<Item = u8>) -> Option<Self> {
        let mut mask = 0;
        for hour in hours {
            mask |= 1u32.checked_shl(hour.into()).filter(|_| u32::from(hour) < DAY_HOURS)?;
        }
        Self::of_mask(mask).ok()
    }

    fn of_mask(mask: u32) -> Result<Self, Malformed> {
        if mask == 0 || mask > Self::ALL.0 { malformed("hours") } else { Ok(Self(mask)) }
    }

    fn has(self, hour: i64) -> bool {
        self.0 >> hour.rem_euclid(i64::from(DAY_HOURS)) & 1 == 1
    }

    /// Seconds from this time to the next of these hours; 0 if it is one.
    pub fn wait_seconds(self, now: i64) -> u32 {
        let hour = now.div_euclid(HOUR_SECONDS);
        let ahead = (0..i64::from(DAY_HOURS)).find(|ahead| self.has(hour.saturating_add(*ahead)));
        match ahead {
            None | Some(0) => 0,
            Some(ahead) => u32::try_from(ahead * HOUR_SECONDS - now.rem_euclid(HOUR_SECONDS)).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_open_hour_is_told_to_the_second_over_midnight_too() {
        let night = OpenHours::of([22, 23, 0, 1]).unwrap();
        let at = |hour: i64, second: i64| 20_000 * 86_400 + hour * 3600 + second;
        for (hour, second, wait) in
            [(22, 0, 0), (1, 3599, 0), (2, 0, 20 * 3600), (21, 3599, 1), (12, 1800, 34_200), (0, 5, 0)]
        {
            assert_eq!(night.wait_seconds(at(hour, second)), wait, "{hour}:{second}");
        }
        assert_eq!(OpenHours::of([0]).unwrap().wait_seconds(at(0, 3600)), 23 * 3600);
        for now in [i64::MIN, -1, 0, i64::MAX] {
            assert!(OpenHours::of([3]).unwrap().wait_seconds(now) <= 23 * 3600);
            assert_eq!(OpenHours::ALL.wait_seconds(now), 0);
        }
    }

    #[test]
    fn a_day_has_hours_0_to_23_and_one_of_them_is_open() {
        assert_eq!(OpenHours::of(0..24), Some(OpenHours::ALL));
        for wrong in [&[][..], &[24], &[3, 31], &[32], &[255]] {
            assert_eq!(OpenHours::of(wrong.iter().copied()), None, "{wrong:?}");
        }
    }

    #[test]
    fn emergencies_count_for_thirty_days_and_those_ahead_of_the_clock_count_too() {
        let now = 1_800_000_000;
        let times = vec![now - EMERGENCY_SECONDS, now - EMERGENCY_SECONDS + 1, now + 86_400];
        let admission = Admission { emergency_pushes: 3, emergencies: times, ..Admission::default() };
        assert_eq!(admission.emergencies_left(now), 1);
        assert_eq!(admission.emergencies_left(i64::MIN), 0);
        assert_eq!(admission.emergencies_left(now + 2 * EMERGENCY_SECONDS), 3);
        assert_eq!(Admission { emergency_pushes: 1, ..admission }.emergencies_left(now), 0);
    }
}
