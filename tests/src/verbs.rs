//! What one does with a scratch server: push, ingest, ice, drill. Each as a command, to be run under strace or killed, and as an outcome.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Result, RigError};
use crate::host::Host;
use crate::machine::Power;
use crate::outcome::Outcome;
use crate::scratch::Scratch;

/// Between two looks at a jail.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Longest time a push of the rig may take.
const PUSH_MAX: Duration = Duration::from_secs(1800);

/// Where the standard error of a program goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hear {
    /// Into its outcome.
    Kept,
    /// To our own, to be watched.
    Shown,
}

impl Scratch {
    /// `push-client --json` of a host, with `words` after it.
    #[must_use]
    pub fn push_client(&self, host: &Host, words: &[&str]) -> Command {
        let mut command = Command::new(self.folder.join("bin/push-client"));
        command.arg("--config").arg(&host.settings).arg("--json").args(words);
        command
    }

    /// `snapshotter --json`, as root if there is root: for `host add`.
    #[must_use]
    pub fn snapshotter_as_admin(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.folder.join("bin/snapshotter"));
        command.arg("--config").arg(self.folder.join("etc/server.toml")).arg("--json").args(words);
        command
    }

    /// `snapshotter --json` under its own account, without capabilities.
    #[must_use]
    pub fn snapshotter(&self, words: &[&str]) -> Command {
        let mut command = self.under(&self.names.owner, "snapshotter");
        command.arg("--config").arg(self.folder.join("etc/server.toml")).arg("--json").args(words);
        command
    }

    /// `iceboxer --json` under its own account, without capabilities.
    #[must_use]
    pub fn iceboxer(&self, words: &[&str]) -> Command {
        let mut command = self.under(&self.names.ice, "iceboxer");
        command.arg("--config").arg(self.folder.join("etc/ice.toml")).arg("--json").args(words);
        command
    }

    /// `restore-drill --json`, as whoever runs us.
    #[must_use]
    pub fn restore_drill(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.folder.join("bin/restore-drill"));
        command.arg("--config").arg(self.folder.join("etc/drill.toml")).arg("--json").args(words);
        command
    }

    /// Pushes. Whatever the code, it is an outcome.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn push(&self, host: &Host) -> Result<Outcome> {
        Outcome::of(&mut self.push_client(host, &["run"]))
    }

    /// Ingests all that is sealed.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn ingest(&self) -> Result<Outcome> {
        Outcome::of(&mut self.snapshotter(&["ingest"]))
    }

    /// Makes ice of every host.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn ice(&self) -> Result<Outcome> {
        Outcome::of(&mut self.iceboxer(&["run"]))
    }

    /// Proves the newest ice of `host`.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn verify(&self, host: &str) -> Result<Outcome> {
        Outcome::of(&mut self.restore_drill(&["verify", &format!("{host}/latest")]))
    }

    /// Restores the newest ice of `host` to `target`.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn restore(&self, host: &str, target: &Path) -> Result<Outcome> {
        Outcome::of(self.restore_drill(&["restore", &format!("{host}/latest"), "--to"]).arg(target))
    }

    /// Pushes, and ingests as soon as the push is sealed, as a server that watches does. Returns both outcomes.
    ///
    /// The host's settings must let it wait for its verdict.
    ///
    /// # Errors
    /// If a program cannot be started, or nothing ends.
    pub fn push_and_ingest(&self, host: &Host, hear: Hear) -> Result<(Outcome, Option<Outcome>)> {
        std::thread::scope(|scope| {
            let began = Instant::now();
            let push = scope.spawn(|| match hear {
                Hear::Kept => self.push(host),
                Hear::Shown => Outcome::shown(&mut self.push_client(host, &["run"])),
            });
            let mut ingest = None;
            while !push.is_finished() {
                if ingest.is_none() && host.queued().is_ok_and(|queued| !queued.is_empty()) {
                    ingest = Some(self.ingest()?);
                }
                if began.elapsed() > PUSH_MAX {
                    return Err(RigError::State("a push does not end".to_owned()));
                }
                std::thread::sleep(LOOK_EVERY);
            }
            let push = push
                .join()
                .map_err(|_| RigError::State("the thread of a push ended in panic".to_owned()))??;
            Ok((push, ingest))
        })
    }

    /// A program under an account of the server; as an ordinary user there is only one account.
    fn under(&self, account: &str, program: &str) -> Command {
        let program = self.folder.join("bin").join(program);
        if self.power == Power::User {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={account}")).arg(format!("--regid={account}"));
        command.args(["--init-groups", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"]);
        command.arg(program).current_dir("/").stdin(Stdio::null());
        command
    }
}
