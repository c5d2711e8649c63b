//! The server's own clock.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// Whether a token is held against the server's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Skew {
    /// As Google does: a token is good for an hour, and not yet before it was signed.
    #[default]
    Checked,
    /// For tests that move this clock and not the client's.
    Ignored,
}

/// Real time plus an offset. Every answer's `Date` shows it, and every rule obeys it.
#[derive(Debug)]
pub struct Clock {
    offset_microseconds: AtomicI64,
    skew_ignored: AtomicBool,
}

impl Clock {
    pub(crate) fn new(skew: Skew) -> Self {
        let clock = Self { offset_microseconds: AtomicI64::new(0), skew_ignored: AtomicBool::new(false) };
        clock.set_skew(skew);
        clock
    }

    /// The server's time.
    pub fn now(&self) -> DateTime<Utc> {
        let offset = TimeDelta::microseconds(self.offset_microseconds.load(Ordering::SeqCst));
        Utc::now().checked_add_signed(offset).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// Makes it `when` now; it runs on from there.
    pub fn set(&self, when: DateTime<Utc>) {
        let offset = when.signed_duration_since(Utc::now()).num_microseconds().unwrap_or(i64::MAX);
        self.offset_microseconds.store(offset, Ordering::SeqCst);
    }

    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.offset_microseconds.fetch_add(by, Ordering::SeqCst);
    }

    /// Turns the check of the client's clock on or off.
    pub fn set_skew(&self, skew: Skew) {
        self.skew_ignored.store(skew == Skew::Ignored, Ordering::SeqCst);
    }

    pub(crate) fn skew(&self) -> Skew {
        if self.skew_ignored.load(Ordering::SeqCst) { Skew::Ignored } else { Skew::Checked }
    }
}

/// `Sat, 21 Nov 2026 07:26:22 GMT`
pub(crate) fn http_date(when: DateTime<Utc>) -> String {
    when.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
