//! What carries a push, and how the system's ssh is called where it does.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::settings::{Server, Transport};

/// The program, unless the settings name another.
const PROGRAM: &str = "/usr/bin/ssh";
/// The file with the pinned host key, in the state folder.
pub(crate) const KNOWN_HOSTS: &str = "ssh_known_hosts";

/// What carries a push.
#[derive(Debug, Clone)]
pub enum Way {
    /// Crate ssh2.
    Ssh2,
    /// The system's ssh.
    Ssh(SshProgram),
}

/// How the system's ssh is called. All paths are absolute and plain: nothing in them means anything to ssh.
#[derive(Debug, Clone)]
pub struct SshProgram {
    /// The program.
    pub program: PathBuf,
    /// Its configuration file, if it is to read one.
    pub config: Option<PathBuf>,
    /// An agent's socket.
    pub agent: Option<PathBuf>,
    /// What else it may read, and run programs from.
    pub paths: Vec<PathBuf>,
    /// Where the pinned host key is written, for ssh to read.
    pub known_hosts: PathBuf,
}

impl Way {
    /// Ciphers in the order of what they cost this host, cheapest first: docs/performance.md. libssh2 is slow with AES-GCM.
    pub(super) fn ciphers(&self) -> &'static [&'static str] {
        match self {
            Way::Ssh2 => &[
                "chacha20-poly1305@openssh.com",
                "aes128-gcm@openssh.com",
                "aes256-gcm@openssh.com",
                "aes128-ctr",
            ],
            Way::Ssh(_) => &[
                "aes128-gcm@openssh.com",
                "aes256-gcm@openssh.com",
                "chacha20-poly1305@openssh.com",
                "aes128-ctr",
            ],
        }
    }
}

/// What the settings say about it; or the key that is wrong, and how.
pub(super) fn of(server: &Server, state: &Path) -> Result<Way, (&'static str, String)> {
    match (server.transport, &server.ssh) {
        (Transport::Ssh2, Some(_)) => {
            Err(("server.ssh", "is of use with transport = \"ssh\" only".to_owned()))
        }
        (Transport::Ssh2, None) if server.key.is_none() => {
            Err(("server.key", "must be set, unless transport is \"ssh\"".to_owned()))
        }
        (Transport::Ssh2, None) => Ok(Way::Ssh2),
        (Transport::Ssh, ssh) => {
            let ssh = ssh.clone().unwrap_or_default();
            let named = [
                ("server.key", server.key.as_deref()),
                ("server.ssh.program", ssh.program.as_deref()),
                ("server.ssh.config", ssh.config.as_deref()),
                ("server.ssh.agent", ssh.agent.as_deref()),
                ("state", Some(state)),
            ];
            for (key, path) in named {
                path.map_or(Ok(()), plain).map_err(|what| (key, what))?;
            }
            ssh.paths.iter().try_for_each(|path| plain(path)).map_err(|what| ("server.ssh.paths", what))?;
            plain_word(&server.address).map_err(|what| ("server.address", what))?;
            plain_word(server.account.as_deref().unwrap_or_default())
                .map_err(|what| ("server.account", what))?;
            Ok(Way::Ssh(SshProgram {
                program: ssh.program.unwrap_or_else(|| PROGRAM.into()),
                config: ssh.config,
                agent: ssh.agent,
                paths: ssh.paths,
                known_hosts: state.join(KNOWN_HOSTS),
            }))
        }
    }
}

/// ssh expands `~`, `%` and `${}` in the paths it is given, and splits some at blanks.
fn plain(path: &Path) -> Result<(), String> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/._-+@,:".contains(b);
    match path.is_absolute() && path.as_os_str().as_bytes().iter().all(plain) {
        true => Ok(()),
        false => Err(format!(
            "must be an absolute path of letters, digits and \"/._-+@,:\" for ssh, and \"{}\" is not",
            cli::shown(path.as_os_str().as_bytes())
        )),
    }
}

/// What could be an option, `user@host` or a URI means something else to ssh than to us.
fn plain_word(word: &str) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-:%".contains(&b);
    match word.bytes().all(plain) && !word.starts_with('-') {
        true => Ok(()),
        false => Err("must be of letters, digits and \"._-:%\" for ssh, and not begin with \"-\"".to_owned()),
    }
}
