//! `[audit]` of the server's settings: where what the audit looks at lies, if not where the packages put it.

use std::path::{Path, PathBuf};

use cli::settings::SettingsError;
use serde::Deserialize;

/// As many ports of a host are tried.
const PORTS_MAX: usize = 8;

/// The table, checked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AuditSettings {
    /// The configuration of the sshd that serves the hosts.
    pub(crate) sshd_config: PathBuf,
    /// The settings of iceboxer.
    pub(crate) ice_settings: PathBuf,
    /// The program.
    pub(crate) iceboxer: PathBuf,
    /// Its account.
    pub(crate) ice_account: String,
    /// Where hosts may have an sshd of their own, which the server must not get into.
    pub(crate) ssh_ports: Vec<u16>,
}

impl Default for AuditSettings {
    fn default() -> Self {
        let [own, usual] = ["/etc/firn/sshd_config", "/etc/ssh/sshd_config"].map(PathBuf::from);
        Self {
            sshd_config: if own.exists() { own } else { usual },
            ice_settings: PathBuf::from("/etc/firn/ice.toml"),
            iceboxer: PathBuf::from("/usr/bin/iceboxer"),
            ice_account: "firn-ice".to_owned(),
            ssh_ports: vec![22],
        }
    }
}

impl AuditSettings {
    /// Refuses what cannot be meant; `path` is the settings file.
    pub(crate) fn check(&self, path: &Path) -> Result<(), SettingsError> {
        let wrong = |key, what: &str| Err(SettingsError::value(path, key, what));
        for (key, file) in [
            ("audit.sshd_config", &self.sshd_config),
            ("audit.ice_settings", &self.ice_settings),
            ("audit.iceboxer", &self.iceboxer),
        ] {
            if !file.is_absolute() {
                return wrong(key, "must be an absolute path");
            }
        }
        if !crate::settings::is_account_name(&self.ice_account) {
            return wrong("audit.ice_account", "must be the name of an account");
        }
        if self.ssh_ports.is_empty() || self.ssh_ports.len() > PORTS_MAX {
            return wrong("audit.ssh_ports", "must be 1 to 8 ports");
        }
        Ok(())
    }
}
