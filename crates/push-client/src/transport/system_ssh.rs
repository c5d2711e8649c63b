//! The system's ssh as a transport: OpenSSH, patched by the distribution, with its ProxyJump, agents and hardware keys.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use durable::{Dir, Name};

use super::carried::Speech;
use super::ssh_options::{ALIAS, options};
use super::ssh_words::Whose;
use super::ssh2_child::wide_pipe;
use super::{Carried, Transport, TransportError};
use crate::plan::{Chosen, SshProgram, Target};

/// The hidden verb that turns into ssh.
const VERB: &str = "become-ssh";
/// Rather not at all than with root's power over files.
const CONFINED: &str = "--confined";
/// Where an agent is found unless the settings say it.
const AGENT: &str = "SSH_AUTH_SOCK";
/// For the programs of a ProxyCommand.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What lets others change a file.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Starts the system's ssh.
#[derive(Debug, Clone, Copy)]
pub struct SystemSsh<'a> {
    program: &'a SshProgram,
}

impl<'a> SystemSsh<'a> {
    /// As the settings say.
    pub fn new(program: &'a SshProgram) -> Self {
        Self { program }
    }

    /// Writes the one host key that ssh is to believe.
    fn pin(&self, target: &Target) -> io::Result<()> {
        let known = &self.program.known_hosts;
        let (Some(folder), Some(name)) = (known.parent(), known.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let line = format!("{ALIAS} {}\n", target.host_key.text());
        Ok(Dir::open_root(folder)?.write_whole(
            Name::new(name.as_encoded_bytes())?,
            line.as_bytes(),
            0o600,
        )?)
    }

    /// What it must read that is not the system's own.
    fn shown(&self, target: &Target) -> Vec<PathBuf> {
        let mut paths = vec![self.program.program.clone(), self.program.known_hosts.clone()];
        paths.extend(self.program.config.clone());
        paths.extend(self.program.paths.iter().cloned());
        for ending in ["", ".pub", "-cert.pub"] {
            paths.extend(target.key.as_deref().map(|key| with_ending(key, ending)));
        }
        paths
    }

    fn command(&self, target: &Target) -> Command {
        let mut command = Command::new("/proc/self/exe");
        command.arg(VERB);
        if self.program.chosen == Chosen::Ours {
            command.arg(CONFINED);
        }
        for path in self.shown(target) {
            command.arg("--path").arg(path);
        }
        command.arg("--").arg(&self.program.program).args(options(self.program, target)).env_clear();
        command.env("PATH", PATH).env("LC_ALL", "C");
        if self.program.chosen == Chosen::Named {
            // Else what a shell's agent holds would be missed under a timer.
            command.envs(env::var_os(AGENT).map(|agent| (AGENT, agent)));
        }
        command
    }

    fn start(&self, target: &Target) -> io::Result<Carried> {
        let (input, to) = wide_pipe()?;
        let child =
            self.command(target).stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let whose = match self.program.config {
            Some(_) => Whose::Address(target.address.clone()),
            None => Whose::Alone,
        };
        Carried::by(child, Speech::Ssh(whose, self.program.chosen), to, target)
    }
}

impl Transport for SystemSsh<'_> {
    fn open(&self, target: &Target) -> Result<Carried, TransportError> {
        target.key.as_deref().map_or(Ok(()), |key| self.program.look(key))?;
        self.program.config.as_deref().map_or(Ok(()), trusted)?;
        self.pin(target).map_err(TransportError::Pin)?;
        self.start(target).map_err(TransportError::Start)
    }
}

/// Whoever can change the file says what ssh runs.
fn trusted(config: &Path) -> Result<(), TransportError> {
    let wrong =
        |what| TransportError::Config { path: cli::shown(config.as_os_str().as_encoded_bytes()), what };
    let meta = fs::metadata(config).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => wrong("there is no such file"),
        _ => wrong("failed to look at it"),
    })?;
    let ours = [0, rustix::process::geteuid().as_raw()].contains(&meta.uid());
    match meta.is_file() && ours && meta.mode() & WRITABLE_BY_OTHERS == 0 {
        true => Ok(()),
        false => Err(wrong("others may change what ssh is told")),
    }
}

fn with_ending(key: &Path, ending: &str) -> PathBuf {
    let mut path = OsString::from(key);
    path.push(ending);
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_asked_for_is_confined_or_not_started() {
        let target = Target::example();
        for chosen in [Chosen::Ours, Chosen::Named] {
            let program = SshProgram {
                chosen,
                program: "/usr/bin/ssh".into(),
                config: None,
                agent: None,
                paths: Vec::new(),
                known_hosts: "/state/ssh_known_hosts".into(),
            };
            let command = SystemSsh::new(&program).command(&target);
            let ours: Vec<_> = command.get_args().take_while(|word| *word != "--").collect();
            assert_eq!(ours.contains(&CONFINED.as_ref()), chosen == Chosen::Ours, "{ours:?}");
        }
    }
}
