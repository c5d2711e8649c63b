//! What the settings mean: checked, nothing optional left.

mod commands;
mod rate;
mod way;

use std::fs::Metadata;
use std::num::NonZeroU64;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use formats::{ACCOUNT_PREFIX, HostId, RelPath};

use cli::settings::SettingsError;

use crate::host;
use crate::openssh::HostKey;
use crate::push::Level;
use crate::settings::{RootAt, Server, Settings};
use crate::walk::{Caches, Mounts, Rules, Selection};

pub use commands::{COMMANDS_MAX, Commands, Dump, Task};
pub use way::{Chosen, SshProgram, Way};

/// The levels zstd has.
const LEVELS: std::ops::RangeInclusive<i32> = -7..=19;

/// From the least that makes sense to a month, so that sums of them fit everywhere.
const SECONDS: std::ops::RangeInclusive<u32> = 1..=2_678_400;

/// Most names of `exclude_if_present`.
const MARKERS_MAX: usize = 32;
/// Shorter is noise, longer is forgotten by whatever stands between.
const KEEPALIVE: std::ops::RangeInclusive<u32> = 2..=3_600;
/// The nicest there is.
const NICE_MAX: u8 = 19;

/// One push, as it is meant.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Who we are.
    pub host: HostId,
    /// What is pushed and what is not.
    pub selection: Arc<Selection>,
    /// Whether `trusted.*` attributes are to be seen.
    pub trusted: Trusted,
    /// Within so many days each untouched file is read again; 0 for never.
    pub rehash_days: u32,
    /// Folder of the client's own state.
    pub state: PathBuf,
    /// How long to wait for a verdict; 0 for not at all.
    pub verdict_wait_seconds: u32,
    /// How hard contents are squeezed.
    pub compression: Level,
    /// Least nice value of `run`.
    pub nice: i32,
    /// What is run before, for and after it.
    pub commands: Commands,
    /// Where it goes.
    pub target: Target,
}

/// What is done about `trusted.*` attributes, which only a process with CAP_SYS_ADMIN sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trusted {
    /// They are kept, and so is the capability.
    Keep,
    /// They are not seen.
    LeaveOut,
}

/// A server and how to be let in.
#[derive(Debug, Clone)]
pub struct Target {
    /// Name or number.
    pub address: String,
    /// TCP port.
    pub port: u16,
    /// Account.
    pub account: String,
    /// What carries the pushes.
    pub way: Way,
    /// File of the private key. Only the system's ssh can do without.
    pub key: Option<PathBuf>,
    /// The only host key that is believed.
    pub host_key: HostKey,
    /// Ciphers, best first.
    pub ciphers: Vec<String>,
    /// Deadline of connecting and being let in.
    pub connect_seconds: u32,
    /// Longest silence of a server that owes an answer.
    pub idle_seconds: u32,
    /// Longest time of one session, whatever the server does.
    pub session_seconds: u32,
    /// After how long a silence it is asked whether it lives; 0 for never.
    pub keepalive_seconds: u32,
    /// Most bytes in a second.
    pub bytes_per_second: Option<NonZeroU64>,
}

impl Plan {
    /// Reads the settings file and works out what it means.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let (settings, read) = Settings::load(path)?;
        Self::of(settings, &read, path)
    }

    /// Leaves out one more path; none that could not be pushed anyway.
    pub(crate) fn pass_over(&mut self, path: &Path) {
        if let Ok(components) = components(path) {
            Arc::make_mut(&mut self.selection).leave(&components);
        }
    }

    /// What `settings`, read from `path`, mean.
    fn of(settings: Settings, read: &Metadata, path: &Path) -> Result<Self, SettingsError> {
        let wrong = |key, what: String| SettingsError::value(path, key, what);
        let host = host_id(settings.host.as_deref()).map_err(|what| wrong("host", what))?;
        if !settings.state.is_absolute() {
            return Err(wrong("state", "must be an absolute path".to_owned()));
        }
        if settings.compression_level.is_some_and(|level| !LEVELS.contains(&level)) {
            return Err(wrong(
                "compression_level",
                format!("must be {} to {}", LEVELS.start(), LEVELS.end()),
            ));
        }
        if settings.nice > NICE_MAX {
            return Err(wrong("nice", format!("must be 0 to {NICE_MAX}")));
        }
        let commands = Commands::of(&settings).map_err(|(key, what)| wrong(key, what))?;
        if !commands.is_empty() {
            commands::only_ours(path, read)?;
        }
        let mut selection = selection(&settings, path)?;
        for dump in &commands.dumps {
            selection.produce(&dump.path).map_err(|what| wrong("dump.path", what))?;
        }
        let target = Target::of(settings.server, &host, &settings.state, path)?;
        Ok(Self {
            host,
            selection: Arc::new(selection),
            trusted: if settings.trusted_attributes { Trusted::Keep } else { Trusted::LeaveOut },
            rehash_days: settings.rehash_days,
            state: settings.state,
            verdict_wait_seconds: settings.verdict_wait_seconds,
            compression: settings.compression_level.map_or(Level::Adaptive, Level::Fixed),
            nice: settings.nice.into(),
            commands,
            target,
        })
    }
}

#[cfg(test)]
impl Target {
    /// A server that is never called.
    pub(crate) fn example() -> Self {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHYgd6V5/EB898lAR5g29aPAWqwY2caFuljddCAcG1F+";
        Self {
            address: "10.0.0.1".to_owned(),
            port: 22,
            account: "firn-web01".to_owned(),
            way: Way::Ssh2,
            key: None,
            host_key: HostKey::parse(key).unwrap(),
            ciphers: Vec::new(),
            connect_seconds: 1,
            idle_seconds: 1,
            session_seconds: 1,
            keepalive_seconds: 0,
            bytes_per_second: None,
        }
    }
}

impl Target {
    fn of(server: Server, host: &HostId, state: &Path, path: &Path) -> Result<Self, SettingsError> {
        let wrong = |key, what: String| SettingsError::value(path, key, what);
        let host_key =
            HostKey::parse(&server.host_key).map_err(|e| wrong("server.host_key", e.to_string()))?;
        if server.address.is_empty() {
            return Err(wrong("server.address", "is empty".to_owned()));
        }
        if server.key.as_deref().is_some_and(|key| !key.is_absolute()) {
            return Err(wrong("server.key", "must be an absolute path".to_owned()));
        }
        let way = way::of(&server, state).map_err(|(key, what)| wrong(key, what))?;
        let Some(account) = server.account.or_else(|| host.account(ACCOUNT_PREFIX)) else {
            return Err(wrong("server.account", "must be set".to_owned()));
        };
        if account.is_empty() {
            return Err(wrong("server.account", "is empty".to_owned()));
        }
        let times = [
            ("server.connect_seconds", server.connect_seconds),
            ("server.idle_seconds", server.idle_seconds),
            ("server.session_seconds", server.session_seconds),
        ];
        if let Some((key, _)) = times.into_iter().find(|(_, seconds)| !SECONDS.contains(seconds)) {
            return Err(wrong(key, format!("must be {} to {}", SECONDS.start(), SECONDS.end())));
        }
        if server.keepalive_seconds != 0 && !KEEPALIVE.contains(&server.keepalive_seconds) {
            let (least, most) = (KEEPALIVE.start(), KEEPALIVE.end());
            return Err(wrong("server.keepalive_seconds", format!("must be 0, or {least} to {most}")));
        }
        let limit = server.bandwidth_limit.as_deref().map(rate::parse).transpose();
        let bytes_per_second = limit.map_err(|what| wrong("server.bandwidth_limit", what))?;
        let usual = way.ciphers().iter().map(ToString::to_string);
        let ciphers = server.ciphers.unwrap_or_else(|| usual.collect());
        let plain = |name: &String| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-@.".contains(&b))
        };
        if ciphers.is_empty() || !ciphers.iter().all(plain) {
            return Err(wrong(
                "server.ciphers",
                "must be names such as \"aes128-gcm@openssh.com\"".to_owned(),
            ));
        }
        Ok(Self {
            address: server.address,
            port: server.port,
            account,
            way,
            key: server.key,
            host_key,
            ciphers,
            connect_seconds: server.connect_seconds,
            idle_seconds: server.idle_seconds,
            session_seconds: server.session_seconds,
            keepalive_seconds: server.keepalive_seconds,
            bytes_per_second,
        })
    }
}

fn host_id(given: Option<&str>) -> Result<HostId, String> {
    if let Some(given) = given {
        return HostId::parse(given).map_err(|error| format!("is no host id: {error}"));
    }
    let name =
        host::name().map_err(|error| format!("must be set: this machine does not tell its name: {error}"))?;
    HostId::parse(&name)
        .map_err(|error| format!("must be set: this machine's name {name:?} is no host id: {error}"))
}

/// What the settings choose.
fn selection(settings: &Settings, path: &Path) -> Result<Selection, SettingsError> {
    let wrong = |key, what: String| SettingsError::value(path, key, what);
    if settings.roots.is_empty() && settings.root.is_empty() {
        return Err(wrong("roots", "names nothing to push".to_owned()));
    }
    let mut selection = Selection::default();
    for root in &settings.roots {
        selection.take(&components(root).map_err(|what| wrong("roots", what))?);
    }
    for RootAt { path: root, read_at } in &settings.root {
        let at = components(read_at).map_err(|what| wrong("root.read_at", what))?;
        let at = RelPath::new(&at.join(&b'/'))
            .map_err(|_| wrong("root.read_at", "must be a folder below /".to_owned()))?;
        selection.read_at(&components(root).map_err(|what| wrong("root.path", what))?, at);
    }
    for left in &settings.exclude {
        selection.leave(&components(left).map_err(|what| wrong("exclude", what))?);
    }
    // It changes while it is read, and is of no use to anyone else.
    selection.leave(&components(&settings.state).map_err(|what| wrong("state", what))?);
    selection.rules =
        Rules::parse(&settings.rules).map_err(|error| wrong("rules", format!("holds {error}")))?;
    selection.tags.caches = if settings.exclude_caches { Caches::Leave } else { Caches::Take };
    selection.tags.markers =
        markers(&settings.exclude_if_present).map_err(|what| wrong("exclude_if_present", what))?;
    selection.mounts = if settings.one_file_system { Mounts::Stay } else { Mounts::Cross };
    Ok(selection)
}

fn markers(names: &[String]) -> Result<Vec<Vec<u8>>, String> {
    if names.len() > MARKERS_MAX {
        return Err(format!("must be at most {MARKERS_MAX} names"));
    }
    let marker = |name: &String| {
        let one = RelPath::new(name.as_bytes()).ok().filter(|path| path.components().count() == 1);
        let shown = cli::shown(name.as_bytes());
        one.map(|_| name.clone().into_bytes())
            .ok_or_else(|| format!("must be names of files, and \"{shown}\" is none"))
    };
    names.iter().map(marker).collect()
}

/// The components of an absolute path of the settings; none for `/`.
fn components(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let shown = cli::shown(path.as_os_str().as_bytes());
    let Some(below) = path.as_os_str().as_bytes().strip_prefix(b"/") else {
        return Err(format!("must be absolute paths, and \"{shown}\" is not"));
    };
    let below = below.strip_suffix(b"/").unwrap_or(below);
    if below.is_empty() {
        return Ok(Vec::new());
    }
    let path = RelPath::new(below).map_err(|error| format!("holds \"{shown}\": {error}"))?;
    Ok(path.components().map(<[u8]>::to_vec).collect())
}
