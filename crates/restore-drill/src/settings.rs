//! The settings: `/etc/firn/drill.toml`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use cli::Failed;
use cli::settings::{SettingsError, load};
use serde::Deserialize;

/// Where the settings are, unless another file is named.
pub(crate) const PATH: &str = "/etc/firn/drill.toml";

const EXAMPLE: &str = r#"quarantine = "/var/lib/firn/drill/quarantine"
records = "/var/lib/firn/drill/records"
key = "/media/usb/secret.asc"
server_certificates = ["/etc/firn/signing-key.asc"]
[[vaults]]
name = "local"
url = "file:/srv/vault""#;

/// Least memory with which an image can be read at all.
const MEMORY_BYTES_MIN: u64 = 64 << 20;

/// What one machine that drills is told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where images lie while they are looked at; nobody else may enter.
    pub(crate) quarantine: PathBuf,
    /// Where drill records are kept.
    pub(crate) records: PathBuf,
    /// A file with the secret key.
    pub(crate) key: Option<PathBuf>,
    /// A file whose first line is its passphrase.
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Files with the certificates of the servers whose ice is trusted: each one's `signing-key.asc`.
    #[serde(default)]
    pub(crate) server_certificates: Vec<PathBuf>,
    /// Most memory that reading an image may take.
    #[serde(default = "memory_bytes")]
    pub(crate) memory_bytes: u64,
    /// Where ice is looked for, in this order.
    pub(crate) vaults: Vec<vault::Settings>,
}

fn memory_bytes() -> u64 {
    4 << 30
}

/// Reads and checks the settings in `path`.
pub(crate) fn read(path: &Path) -> Result<Settings, Failed> {
    let settings: Settings = load(path).map_err(|error| error.with_example(EXAMPLE))?;
    for (key, folder) in [("quarantine", &settings.quarantine), ("records", &settings.records)] {
        if !folder.is_absolute() {
            return Err(SettingsError::value(path, key, "must be an absolute path").into());
        }
    }
    if settings.memory_bytes < MEMORY_BYTES_MIN {
        let what = format!("must be at least {MEMORY_BYTES_MIN}");
        return Err(SettingsError::value(path, "memory_bytes", what).into());
    }
    if settings.vaults.is_empty() {
        return Err(SettingsError::value(path, "vaults", "must name at least one vault").into());
    }
    let mut names = HashSet::new();
    if !settings.vaults.iter().all(|vault| names.insert(vault.name.as_str())) {
        // Records tell vaults apart by their names.
        return Err(SettingsError::value(path, "vaults", "must not give two vaults the same name").into());
    }
    Ok(settings)
}
