//! The peers that keep a repository: restic, borg, bupstash. Each encrypts on the host, as its users have it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pipeline_tests::Outcome;
use pipeline_tests::machine::target_folder;

use super::Bench;
use super::peer::Peer;
use super::runner::{Archiver, Cipher};
use crate::screen::Step;
use crate::trouble::Result;

const BUPSTASH_VERSION: &str = "0.12.0";

/// A repository on the server, and what its program keeps on the host.
pub(crate) struct Repository {
    pub(crate) archiver: Archiver,
    program: PathBuf,
    /// Caches and keys.
    home: PathBuf,
    folder: PathBuf,
}

impl Repository {
    pub(crate) fn new(bench: &Bench, peer: &Peer, archiver: Archiver) -> Result<Repository> {
        let name = match archiver {
            Archiver::Restic => "restic",
            Archiver::Borg => "borg",
            Archiver::Bupstash => "bupstash",
        };
        let program = if archiver == Archiver::Bupstash { bupstash(bench)? } else { PathBuf::from(name) };
        let home = bench.scratch.folder.join("hosts").join(format!("{name}-home"));
        Ok(Repository { archiver, program, home, folder: peer.target(name) })
    }

    /// An empty repository, in place of what was there.
    pub(crate) fn begin(&self, bench: &Bench, peer: &Peer) -> Result<()> {
        self.end()?;
        fs::create_dir_all(&self.home)?;
        match self.archiver {
            Archiver::Restic => self.say(bench, peer, &["init"])?,
            Archiver::Borg => self.say(bench, peer, &["init", "-e", "repokey-blake2"])?,
            Archiver::Bupstash => {
                self.say(bench, peer, &["new-key", "-o", &self.key()])?;
                self.say(bench, peer, &["init"])?
            }
        };
        Ok(())
    }

    /// One backup.
    pub(crate) fn backup(&self, bench: &Bench, peer: &Peer, source: &Path) -> Result<Duration> {
        let source = source.display().to_string();
        match self.archiver {
            Archiver::Restic => self.say(bench, peer, &["backup", "-q", &source]),
            Archiver::Borg => self.say(bench, peer, &["create", "::{now:%s.%f}", &source]),
            Archiver::Bupstash => {
                let log = self.home.join("sendlog").display().to_string();
                self.say(bench, peer, &["put", "-q", "--send-log", &log, "name=bench", &source])
            }
        }
    }

    pub(crate) fn end(&self) -> Result<()> {
        for folder in [&self.home, &self.folder] {
            if folder.exists() {
                fs::remove_dir_all(folder)?;
            }
        }
        Ok(())
    }

    fn key(&self) -> String {
        self.home.join("key").display().to_string()
    }

    fn say(&self, bench: &Bench, peer: &Peer, words: &[&str]) -> Result<Duration> {
        let ssh = format!("ssh {}", peer.ssh_words(bench, Cipher::Default).join(" "));
        let (at, folder) = (peer.login(), self.folder.display());
        let mut command = Command::new(&self.program);
        command.env("HOME", &self.home).env("XDG_CACHE_HOME", self.home.join("cache"));
        match self.archiver {
            Archiver::Restic => {
                let sftp = format!("sftp.command={ssh} {at} /usr/lib/openssh/sftp-server");
                command.env("RESTIC_PASSWORD", "bench");
                command.args(["-r", &format!("sftp:{at}:{folder}"), "-o", &sftp]);
            }
            Archiver::Borg => {
                command.env("BORG_PASSPHRASE", "bench").env("BORG_RSH", &ssh);
                command.env("BORG_REPO", format!("ssh://{at}{folder}")).env("BORG_BASE_DIR", &self.home);
            }
            Archiver::Bupstash => {
                let serve = format!("{ssh} {at} {} serve {folder}", self.program.display());
                command.env("BUPSTASH_REPOSITORY_COMMAND", serve).env("BUPSTASH_KEY", self.key());
            }
        }
        Ok(Outcome::of(command.args(words))?.expect_code(&[0])?.took)
    }
}

/// Debian does not have it: it is built from its own package, once, and lies where the peer's account can run it.
fn bupstash(bench: &Bench) -> Result<PathBuf> {
    let root = target_folder().join("bench/bupstash");
    let built = root.join("bin/bupstash");
    if !built.exists() {
        let _step = Step::spinner("Building bupstash");
        let mut command = Command::new("cargo");
        command.args(["install", "--quiet", "--locked", "--version", BUPSTASH_VERSION, "--root"]);
        Outcome::of(command.arg(&root).arg("bupstash"))?.expect_code(&[0])?;
    }
    let program = bench.scratch.folder.join("bin/bupstash");
    fs::copy(built, &program)?;
    Ok(program)
}
