//! What iceboxer has to say: its settings, its standing, and the reports of its own probes, run as its own account.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

use super::command::{Ran, run};
use super::facts::identity;
use super::{shown, systemd};
use crate::settings::Settings;

/// A proof sends some sixty requests a vault.
const SECONDS_MAX: u64 = 600;
/// Where the secrets of vaults lie, which the unit gives to the service alone.
const CREDENTIALS: &str = "/etc/firn/credentials";
/// Longest settings file of iceboxer.
const SETTINGS_BYTES_MAX: u64 = 1 << 20;

/// Of `ice.toml`, what the audit judges.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct IceSettings {
    #[serde(default)]
    pub(super) vaults: Vec<VaultSettings>,
    pub(super) budget: Option<Budget>,
    #[serde(default)]
    pub(super) unchanged: Unchanged,
}

/// What becomes of a host that has not changed since its newest ice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Unchanged {
    /// It is sealed again at every run.
    #[default]
    Seal,
    /// Its ice stays, and at every run its lock is renewed.
    Extend,
}

/// One vault.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct VaultSettings {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) retention_days: u32,
    pub(super) prices: Option<String>,
}

/// That there is one is enough here; iceboxer reads it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Budget {}

impl VaultSettings {
    /// True for a folder, which may lie on this very machine.
    pub(super) fn is_folder(&self) -> bool {
        self.url.starts_with("file:")
    }
}

/// The settings of iceboxer: none if there are none, or why they cannot be read.
pub(super) fn settings(settings: &Settings) -> Result<Option<IceSettings>, String> {
    let path = &settings.audit.ice_settings;
    let file = match std::fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|error| format!("{}: {error}", shown(path)))?,
    };
    cli::settings::load_open(path, file, SETTINGS_BYTES_MAX)
        .map(Some)
        .map_err(|error| cli::Failed::from(error).chain())
}

/// What iceboxer reports of a verb.
pub(super) struct Report {
    pub(super) code: i32,
    pub(super) value: Value,
}

impl Report {
    /// Something of its details.
    pub(super) fn detail(&self, pointer: &str) -> Option<&Value> {
        self.value.get("details")?.pointer(pointer)
    }

    /// Why it failed.
    pub(super) fn error(&self) -> String {
        let text = self.value.pointer("/error/text").and_then(Value::as_str).unwrap_or("no reason given");
        format!("iceboxer ended with {}: {}", self.code, cli::shown(text.as_bytes()))
    }
}

/// Runs a verb of iceboxer as its account: under systemd with the secrets that its unit has, else without.
pub(super) fn report(settings: &Settings, words: &[&str]) -> Result<Report, String> {
    let program = iceboxer(settings).ok_or("there is no iceboxer; name it as `audit.iceboxer`")?;
    let name = &settings.audit.ice_account;
    let identity = identity(name).map_err(|error| error.to_string())?;
    let identity = identity.ok_or_else(|| format!("there is no account {name}"))?;
    let mut command = if systemd::is_here() && Path::new(CREDENTIALS).is_dir() {
        let mut command = Command::new("systemd-run");
        command.args(["--quiet", "--pipe", "--wait", "--collect"]);
        for property in [
            format!("User={name}"),
            format!("SupplementaryGroups={}", settings.readers),
            format!("LoadCredential=vault:{CREDENTIALS}"),
            "NoNewPrivileges=true".to_owned(),
        ] {
            command.args(["-p", &property]);
        }
        command.arg("--").arg(program);
        command
    } else {
        let mut command = Command::new(program);
        command.uid(identity.user).gid(identity.group);
        command
    };
    command.current_dir("/").args(words).arg("--json").arg("--config").arg(&settings.audit.ice_settings);
    let ran: Ran = run(&mut command, SECONDS_MAX).map_err(|error| format!("iceboxer: {error}"))?;
    let code = ran.code.ok_or("iceboxer did not end in time")?;
    let value =
        ran.report().ok_or_else(|| format!("iceboxer ended with {code} and no report: {}", ran.said()))?;
    Ok(Report { code, value })
}

fn iceboxer(settings: &Settings) -> Option<PathBuf> {
    let program = &settings.audit.iceboxer;
    program.is_file().then(|| program.clone())
}
