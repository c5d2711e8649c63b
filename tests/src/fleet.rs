//! Several real machines on this one: systemd, sshd and cron in each, a network between them, on request Salt. `tests/rig/rig.sh` makes them.
//!
//! A fleet ends when it is dropped. If its maker is killed, it goes down by itself a second later.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Result, RigError};
use crate::machine::{target_folder, workspace};
use crate::outcome::Outcome;
use crate::process;

/// Whether the image of the machines holds Salt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Salt {
    /// It is put in.
    Wanted,
    /// It may be missing.
    Unwanted,
}

/// What one fleet has different from another.
#[derive(Debug, Clone, Default)]
pub struct FleetOptions<'a> {
    /// The names of its machines.
    pub machines: &'a [&'a str],
    /// Which of them is the Salt master, and the folder it sees as `/srv`: `salt/`, `pillar/`, `master.d/*.conf`, `minion.d/*.conf`.
    pub master: Option<(&'a str, &'a Path)>,
    /// The file system that each machine has at `/vol`: `ext4:300M` or `xfs:300M`. A power cut needs one.
    pub disk: &'a str,
}

/// A fleet that is up.
#[derive(Debug)]
pub struct Fleet {
    id: String,
}

impl Fleet {
    /// The first thing this machine lacks for a fleet; nothing if it can have one.
    ///
    /// # Errors
    /// If the script cannot be started.
    pub fn lacking() -> Result<Option<String>> {
        let tried = Outcome::of(script("rig.sh").arg("possible"))?;
        if tried.code == 0 {
            return Ok(None);
        }
        let said = tried.said();
        let lines: Vec<_> =
            said.lines().map(str::trim).map(|line| line.trim_start_matches("rig: ")).collect();
        Ok(Some(lines.join("; ")))
    }

    /// Builds the image that the machines boot from, or finds it. The first time takes minutes, and fetches Debian packages; Python ones
    /// too for Salt.
    ///
    /// # Errors
    /// If it cannot be built. Salt that cannot be had is such an error, never a reason to skip: the text says what to set.
    pub fn build_image(salt: Salt) -> Result<()> {
        let mut command = script("rig-base.sh");
        if salt == Salt::Wanted {
            command.arg("--salt");
        }
        Outcome::of(&mut command)?.expect_code(&[0]).map(drop)
    }

    /// Boots the machines, and returns when all are up.
    ///
    /// # Errors
    /// If one does not come up; nothing of the fleet is left then.
    pub fn up(options: &FleetOptions<'_>) -> Result<Fleet> {
        Fleet::build_image(if options.master.is_some() { Salt::Wanted } else { Salt::Unwanted })?;
        let me = std::process::id();
        let start = process::started(me).unwrap_or_default();
        // One name for each fleet of this machine: the process, and when we looked at the clock.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let tick = now.map_or(0, |now| now.as_millis() % 100_000);
        let fleet = Fleet { id: format!("f{}x{tick}", me % 100_000) };
        let mut command = fleet.script("up");
        command
            .args(options.machines)
            .env("RIG_DISK", options.disk)
            .env("RIG_MAKER", format!("{me} {start}"));
        if let Some((master, folder)) = options.master {
            command.env("RIG_MASTER", master).env("RIG_SRV", folder);
        }
        Outcome::of(&mut command)?.expect_code(&[0])?;
        Ok(fleet)
    }

    /// Runs `line` of shell as root on a machine. Whatever the code, it is an outcome.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn sh(&self, machine: &str, line: &str) -> Result<Outcome> {
        Outcome::of(&mut self.command(machine, &["sh", "-c", line]))
    }

    /// Runs a program as root on a machine.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn exec(&self, machine: &str, words: &[&str]) -> Result<Outcome> {
        Outcome::of(&mut self.command(machine, words))
    }

    /// The command that runs a program as root on a machine, to be started, fed or watched.
    #[must_use]
    pub fn command(&self, machine: &str, words: &[&str]) -> Command {
        let mut command = self.script("exec");
        command.arg(machine).args(words);
        command
    }

    /// Copies a file or folder into a machine, where it belongs to root.
    ///
    /// # Errors
    /// If it is not there, or cannot be written there.
    pub fn push_file(&self, machine: &str, source: &Path, target: &str) -> Result<()> {
        let mut command = self.script("push-file");
        Outcome::of(command.arg(machine).arg(source).arg(target))?.expect_code(&[0]).map(drop)
    }

    /// Writes a file of root's on a machine.
    ///
    /// # Errors
    /// If it cannot be written there.
    pub fn write(&self, machine: &str, target: &str, mode: &str, text: &str) -> Result<()> {
        let line = "install -D -m \"$2\" /dev/null \"$1\" && cat >\"$1\"";
        let mut command = self.command(machine, &["sh", "-c", line, "-", target, mode]);
        let program = "rig.sh exec".to_owned();
        let started = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        let mut child = started.map_err(|source| RigError::Start { program, source })?;
        let fed = child.stdin.take().map(|mut pipe| std::io::Write::write_all(&mut pipe, text.as_bytes()));
        let ended = child.wait();
        match (fed, ended) {
            (Some(Ok(())), Ok(status)) if status.success() => Ok(()),
            _ => Err(RigError::State(format!("{target} cannot be written on {machine}"))),
        }
    }

    /// Copies a file or folder out of a machine.
    ///
    /// # Errors
    /// If it is not there.
    pub fn pull_file(&self, machine: &str, source: &str, target: &Path) -> Result<()> {
        let mut command = self.script("pull-file");
        Outcome::of(command.arg(machine).arg(source).arg(target))?.expect_code(&[0]).map(drop)
    }

    /// The root folder of a running machine, as this machine reaches it.
    ///
    /// # Errors
    /// If it is not up.
    pub fn root(&self, machine: &str) -> Result<PathBuf> {
        let leader = self.listed(machine, 2)?;
        match leader.strip_prefix("leader=") {
            Some(pid) if pid != "down" => Ok(PathBuf::from(format!("/proc/{pid}/root"))),
            _ => Err(RigError::State(format!("{machine} is not up"))),
        }
    }

    /// The address of a machine.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn address(&self, machine: &str) -> Result<String> {
        self.listed(machine, 1)
    }

    /// Unplugs the network cable.
    ///
    /// # Errors
    /// If there is no such machine.
    pub fn cut(&self, machine: &str) -> Result<()> {
        self.done("cut", machine)
    }

    /// Plugs the network cable in again.
    ///
    /// # Errors
    /// If there is no such machine.
    pub fn heal(&self, machine: &str) -> Result<()> {
        self.done("heal", machine)
    }

    /// Limits what a machine receives: `8mbit`, or `off`.
    ///
    /// # Errors
    /// If there is no such machine, or the rate is none.
    pub fn slow(&self, machine: &str, rate: &str) -> Result<()> {
        Outcome::of(self.script("slow").arg(machine).arg(rate))?.expect_code(&[0]).map(drop)
    }

    /// Kills the machine. What was written stays.
    ///
    /// # Errors
    /// If it is not up.
    pub fn kill(&self, machine: &str) -> Result<()> {
        self.done("kill", machine)
    }

    /// Takes the current away: what was not synced on `/vol` is lost.
    ///
    /// # Errors
    /// If it is not up, or has no disk for that.
    pub fn powercut(&self, machine: &str) -> Result<()> {
        self.done("powercut", machine)
    }

    /// Shuts the machine down.
    ///
    /// # Errors
    /// If it is not up, or does not stop.
    pub fn stop(&self, machine: &str) -> Result<()> {
        self.done("stop", machine)
    }

    /// Boots a killed or stopped machine from its old disks.
    ///
    /// # Errors
    /// If it is up, or does not come up.
    pub fn boot(&self, machine: &str) -> Result<()> {
        self.done("boot", machine)
    }

    /// Puts a new machine in the place of an old one: same name and address, new disks.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn reinstall(&self, machine: &str) -> Result<()> {
        self.done("reinstall", machine)
    }

    fn done(&self, verb: &str, machine: &str) -> Result<()> {
        Outcome::of(self.script(verb).arg(machine))?.expect_code(&[0]).map(drop)
    }

    fn listed(&self, machine: &str, column: usize) -> Result<String> {
        let listed = Outcome::of(&mut self.script("list"))?.expect_code(&[0])?;
        let line = listed.stdout.lines().find(|line| line.split(' ').next() == Some(machine));
        let word = line.and_then(|line| line.split(' ').nth(column));
        word.map(str::to_owned)
            .ok_or_else(|| RigError::State(format!("there is no machine {machine} in the fleet")))
    }

    fn script(&self, verb: &str) -> Command {
        let mut command = script("rig.sh");
        command.env("RIG_ID", &self.id).arg(verb);
        command
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = Outcome::of(&mut self.script("down"));
    }
}

/// A script of the rig. Its settings are ours alone, but for `RIG_DIR`: the folder of images may be shared.
fn script(name: &str) -> Command {
    let mut command = Command::new(workspace().join("tests/rig").join(name));
    for setting in ["ID", "BASE", "NET", "MASTER", "SRV", "DISK", "MAKER", "TIMEOUT"] {
        command.env_remove(format!("RIG_{setting}"));
    }
    if std::env::var_os("RIG_DIR").is_none() {
        command.env("RIG_DIR", target_folder().join("rig"));
    }
    command
}
