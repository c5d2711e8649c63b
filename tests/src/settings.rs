//! The settings files of all programs, as a person would write them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{At, Result};
use crate::host::Host;
use crate::keys::OpenPgpKey;
use crate::scratch::{Names, Options, Scratch};

/// What a test may want different in a host's settings.
#[derive(Debug, Clone, Default)]
pub struct Push {
    /// Seconds to wait for the verdict; 0 does not wait.
    pub verdict_wait_seconds: u32,
    /// Absolute paths to leave out.
    pub exclude: Vec<PathBuf>,
    /// Another host key than the server's, to be pinned.
    pub host_key: Option<String>,
    /// Further lines for `[server]`.
    pub server: String,
}

/// Writes the settings of one host.
///
/// # Errors
/// If the file cannot be written.
pub fn write_push(scratch: &Scratch, host: &Host, push: &Push) -> Result<()> {
    let host_key = match &push.host_key {
        Some(key) => key.clone(),
        None => scratch.sshd.host_key.public()?,
    };
    let mut text = format!("host = {:?}\nroots = {}\n", host.name, list(&host.roots));
    if !push.exclude.is_empty() {
        let _ = writeln!(text, "exclude = {}", list(&push.exclude));
    }
    let _ = write!(
        text,
        "state = {:?}\nverdict_wait_seconds = {}\n\n[server]\naddress = \"127.0.0.1\"\nport = {}\naccount = {:?}\nkey = {:?}\nhost_key = {:?}\n{}",
        host.state(),
        push.verdict_wait_seconds,
        scratch.sshd.port,
        host.account,
        host.key.path,
        host_key,
        push.server,
    );
    write(&host.settings, &text)
}

pub(crate) fn write_server(folder: &Path, names: &Names, options: &Options) -> Result<()> {
    let text = format!(
        "jails = {:?}\nhistory = {:?}\nkeys = {:?}\nhosts = {:?}\nreceiver = {:?}\naccount_prefix = {:?}\nowner = {:?}\nreaders = {:?}\nsandbox = \"required\"\n\n[limits]\n{}",
        folder.join("jails"),
        folder.join("history"),
        folder.join("keys"),
        folder.join("etc/hosts"),
        folder.join("bin/receiver"),
        names.host_prefix,
        names.owner,
        names.readers,
        options.limits,
    );
    write(&folder.join("etc/server.toml"), &text)
}

pub(crate) fn write_ice(folder: &Path, key: &OpenPgpKey, options: &Options) -> Result<()> {
    let text = format!(
        "history = {:?}\nstaging = {:?}\nledger = {:?}\nscope = {:?}\nsegment_bytes = {}\n\n[[recipients]]\ncertificate = {:?}\nfingerprint = {:?}\n\n[[vaults]]\nname = \"local\"\nurl = \"file:{}\"\nretention_days = 92\n",
        folder.join("history"),
        folder.join("ice/staging"),
        folder.join("ice/ledger"),
        options.scope,
        options.segment_bytes,
        key.certificate,
        key.fingerprint,
        folder.join("vault").display(),
    );
    write(&folder.join("etc/ice.toml"), &text)
}

pub(crate) fn write_drill(folder: &Path, key: &OpenPgpKey) -> Result<()> {
    let text = format!(
        "quarantine = {:?}\nrecords = {:?}\nkey = {:?}\npassphrase_file = {:?}\nserver_certificates = [{:?}]\n\n[[vaults]]\nname = \"local\"\nurl = \"file:{}\"\n",
        folder.join("drill/quarantine"),
        folder.join("drill/records"),
        key.secret,
        key.passphrase_file,
        folder.join("ice/ledger/signing-key.asc"),
        folder.join("vault").display(),
    );
    write(&folder.join("etc/drill.toml"), &text)
}

fn list(paths: &[PathBuf]) -> String {
    format!("[{}]", paths.iter().map(|path| format!("{path:?}")).collect::<Vec<_>>().join(", "))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).at("write", path)
}
