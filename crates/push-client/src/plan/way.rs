//! What carries a push, and how the system's ssh is called where it does.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sandbox::Landlock;

use crate::settings::{Server, Ssh, Transport};

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
    /// Its name in settings and reports.
    pub fn name(&self) -> &'static str {
        match self {
            Way::Ssh2 => "ssh2",
            Way::Ssh(_) => "ssh",
        }
    }

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

/// A key of the settings that is wrong, and how.
type Wrong = (&'static str, String);

/// What the settings say about it.
pub(super) fn of(server: &Server, state: &Path) -> Result<Way, Wrong> {
    match (server.transport, &server.ssh) {
        (Some(Transport::Ssh), ssh) => program(server, ssh.clone().unwrap_or_default(), state).map(Way::Ssh),
        (_, Some(_)) => Err(("server.ssh", "is of use with transport = \"ssh\" only".to_owned())),
        (_, None) if server.key.is_none() => {
            Err(("server.key", "must be set, unless transport is \"ssh\"".to_owned()))
        }
        (Some(Transport::Ssh2), None) => Ok(Way::Ssh2),
        (None, None) => Ok(better(server, state)),
    }
}

/// Where nothing is said: the faster one, if it is there, takes what the settings name, and can be kept from root's files (decision 0022).
fn better(server: &Server, state: &Path) -> Way {
    match program(server, Ssh::default(), state) {
        Ok(ssh) if is_installed(&ssh.program) && Landlock::is_there() => Way::Ssh(ssh),
        _ => Way::Ssh2,
    }
}

fn is_installed(program: &Path) -> bool {
    fs::metadata(program).is_ok_and(|meta| meta.is_file() && meta.mode() & 0o111 != 0)
}

fn program(server: &Server, ssh: Ssh, state: &Path) -> Result<SshProgram, Wrong> {
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
    plain_word(server.account.as_deref().unwrap_or_default()).map_err(|what| ("server.account", what))?;
    Ok(SshProgram {
        program: ssh.program.unwrap_or_else(|| PROGRAM.into()),
        config: ssh.config,
        agent: ssh.agent,
        paths: ssh.paths,
        known_hosts: state.join(KNOWN_HOSTS),
    })
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn way(settings: &str, state: &str) -> Result<&'static str, &'static str> {
        let server = format!("{{\"address\": \"backup\", \"host_key\": \"\"{settings}}}");
        let server = serde_json::from_str(&server).unwrap();
        of(&server, Path::new(state)).map(|way| way.name()).map_err(|(key, _)| key)
    }

    #[test]
    fn where_nothing_is_said_ssh_carries_if_it_is_installed_and_can_be_confined() {
        let is_there = is_installed(Path::new(PROGRAM)) && Landlock::is_there();
        let usual = if is_there { "ssh" } else { "ssh2" };
        let key = ", \"key\": \"/key\"";
        let (ssh, ssh2) = (", \"transport\": \"ssh\"", ", \"transport\": \"ssh2\"");
        assert_eq!(way(key, "/state"), Ok(usual));
        // What ssh would not take as it is written.
        assert_eq!(way(key, "/state of things"), Ok("ssh2"));
        assert_eq!(way(", \"key\": \"/%h\"", "/state"), Ok("ssh2"));
        // Who says something is obeyed, or told why not.
        assert_eq!(way(&format!("{key}{ssh2}"), "/state"), Ok("ssh2"));
        assert_eq!(way(&format!("{key}{ssh}"), "/state"), Ok("ssh"));
        assert_eq!(way(&format!(", \"key\": \"/%h\"{ssh}"), "/state"), Err("server.key"));
        assert_eq!(way(&format!("{key}, \"ssh\": {{}}"), "/state"), Err("server.ssh"));
        assert_eq!(way("", "/state"), Err("server.key"));
        assert_eq!(way(ssh, "/state"), Ok("ssh"));
    }

    #[test]
    fn installed_is_what_is_a_file_that_can_be_run() {
        let scratch = tempfile::tempdir().unwrap();
        let program = scratch.path().join("ssh");
        assert!(!is_installed(&program));
        fs::write(&program, "").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(!is_installed(&program) && !is_installed(scratch.path()));
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(is_installed(&program));
    }
}
