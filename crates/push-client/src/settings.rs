//! The settings file as it is typed. What it means is worked out in [`crate::plan`].

use std::fs::Metadata;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use cli::settings::SettingsError;

/// Where the settings are, unless `--config` says otherwise.
pub const SETTINGS_FILE: &str = "/etc/firn/push.toml";

/// The least a settings file must say, shown when there is none.
pub const EXAMPLE: &str = r#"roots = ["/etc", "/home"]
state = "/var/lib/firn/push"
[server]
address = "backup.example.org"
key = "/etc/firn/keys/push_ed25519"
host_key = "ssh-ed25519 AAAA...""#;

/// `push.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// This host's id; the machine's name if it is not given.
    pub host: Option<String>,
    /// Absolute paths whose trees are pushed.
    #[serde(default)]
    pub roots: Vec<PathBuf>,
    /// Roots that are read somewhere else than where they are in the push.
    #[serde(default)]
    pub root: Vec<RootAt>,
    /// Absolute paths that are passed over, with all below them.
    #[serde(default)]
    pub exclude: Vec<PathBuf>,
    /// What is taken and left by patterns, in the order in which they are asked: `- *.o`, `+ /srv/*/keep/**`.
    #[serde(default)]
    pub rules: Vec<String>,
    /// Leave out what lies beside a signed CACHEDIR.TAG.
    #[serde(default)]
    pub exclude_caches: bool,
    /// Leave out what lies beside a file with one of these names.
    #[serde(default)]
    pub exclude_if_present: Vec<String>,
    /// Do not go into mount points below a root, unless they are roots themselves.
    #[serde(default = "Settings::one_file_system")]
    pub one_file_system: bool,
    /// Keep `trusted.*` attributes, too; the process that reads the files then keeps CAP_SYS_ADMIN.
    #[serde(default)]
    pub trusted_attributes: bool,
    /// Within so many days each untouched file is read again, to see whether its content is still the one it had; 0 for never.
    #[serde(default = "Settings::rehash_days")]
    pub rehash_days: u32,
    /// Folder of the client's own state.
    pub state: PathBuf,
    /// How long `run` waits for the verdict; 0 for not at all.
    #[serde(default = "Settings::verdict_wait_seconds")]
    pub verdict_wait_seconds: u32,
    /// How hard contents are squeezed: a level of zstd; 1 to 6, as the line leaves time, if it is not given.
    pub compression_level: Option<i32>,
    /// How far `run` steps back behind other programs, 0 to 19; the disk follows it.
    #[serde(default = "Settings::nice")]
    pub nice: u8,
    /// Commands that are run before anything is read, in this order.
    #[serde(default)]
    pub before: Vec<Command>,
    /// Commands whose output is pushed as a file.
    #[serde(default)]
    pub dump: Vec<Dump>,
    /// Commands that are run after the push, whatever came of it.
    #[serde(default)]
    pub after: Vec<Command>,
    /// Where the pushes go.
    pub server: Server,
}

/// A table `[[root]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootAt {
    /// Absolute path that the tree has in the push.
    pub path: PathBuf,
    /// Absolute path of the folder where it is read: a snapshot.
    pub read_at: PathBuf,
}

/// A table `[[before]]` or `[[after]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The program and its arguments. No shell reads them.
    pub command: Vec<String>,
    /// The account it runs as; the one that runs push-client if it is not given.
    pub user: Option<String>,
    /// It is ended, and has failed, after so long.
    #[serde(default = "Command::timeout_seconds")]
    pub timeout_seconds: u32,
}

/// A table `[[dump]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dump {
    /// The program and its arguments. No shell reads them.
    pub command: Vec<String>,
    /// Absolute path that its output has in the push. Nothing is written there.
    pub path: PathBuf,
    /// The account it runs as; the one that runs push-client if it is not given.
    pub user: Option<String>,
    /// Permission bits in the push, as text: `"0640"`.
    #[serde(default = "Dump::mode")]
    pub mode: String,
    /// It is ended, and has failed, after so long.
    #[serde(default = "Dump::timeout_seconds")]
    pub timeout_seconds: u32,
    /// With less output than this it has failed.
    #[serde(default = "Dump::least_bytes")]
    pub least_bytes: u64,
}

/// The table `[server]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Name or number of the server.
    pub address: String,
    /// TCP port of its sshd.
    #[serde(default = "Server::port")]
    pub port: u16,
    /// This host's account there; the one that the server's default settings give it if it is not given.
    pub account: Option<String>,
    /// What carries the pushes. If it is not given: the system's `ssh`, where it is installed and can be confined, else crate ssh2.
    pub transport: Option<Transport>,
    /// How the system's `ssh` is called, where it carries them.
    pub ssh: Option<Ssh>,
    /// Private key, OpenSSH format, ed25519, without a passphrase, mode 0600. With `ssh` it may be a public key, whose private half an
    /// agent holds, or be absent.
    pub key: Option<PathBuf>,
    /// The server's own key: `ssh-ed25519 AAAA...`.
    pub host_key: String,
    /// Ciphers, best first; the measured order if it is not given.
    pub ciphers: Option<Vec<String>>,
    /// Longest time to connect, agree on keys and be let in.
    #[serde(default = "Server::connect_seconds")]
    pub connect_seconds: u32,
    /// Longest time the server may keep us waiting.
    #[serde(default = "Server::idle_seconds")]
    pub idle_seconds: u32,
    /// Longest time of one session; a push that takes longer is cut, and goes on in the next run.
    #[serde(default = "Server::session_seconds")]
    pub session_seconds: u32,
    /// A server that is silent for this long is asked whether it is there; 0 for never.
    #[serde(default = "Server::keepalive_seconds")]
    pub keepalive_seconds: u32,
    /// Most that is sent in a second: a number with `B`, `KiB`, `MiB` or `GiB` and `/s`. No limit if it is not given.
    pub bandwidth_limit: Option<String>,
}

/// What carries the pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Crate ssh2, in a child of our own.
    Ssh2,
    /// The system's `ssh`.
    Ssh,
}

/// The table `[server.ssh]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ssh {
    /// The program; `/usr/bin/ssh` if it is not given.
    pub program: Option<PathBuf>,
    /// A configuration file for it; no other is read, and none if this is not given.
    pub config: Option<PathBuf>,
    /// Socket of an agent that signs with a key it holds; what `SSH_AUTH_SOCK` names if it is not given.
    pub agent: Option<PathBuf>,
    /// Further files and folders that it may read, and run programs from.
    #[serde(default)]
    pub paths: Vec<PathBuf>,
}

impl Settings {
    fn one_file_system() -> bool {
        true
    }

    fn rehash_days() -> u32 {
        30
    }

    fn verdict_wait_seconds() -> u32 {
        60
    }

    fn nice() -> u8 {
        10
    }

    /// Reads the file, and tells what it was.
    pub fn load(path: &Path) -> Result<(Self, Metadata), SettingsError> {
        cli::settings::load_with_metadata(path).map_err(|error: SettingsError| error.with_example(EXAMPLE))
    }
}

impl Command {
    fn timeout_seconds() -> u32 {
        300
    }
}

impl Dump {
    fn mode() -> String {
        "0600".to_owned()
    }

    fn timeout_seconds() -> u32 {
        21_600
    }

    fn least_bytes() -> u64 {
        1
    }
}

impl Server {
    fn port() -> u16 {
        22
    }

    fn connect_seconds() -> u32 {
        30
    }

    fn idle_seconds() -> u32 {
        600
    }

    fn session_seconds() -> u32 {
        86_400
    }

    fn keepalive_seconds() -> u32 {
        60
    }
}
