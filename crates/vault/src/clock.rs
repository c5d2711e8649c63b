//! The provider's clock, as each of its answers shows it.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};

/// The date of the last answer, and when it came.
#[derive(Debug, Default)]
pub(crate) struct SeenClock(Mutex<Option<(DateTime<Utc>, Instant)>>);

impl SeenClock {
    /// The provider's time now; none before its first answer.
    pub(crate) fn now(&self) -> Option<DateTime<Utc>> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.and_then(|(date, at)| date.checked_add_signed(TimeDelta::from_std(at.elapsed()).ok()?))
    }

    /// Takes note of a `Date` header.
    pub(crate) fn see(&self, date: &str) {
        if let Ok(date) = DateTime::parse_from_rfc2822(date) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((date.to_utc(), Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_date_counts_and_nonsense_does_not() {
        let clock = SeenClock::default();
        assert!(clock.now().is_none());
        clock.see("Wed, 21 Oct 2015 07:28:00 GMT");
        clock.see("yesterday");
        let now = clock.now().unwrap();
        assert!((now - DateTime::from_timestamp(1_445_412_480, 0).unwrap()).num_seconds() <= 1, "{now}");
    }
}
