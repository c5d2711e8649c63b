//! `[grants]` of the server's settings: whether a host can be let fetch a copy of its own history, and how.

use std::path::{Path, PathBuf};

use cli::settings::SettingsError;
use serde::Deserialize;

use crate::settings::is_account_name;

const ARCHIVE_BYTES: u64 = 100 << 30;

/// The table, checked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GrantSettings {
    /// Off unless somebody turns it on.
    pub(crate) enabled: bool,
    /// Whether another person has to approve than the one who asks.
    pub(crate) two_persons: bool,
    /// Folder of the outboxes, one for each host that was ever granted something.
    pub(crate) outboxes: PathBuf,
    /// Folder of what was asked for, one file a host.
    pub(crate) records: PathBuf,
    /// What the account of each outbox begins with.
    pub(crate) account_prefix: String,
    /// The static program of an outbox; beside the receiver if it is not said.
    program: Option<PathBuf>,
    /// Longest archive.
    pub(crate) archive_bytes: u64,
}

impl Default for GrantSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            two_persons: true,
            outboxes: PathBuf::from("/srv/firn/outboxes"),
            records: PathBuf::from("/var/lib/firn/grants"),
            account_prefix: "firnout-".to_owned(),
            program: None,
            archive_bytes: ARCHIVE_BYTES,
        }
    }
}

impl GrantSettings {
    /// Refuses what cannot be meant; `path` is the settings file, `hosts` what the accounts of hosts begin with. An outbox is nowhere where hosts,
    /// keys or histories are.
    pub(crate) fn check(&self, path: &Path, hosts: &str, apart: &[&PathBuf]) -> Result<(), SettingsError> {
        let wrong = |key, what: &str| Err(SettingsError::value(path, key, what));
        for (key, folder) in [("grants.outboxes", &self.outboxes), ("grants.records", &self.records)] {
            if !folder.is_absolute() {
                return wrong(key, "must be an absolute path");
            }
            if apart.iter().any(|other| folder.starts_with(other) || other.starts_with(folder)) {
                return wrong(key, "must lie outside of `jails`, `history` and `keys`, and not around them");
            }
        }
        if self.program.as_ref().is_some_and(|program| !program.is_absolute()) {
            return wrong("grants.program", "must be an absolute path");
        }
        if !is_account_name(&self.account_prefix) {
            return wrong(
                "grants.account_prefix",
                "must begin with a letter and hold only a-z, 0-9, '-' and '_'",
            );
        }
        if self.account_prefix.starts_with(hosts) || hosts.starts_with(&self.account_prefix) {
            return wrong(
                "grants.account_prefix",
                "must not begin as `account_prefix` does, nor the other way round",
            );
        }
        Ok(())
    }

    /// The static program of an outbox.
    pub(crate) fn program(&self, receiver: &Path) -> PathBuf {
        self.program.clone().unwrap_or_else(|| receiver.with_file_name("outbox"))
    }
}
