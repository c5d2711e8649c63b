//! `/etc/firn/ice.toml`, and what is meant by it.

mod vault_keys;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cli::settings::SettingsError;
use formats::HostId;
use formats::records::ice_id::Fingerprint;
use serde::Deserialize;

use crate::cost::settings::{BudgetSettings, CostSettings, PriceTables};

/// The settings file, unless another is named.
pub const DEFAULT_PATH: &str = "/etc/firn/ice.toml";
/// Least number of days that ice is locked.
pub const RETENTION_DAYS_MIN: u32 = 92;
/// Most days that `retention_days_max` may allow: a lock cannot be taken back, so a slip of the finger must not last for generations.
pub const RETENTION_DAYS_MAX: u32 = 3_660;
/// Most days, unless `retention_days_max` says otherwise: the cap that a mistyped or stolen settings file meets.
pub const RETENTION_DAYS_CAP: u32 = 800;
/// Shortest segment.
const SEGMENT_BYTES_MIN: u64 = 64 * 1024;
/// Most segments that are sealed at once: each takes room in the staging folder.
const WORKERS_MAX: usize = 64;
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
    /// Where it is published how everything stands, for those who may not read the ledger.
    #[serde(default = "standing")]
    pub standing: PathBuf,
    /// Which snapshots go into an image.
    #[serde(default)]
    pub scope: Scope,
    /// Length of a segment before it is sealed.
    #[serde(default = "segment_bytes")]
    pub segment_bytes: u64,
    /// To whom ice is sealed.
    pub recipients: Vec<RecipientSettings>,
    /// How many segments are sealed at once; as many as there are cores, and two at least, unless it says otherwise.
    pub workers: Option<usize>,
    /// Where the records of drills are brought. The newest ice that they prove stays locked.
    pub drill_records: Option<PathBuf>,
    /// What becomes of a host that has not changed since its newest ice.
    #[serde(default)]
    pub unchanged: Unchanged,
    /// Where ice is kept.
    pub vaults: Vec<VaultSettings>,
    /// No vault may lock for more days.
    #[serde(default = "retention_days_cap")]
    pub retention_days_max: u32,
    /// Price tables beside the built-in ones.
    #[serde(default)]
    pub prices: PriceTables,
    /// What a month may cost.
    pub budget: Option<BudgetSettings>,
    /// What the forecast assumes.
    #[serde(default)]
    pub cost: CostSettings,
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

/// What becomes of a host that has not changed since its newest ice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unchanged {
    /// It is sealed again, as an ice of its own; what a vault has already is not sent again.
    #[default]
    Seal,
    /// The locks of its newest ice are extended, and no new one is made.
    Extend,
}

/// One certificate.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipientSettings {
    /// Its file.
    pub certificate: PathBuf,
    /// What it must be; blanks between the digits are ignored.
    pub fingerprint: String,
    /// The hosts whose ice it is for. Their ice is sealed to no certificate that does not name them.
    #[serde(default)]
    pub hosts: Vec<HostId>,
}

/// One vault.
#[derive(Debug, Clone)]
pub struct VaultSettings {
    /// Its name, where it is and how it is reached: the keys that restore-drill has too.
    pub store: vault::Settings,
    /// For how many days an object is locked.
    pub retention_days: u32,
    /// Which price table counts its cost; none if it costs nothing.
    pub prices: Option<String>,
    /// When its locks are proved.
    pub prove_lock: ProveLock,
}

/// When a vault's locks are proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProveLock {
    /// Before the first put of each run, and after its last.
    #[default]
    EachRun,
    /// Only by `iceboxer prove-lock`.
    Never,
}

fn standing() -> PathBuf {
    PathBuf::from("/var/lib/firn/ice-standing/standing.json")
}

fn retention_days_cap() -> u32 {
    RETENTION_DAYS_CAP
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

impl VaultSettings {
    /// The class that prices are looked up for.
    #[must_use]
    pub fn price_class(&self) -> &str {
        self.store.class().as_str()
    }
}

impl Settings {
    /// How many segments are sealed at once.
    #[must_use]
    pub fn workers(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
        self.workers.unwrap_or_else(cores).min(WORKERS_MAX)
    }

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
        if !self.standing.is_absolute() || self.standing.file_name().is_none() {
            return Err(("standing", "must be an absolute path of a file".to_owned()));
        }
        if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&self.segment_bytes) {
            let what = format!("must be {SEGMENT_BYTES_MIN} to {SEGMENT_BYTES_MAX}");
            return Err(("segment_bytes", what));
        }
        if self.workers.is_some_and(|workers| !(1..=WORKERS_MAX).contains(&workers)) {
            return Err(("workers", format!("must be 1 to {WORKERS_MAX}")));
        }
        if self.drill_records.as_ref().is_some_and(|folder| !folder.is_absolute()) {
            return Err(("drill_records", "must be an absolute path".to_owned()));
        }
        if self.scope == Scope::All && self.unchanged == Unchanged::Extend {
            // Ice of the same newest state still lacks the snapshots that came between.
            return Err(("unchanged", "cannot be \"extend\" where scope is \"all\"".to_owned()));
        }
        self.check_recipients()?;
        self.check_vaults()?;
        crate::cost::settings::check(self)
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
        if !(RETENTION_DAYS_MIN..=RETENTION_DAYS_MAX).contains(&self.retention_days_max) {
            let what = format!("must be {RETENTION_DAYS_MIN} to {RETENTION_DAYS_MAX}");
            return Err(("retention_days_max", what));
        }
        let mut seen = BTreeSet::new();
        for vault in &self.vaults {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            let name = &vault.store.name;
            if name.is_empty() || name.len() > 63 || name.starts_with('-') || !name.bytes().all(plain) {
                let what = "must be 1 to 63 of a-z, 0-9 and '-', not beginning with '-'";
                return Err(("vaults.name", what.to_owned()));
            }
            if !seen.insert(name) {
                return Err(("vaults.name", format!("names {name} twice")));
            }
            let most = self.retention_days_max;
            if !(RETENTION_DAYS_MIN..=most).contains(&vault.retention_days) {
                let what = format!(
                    "of vault {name} must be {RETENTION_DAYS_MIN} to {most}: off-site copies are kept for at least three months, and retention_days_max caps what cannot be taken back"
                );
                return Err(("vaults.retention_days", what));
            }
        }
        if seen.is_empty() { Err(("vaults", "must name at least one vault".to_owned())) } else { Ok(()) }
    }
}
