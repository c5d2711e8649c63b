//! `[prune]` of the server's settings: what stands between a snapshot that no rule keeps and its end.

use std::path::Path;

use chrono::TimeDelta;
use cli::settings::SettingsError;
use formats::records::plan::PLANNED;
use serde::Deserialize;

/// Time for a person to look, and for a clock that is a day ahead to be seen.
const WAIT_HOURS_MIN: u32 = 48;
const YEAR_HOURS: u32 = 8_784;
const MOST: u32 = 1_000_000_000;

/// The table, checked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PruneSettings {
    /// How old a plan is before it is carried out.
    wait_hours: u32,
    /// So many snapshots of a host are left, whatever the rules say.
    pub(crate) keep_min: u32,
    /// Most snapshots of a host that one run removes.
    pub(crate) cap: u32,
    /// Whether only that may go of which something as new is off-site.
    pub(crate) require_ice: bool,
    /// How old the last verify of the whole history may be.
    verify_days: u32,
    /// Most names that are removed in a second; 0 for as many as can be.
    pub(crate) names_per_second: u32,
}

impl Default for PruneSettings {
    fn default() -> Self {
        Self {
            wait_hours: 72,
            keep_min: 10,
            cap: 50,
            require_ice: false,
            verify_days: 40,
            names_per_second: 20_000,
        }
    }
}

impl PruneSettings {
    /// Refuses what cannot be meant; `path` is the settings file, and a session of a host lasts no longer than `session_seconds` unless its record
    /// says otherwise. A plan waits longer: what a session began to build on is in none that is old enough.
    pub(crate) fn check(&self, path: &Path, session_seconds: u32) -> Result<(), SettingsError> {
        let cap_max = u32::try_from(PLANNED).unwrap_or(u32::MAX);
        for (key, value, least, most) in [
            ("prune.wait_hours", self.wait_hours, WAIT_HOURS_MIN, YEAR_HOURS),
            ("prune.keep_min", self.keep_min, 1, MOST),
            ("prune.cap", self.cap, 0, cap_max),
            ("prune.verify_days", self.verify_days, 1, 3_660),
            ("prune.names_per_second", self.names_per_second, 0, MOST),
        ] {
            if !(least..=most).contains(&value) {
                return Err(SettingsError::value(path, key, format!("must be from {least} to {most}")));
            }
        }
        if u64::from(self.wait_hours) * 3600 <= u64::from(session_seconds) {
            let what = format!("must be longer than a session, limits.session_seconds = {session_seconds}");
            return Err(SettingsError::value(path, "prune.wait_hours", what));
        }
        Ok(())
    }

    /// How old a plan is before it is carried out: a day longer than a session of this host, at least.
    pub(crate) fn wait(&self, session_seconds: u32) -> TimeDelta {
        let session = TimeDelta::seconds(session_seconds.into());
        TimeDelta::hours(self.wait_hours.into()).max(session + TimeDelta::days(1))
    }

    /// How old the last verify may be.
    pub(crate) fn verify_within(&self) -> TimeDelta {
        TimeDelta::days(self.verify_days.into())
    }
}
