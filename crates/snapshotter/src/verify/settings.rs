//! `[verify]` of the server's settings: how fast a rolling verify reads.

use std::path::Path;

use cli::settings::SettingsError;
use serde::Deserialize;

/// Smaller shares than one part of a history a day there are not.
const CYCLE_DAYS_MAX: u32 = 256;

/// The table, checked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct VerifySettings {
    /// So many days a cycle lasts.
    pub(super) cycle_days: u32,
    /// Most bytes of files that are read in a second; 0 for as many as can be.
    pub(super) bytes_per_second: u64,
}

impl Default for VerifySettings {
    fn default() -> Self {
        Self { cycle_days: 30, bytes_per_second: 0 }
    }
}

impl VerifySettings {
    /// Refuses what cannot be meant; `path` is the settings file.
    pub(crate) fn check(&self, path: &Path) -> Result<(), SettingsError> {
        if (1..=CYCLE_DAYS_MAX).contains(&self.cycle_days) {
            return Ok(());
        }
        let what = format!("must be from 1 to {CYCLE_DAYS_MAX}");
        Err(SettingsError::value(path, "verify.cycle_days", what))
    }
}
