//! The peer: rsnapshot itself, as its package configures it, of a folder on the same file system.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pipeline_tests::Outcome;

use crate::trouble::Result;

/// More than are made: rsnapshot removes none by itself.
const KEPT: u32 = 1_000;

pub(super) struct Rsnapshot {
    config: PathBuf,
    root: PathBuf,
}

impl Rsnapshot {
    pub(super) fn new(folder: &Path, source: &Path) -> Result<Rsnapshot> {
        let root = folder.join("root");
        fs::create_dir_all(&root)?;
        let lines = [
            ["config_version", "1.2"],
            ["snapshot_root", &format!("{}/", root.display())],
            ["cmd_cp", "/bin/cp"],
            ["cmd_rm", "/bin/rm"],
            ["cmd_rsync", "/usr/bin/rsync"],
            ["retain", &format!("alpha\t{KEPT}")],
            ["verbose", "1"],
            ["lockfile", &folder.join("lock").display().to_string()],
            ["backup", &format!("{}/\tmirror/", source.display())],
        ];
        let config = folder.join("rsnapshot.conf");
        let text: String = lines.iter().map(|[key, value]| format!("{key}\t{value}\n")).collect();
        fs::write(&config, text)?;
        Ok(Rsnapshot { config, root })
    }

    /// One snapshot more.
    pub(super) fn run(&self) -> Result<Duration> {
        let mut command = Command::new("rsnapshot");
        Ok(Outcome::of(command.arg("-c").arg(&self.config).arg("alpha"))?.expect_code(&[0])?.took)
    }

    /// `rm -rf` of the oldest, so that `left` stay.
    pub(super) fn remove_oldest(&self, left: usize) -> Result<Duration> {
        let mut command = Command::new("rm");
        command.arg("-rf");
        for number in (left..KEPT as usize).take_while(|number| self.snapshot(*number).exists()) {
            command.arg(self.snapshot(number));
        }
        Ok(Outcome::of(&mut command)?.expect_code(&[0])?.took)
    }

    fn snapshot(&self, number: usize) -> PathBuf {
        self.root.join(format!("alpha.{number}"))
    }
}
