//! `/etc/firn/ice.toml`, and what is meant by it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cli::settings::SettingsError;
use formats::records::ice_id::Fingerprint;
use serde::Deserialize;

/// The settings file, unless another is named.
pub const DEFAULT_PATH: &str = "/etc/firn/ice.toml";
/// Least number of days that ice is locked.
pub const RETENTION_DAYS_MIN: u32 = 92;
/// Most days: a lock cannot be taken back, so a slip of the finger must not last for generations.
pub const RETENTION_DAYS_MAX: u32 = 3_660;
/// Shortest segment.
const SEGMENT_BYTES_MIN: u64 = 64 * 1024;
/// Longest segment: what stores take as one object.
const SEGMENT_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

const EXAMPLE: &str = r#"history = "/srv/firn/history"
staging = "/var/lib/firn/ice/staging"
ledger = "/var/lib/firn/ice/ledger"
[[recipients]]
certificate = "/etc/firn/ice.asc"
fingerprint = "0123456789ABCDEF0123456789ABCDEF01234567"
[[vaults]]
name = "local"
url = "file:/srv/vault"
retention_days = 92"#;

/// What the settings file says, checked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Folder of all histories.
    pub history: PathBuf,
    /// Where images are made. It needs room for the largest image.
    pub staging: PathBuf,
    /// Folder of the ledger.
    pub ledger: PathBuf,
    /// Which snapshots go into an image.
    #[serde(default)]
    pub scope: Scope,
    /// Length of a segment before it is sealed.
    #[serde(default = "segment_bytes")]
    pub segment_bytes: u64,
    /// To whom ice is sealed.
    pub recipients: Vec<RecipientSettings>,
    /// Where ice is kept.
    pub vaults: Vec<VaultSettings>,
}

/// Which snapshots go into an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The newest.
    #[default]
    Latest,
    /// All that the history has.
    All,
}

/// One certificate.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipientSettings {
    /// Its file.
    pub certificate: PathBuf,
    /// What it must be; blanks between the digits are ignored.
    pub fingerprint: String,
}

/// One vault.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultSettings {
    /// Its name in the ledger, in reports and in file names.
    pub name: String,
    /// Where it is: `file:/path`.
    pub url: String,
    /// For how many days an object is locked.
    pub retention_days: u32,
}

fn segment_bytes() -> u64 {
    1024 * 1024 * 1024
}

impl RecipientSettings {
    /// The pinned fingerprint; none if it is not one.
    #[must_use]
    pub fn pinned(&self) -> Option<Fingerprint> {
        self.fingerprint.replace(' ', "").parse().ok()
    }
}

impl Settings {
    /// Reads and checks the settings.
    ///
    /// # Errors
    /// [`SettingsError`] (exit 2).
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let settings: Settings = cli::settings::load(path).map_err(|error| error.with_example(EXAMPLE))?;
        settings.check().map_err(|(key, what)| SettingsError::value(path, key, what))?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        let folders = [("history", &self.history), ("staging", &self.staging), ("ledger", &self.ledger)];
        for (key, folder) in folders {
            if !folder.is_absolute() {
                return Err((key, "must be an absolute path".to_owned()));
            }
        }
        if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&self.segment_bytes) {
            let what = format!("must be {SEGMENT_BYTES_MIN} to {SEGMENT_BYTES_MAX}");
            return Err(("segment_bytes", what));
        }
        self.check_recipients()?;
        self.check_vaults()
    }

    fn check_recipients(&self) -> Result<(), (&'static str, String)> {
        let mut seen = BTreeSet::new();
        for recipient in &self.recipients {
            if !recipient.certificate.is_absolute() {
                return Err(("recipients.certificate", "must be an absolute path".to_owned()));
            }
            let Some(pinned) = recipient.pinned() else {
                let what = "must be 40 hexadecimal digits, as gpg --fingerprint prints them";
                return Err(("recipients.fingerprint", what.to_owned()));
            };
            if !seen.insert(pinned.clone()) {
                return Err(("recipients.fingerprint", format!("names {pinned} twice")));
            }
        }
        if seen.is_empty() {
            Err(("recipients", "must name at least one certificate".to_owned()))
        } else {
            Ok(())
        }
    }

    fn check_vaults(&self) -> Result<(), (&'static str, String)> {
        let mut seen = BTreeSet::new();
        for vault in &self.vaults {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            let name = &vault.name;
            if name.is_empty() || name.len() > 63 || name.starts_with('-') || !name.bytes().all(plain) {
                let what = "must be 1 to 63 of a-z, 0-9 and '-', not beginning with '-'";
                return Err(("vaults.name", what.to_owned()));
            }
            if !seen.insert(name) {
                return Err(("vaults.name", format!("names {name} twice")));
            }
            if !(RETENTION_DAYS_MIN..=RETENTION_DAYS_MAX).contains(&vault.retention_days) {
                let what = format!(
                    "must be {RETENTION_DAYS_MIN} to {RETENTION_DAYS_MAX}: off-site copies are kept for at least three months"
                );
                return Err(("vaults.retention_days", what));
            }
        }
        if seen.is_empty() { Err(("vaults", "must name at least one vault".to_owned())) } else { Ok(()) }
    }
}
