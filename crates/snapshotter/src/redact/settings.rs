//! `[redact]` of the server's settings: whether contents can be erased from histories, and by whom.

use std::path::{Path, PathBuf};

use cli::settings::SettingsError;
use serde::Deserialize;

/// The table, checked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RedactSettings {
    /// Off unless somebody turns it on.
    pub(crate) enabled: bool,
    /// Whether another person has to approve than the one who asks.
    pub(crate) two_persons: bool,
    /// Folder of what was asked for, one file a host.
    pub(crate) records: PathBuf,
    /// Folder of iceboxer's ledger, which names the ices that have what is redacted.
    pub(crate) ledger: PathBuf,
}

impl Default for RedactSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            two_persons: true,
            records: PathBuf::from("/var/lib/firn/redactions"),
            ledger: PathBuf::from("/var/lib/firn/ice/ledger"),
        }
    }
}

impl RedactSettings {
    /// Refuses what cannot be meant; `path` is the settings file. What was asked for is nowhere where hosts, keys or histories are.
    pub(crate) fn check(&self, path: &Path, apart: &[&PathBuf]) -> Result<(), SettingsError> {
        let wrong = |key, what: &str| Err(SettingsError::value(path, key, what));
        for (key, folder) in [("redact.records", &self.records), ("redact.ledger", &self.ledger)] {
            if !folder.is_absolute() {
                return wrong(key, "must be an absolute path");
            }
        }
        if apart.iter().any(|other| self.records.starts_with(other) || other.starts_with(&self.records)) {
            return wrong(
                "redact.records",
                "must lie outside of `jails`, `history` and `keys`, and not around them",
            );
        }
        Ok(())
    }
}
