//! What carries a push, and how the system's ssh is called where it does.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sandbox::Landlock;

use crate::openssh::{KeyError, PrivateKey};
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

/// Who chose the system's ssh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// The settings name it: whatever it can do, it may.
    Named,
    /// They name nothing, and we did: it takes what crate ssh2 takes, or that one carries.
    Ours,
}

/// How the system's ssh is called. All paths are absolute and plain: nothing in them means anything to ssh.
#[derive(Debug, Clone)]
pub struct SshProgram {
    /// Who chose it.
    pub chosen: Chosen,
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

impl SshProgram {
    /// Looks at the key that it is to use.
    pub fn look(&self, key: &Path) -> Result<(), KeyError> {
        match self.chosen {
            Chosen::Named => PrivateKey::look(key),
            // Where nobody asked for ssh, nobody has an agent for it.
            Chosen::Ours => PrivateKey::load(key).map(drop),
        }
    }
}

/// What this host has for ssh.
#[derive(Debug, Clone, Copy)]
struct Here {
    /// It is installed.
    program: bool,
    /// It can be kept from root's files.
    landlock: bool,
    /// It reads the key. True where nobody does: why is said when it is used.
    key: bool,
}

impl Here {
    fn look(key: &Path) -> Self {
        Self {
            program: is_installed(Path::new(PROGRAM)),
            landlock: Landlock::is_there(),
            key: PrivateKey::load(key).map_or(true, |key| key.is_for_openssh()),
        }
    }
}

/// A key of the settings that is wrong, and how.
type Wrong = (&'static str, String);

/// What the settings say about it.
pub(super) fn of(server: &Server, state: &Path) -> Result<Way, Wrong> {
    match (server.transport, &server.ssh, &server.key) {
        (Some(Transport::Ssh), ssh, _) => {
            program(server, ssh.clone().unwrap_or_default(), state, Chosen::Named).map(Way::Ssh)
        }
        (_, Some(_), _) => Err(("server.ssh", "is of use with transport = \"ssh\" only".to_owned())),
        (_, None, None) => Err(("server.key", "must be set, unless transport is \"ssh\"".to_owned())),
        (Some(Transport::Ssh2), None, Some(_)) => Ok(Way::Ssh2),
        (None, None, Some(key)) => Ok(better(server, state, Here::look(key))),
    }
}

/// Where nothing is said: the faster one, if it is there, takes what the settings name, and can be kept from root's files (decision 0022).
fn better(server: &Server, state: &Path, here: Here) -> Way {
    match program(server, Ssh::default(), state, Chosen::Ours) {
        Ok(ssh) if here.program && here.landlock && here.key => Way::Ssh(ssh),
        _ => Way::Ssh2,
    }
}

/// Another ssh than OpenSSH's is a link to a program of another name (dropbear).
fn is_installed(program: &Path) -> bool {
    let runs = |path: &Path| fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.mode() & 0o111 != 0);
    fs::canonicalize(program).is_ok_and(|real| real.file_name() == program.file_name() && runs(&real))
}

fn program(server: &Server, ssh: Ssh, state: &Path, chosen: Chosen) -> Result<SshProgram, Wrong> {
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
        chosen,
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

    const KEY: &str = ", \"key\": \"/key\"";

    fn server(settings: &str) -> Server {
        let server = format!("{{\"address\": \"backup\", \"host_key\": \"\"{settings}}}");
        serde_json::from_str(&server).unwrap()
    }

    #[test]
    fn where_nothing_is_said_ssh_carries_if_it_is_installed_can_be_confined_and_reads_the_key() {
        let way =
            |settings: &str, state: &str, here| better(&server(settings), Path::new(state), here).name();
        for bits in 0..8 {
            let here = Here { program: bits & 1 != 0, landlock: bits & 2 != 0, key: bits & 4 != 0 };
            assert_eq!(way(KEY, "/state", here), if bits == 7 { "ssh" } else { "ssh2" }, "{here:?}");
        }
        // What ssh would not take as it is written.
        let here = Here { program: true, landlock: true, key: true };
        assert_eq!(way(KEY, "/state of things", here), "ssh2");
        assert_eq!(way(", \"key\": \"/%h\"", "/state", here), "ssh2");
    }

    #[test]
    fn who_says_something_is_obeyed_or_told_why_not() {
        let way = |settings: &str| {
            let way = of(&server(settings), Path::new("/state"));
            way.map(|way| way.name()).map_err(|(key, _)| key)
        };
        let (ssh, ssh2) = (", \"transport\": \"ssh\"", ", \"transport\": \"ssh2\"");
        assert_eq!(way(&format!("{KEY}{ssh2}")), Ok("ssh2"));
        assert_eq!(way(&format!("{KEY}{ssh}")), Ok("ssh"));
        assert_eq!(way(&format!(", \"key\": \"/%h\"{ssh}")), Err("server.key"));
        assert_eq!(way(&format!("{KEY}, \"ssh\": {{}}")), Err("server.ssh"));
        assert_eq!(way(""), Err("server.key"));
        assert_eq!(way(ssh), Ok("ssh"));
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
        // As dropbear is.
        let other = scratch.path().join("dbclient");
        fs::rename(&program, &other).unwrap();
        std::os::unix::fs::symlink(&other, &program).unwrap();
        assert!(!is_installed(&program) && is_installed(&other));
    }
}
