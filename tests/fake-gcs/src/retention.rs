//! An object's own lock, and what may be done to it.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::document::text;
use crate::refusal::Refusal;
use crate::store::iso;

/// The longest that an object may be locked.
const SECONDS_MAX: i64 = 3_155_760_000;

/// Whether a lock can be lifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// By who may override it.
    Unlocked,
    /// By nobody.
    Locked,
}

/// An object's own lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retention {
    pub(crate) mode: Mode,
    pub(crate) until: DateTime<Utc>,
}

impl Retention {
    /// What a request asks for.
    pub(crate) fn asked(value: &Value, now: DateTime<Utc>) -> Result<Retention, Refusal> {
        let mode = match text(value, "mode") {
            Some("Locked") => Mode::Locked,
            Some("Unlocked") => Mode::Unlocked,
            _ => return Err(Refusal::invalid("Invalid retention mode.")),
        };
        let until = text(value, "retainUntilTime").and_then(|at| DateTime::parse_from_rfc3339(at).ok());
        let until = until.ok_or_else(|| Refusal::invalid("Invalid retainUntilTime."))?.to_utc();
        let longest = now.checked_add_signed(TimeDelta::seconds(SECONDS_MAX));
        if until <= now || longest.is_some_and(|longest| until > longest) {
            return Err(Refusal::invalid("The retainUntilTime must be in the future, and within 100 years."));
        }
        Ok(Retention { mode, until })
    }

    pub(crate) fn document(self) -> Value {
        let mode = match self.mode {
            Mode::Locked => "Locked",
            Mode::Unlocked => "Unlocked",
        };
        json!({ "mode": mode, "retainUntilTime": iso(self.until) })
    }

    /// Whether it may become `next`. A lock that is over may become anything.
    pub(crate) fn may_become(
        self,
        next: Option<Retention>,
        now: DateTime<Utc>,
        overrides: bool,
    ) -> Result<(), Refusal> {
        let refused = |text: &str| Err(Refusal::new(403, "forbidden", text));
        if self.until <= now {
            return Ok(());
        }
        let is_longer = next.is_some_and(|next| next.until >= self.until);
        let is_same_mode = next.is_some_and(|next| next.mode == self.mode);
        match self.mode {
            Mode::Locked if is_longer && is_same_mode => Ok(()),
            Mode::Locked => refused(
                "The object's retention is Locked: it can be neither removed, nor shortened, nor unlocked.",
            ),
            Mode::Unlocked if (is_longer && is_same_mode) || overrides => Ok(()),
            Mode::Unlocked => refused(
                "overrideUnlockedRetention must be true to remove, shorten or lock an Unlocked retention.",
            ),
        }
    }
}
