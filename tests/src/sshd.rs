//! A real sshd on a loopback port of its own, configured as `README.md` and `docs/` tell people to.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::{At, Result, RigError};
use crate::keys::SshKey;
use crate::machine::{Power, find_program};
use crate::outcome::Outcome;
use crate::process;

/// How long sshd may take to greet.
const GREETING: Duration = Duration::from_secs(10);
/// How often another port is tried, if somebody else was faster.
const PORTS_MAX: usize = 5;

/// A running sshd. It ends, with all its sessions, when this is dropped.
#[derive(Debug)]
pub struct Sshd {
    folder: PathBuf,
    keys: PathBuf,
    child: Option<Child>,
    /// What `snapshotter host sshd-config` prints: chroot and more for the accounts of hosts. Empty where there are no such accounts.
    pub hosts_block: String,
    /// Instead of ours: a whole configuration, and a file that it includes first, which moves it to our port.
    pub whole: Option<(String, PathBuf)>,
    /// The port it listens on, on 127.0.0.1.
    pub port: u16,
    /// Its host key.
    pub host_key: SshKey,
}

impl Sshd {
    /// Makes a host key in `folder`; authorized keys are looked for in `keys`, one file an account. Does not start yet.
    ///
    /// # Errors
    /// If a folder or key cannot be made.
    pub fn new(folder: &Path, keys: &Path) -> Result<Sshd> {
        fs::create_dir_all(folder).at("create", folder)?;
        let host_key = SshKey::make(&folder.join("host_ed25519"))?;
        Ok(Sshd {
            folder: folder.to_owned(),
            keys: keys.to_owned(),
            child: None,
            hosts_block: String::new(),
            whole: None,
            port: free_port()?,
            host_key,
        })
    }

    /// Starts it, or starts it again, for these accounts and no others.
    ///
    /// # Errors
    /// If it does not greet.
    pub fn start(&mut self, accounts: &[String]) -> Result<()> {
        self.stop();
        if Power::here() == Power::Root {
            // Debian makes it when the service starts, which it does not here.
            fs::create_dir_all("/run/sshd").at("create", "/run/sshd")?;
        }
        for _ in 0..PORTS_MAX {
            if self.try_start(accounts)? {
                return Ok(());
            }
        }
        Err(RigError::State(format!("sshd does not start; see {}", self.log().display())))
    }

    /// Ends it and its sessions.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            process::end(&process::family(child.id()));
            let _ = child.wait();
        }
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn try_start(&mut self, accounts: &[String]) -> Result<bool> {
        let config = self.folder.join("sshd_config");
        fs::write(&config, self.config(accounts)?).at("write", &config)?;
        let sshd = find_program("sshd").ok_or_else(|| RigError::State("there is no sshd".to_owned()))?;
        let mut command = Command::new(&sshd);
        command.arg("-D").arg("-E").arg(self.log()).arg("-f").arg(&config);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child =
            command.spawn().map_err(|source| RigError::Start { program: "sshd".to_owned(), source })?;
        let pid = child.id();
        self.child = Some(child);
        fs::write(self.folder.join("pid"), pid.to_string()).at("write", self.folder.join("pid"))?;
        let until = Instant::now() + GREETING;
        while Instant::now() < until {
            if greets(self.port) {
                return Ok(true);
            }
            if process::started(pid).is_none() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.stop();
        self.port = free_port()?;
        Ok(false)
    }

    fn config(&self, accounts: &[String]) -> Result<String> {
        if let Some((text, included)) = &self.whole {
            let exempt =
                if openssh_version()? >= (9, 8) { "PerSourcePenaltyExemptList 127.0.0.1\n" } else { "" };
            let moved = format!("ListenAddress 127.0.0.1:{}\n{exempt}", self.port);
            fs::write(included, moved).at("write", included)?;
            return Ok(text.clone());
        }
        // An ordinary user's folder may have parents that sshd thinks others could write; the keys are this user's own.
        let strict = if Power::here() == Power::Root { "yes" } else { "no" };
        let mut text = format!(
            "ListenAddress 127.0.0.1\nPort {}\nHostKey {}\nPidFile none\nUsePAM no\nStrictModes {strict}\n\
             AuthorizedKeysFile {}/%u\nAllowUsers {}\n",
            self.port,
            self.host_key.path.display(),
            self.keys.display(),
            accounts.join(" "),
        );
        text.push_str(HARDENING);
        if openssh_version()? >= (9, 8) {
            // All hosts of a scratch server are 127.0.0.1; one that fails a test must not lock out the others.
            text.push_str("PerSourcePenaltyExemptList 127.0.0.1\n");
        }
        text.push_str(&self.hosts_block);
        Ok(text)
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
    }
}

const HARDENING: &str = "\
AuthenticationMethods publickey
PubkeyAcceptedAlgorithms ssh-ed25519
HostKeyAlgorithms ssh-ed25519
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin no
PermitUserRC no
PermitUserEnvironment no
DisableForwarding yes
PermitTTY no
Compression no
MaxSessions 1
MaxStartups 100
LoginGraceTime 20
ClientAliveInterval 30
LogLevel VERBOSE
";

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).at("bind", "127.0.0.1")?;
    Ok(listener.local_addr().at("look at", "127.0.0.1")?.port())
}

fn greets(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return false };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let mut greeting = [0; 8];
    stream.read_exact(&mut greeting).is_ok() && greeting == *b"SSH-2.0-"
}

/// Major and minor version of the OpenSSH installed.
fn openssh_version() -> Result<(u32, u32)> {
    let said = Outcome::of(Command::new("ssh").arg("-V"))?.said();
    let version = said
        .trim_start_matches("OpenSSH_")
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .next()
        .unwrap_or_default();
    let mut parts = version.split('.').map_while(|part| part.parse().ok());
    Ok((parts.next().unwrap_or_default(), parts.next().unwrap_or_default()))
}
