//! The peer: rsync, to an account of the same sshd, with a shell as it needs one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pipeline_tests::keys::SshKey;
use pipeline_tests::{Outcome, Scratch};

use super::Bench;
use super::runner::Cipher;
use crate::trouble::{Result, Trouble};

/// An account with a shell, and the key to it.
pub(crate) struct Peer {
    account: String,
    key: SshKey,
    known_hosts: PathBuf,
    folder: PathBuf,
}

impl Peer {
    /// Lets the account in beside our own hosts.
    pub(crate) fn prepare(scratch: &mut Scratch) -> Result<Peer> {
        let account = format!("{}-rsync", scratch.names.owner);
        let folder = scratch.folder.join("rsync");
        if !folder.exists() {
            std::fs::create_dir(&folder)?;
            scratch.add_account(&account, "/bin/sh")?;
            run(Command::new("chown").arg(&account).arg(&folder))?;
            SshKey::make(&scratch.folder.join("hosts/rsync_ed25519"))?;
        }
        let key = SshKey { path: scratch.folder.join("hosts/rsync_ed25519") };
        std::fs::copy(key.public_path(), scratch.folder.join("keys").join(&account))?;
        let known_hosts = scratch.folder.join("hosts/known_hosts");
        Ok(Peer { account, key, known_hosts, folder })
    }

    /// Starts sshd again for all hosts there are by now, and for this account.
    pub(crate) fn let_in(&self, scratch: &mut Scratch) -> Result<()> {
        let mut logins = scratch.logins();
        logins.push(self.account.clone());
        scratch.sshd.start(&logins)?;
        scratch.write_hosts_settings()?;
        let line = format!("[127.0.0.1]:{} {}\n", scratch.sshd.port, scratch.sshd.host_key.public()?);
        std::fs::write(&self.known_hosts, line)?;
        Ok(())
    }

    /// Who logs in where, as ssh is told.
    pub(crate) fn login(&self) -> String {
        format!("{}@127.0.0.1", self.account)
    }

    /// A folder of this account.
    pub(crate) fn target(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// One run of rsync.
    pub(crate) fn push(&self, bench: &Bench, source: &Path, name: &str, cipher: Cipher) -> Result<Duration> {
        self.push_with(bench, source, name, cipher, &[])
    }

    /// One run of rsync, with more options.
    pub(crate) fn push_with(
        &self,
        bench: &Bench,
        source: &Path,
        name: &str,
        cipher: Cipher,
        options: &[&str],
    ) -> Result<Duration> {
        let ssh = format!("ssh {}", self.ssh_words(bench, cipher).join(" "));
        let mut command = Command::new("rsync");
        command.args(["-aHAX", "--numeric-ids", "-e", &ssh]).args(options).arg(source.join(""));
        command.arg(format!("{}@127.0.0.1:{}/", self.account, self.target(name).display()));
        Ok(Outcome::of(&mut command)?.expect_code(&[0])?.took)
    }

    /// `cp -al` of what rsync brought, as rsync's users keep history; removed again.
    pub(crate) fn link(&self, name: &str) -> Result<Duration> {
        let copy = self.target("snapshot");
        let linked = Outcome::of(Command::new("cp").arg("-al").arg(self.target(name)).arg(&copy))?;
        let took = linked.expect_code(&[0])?.took;
        std::fs::remove_dir_all(copy)?;
        Ok(took)
    }

    /// `producer | ssh host remote`.
    pub(crate) fn pipe(&self, bench: &Bench, producer: &mut Command, remote: &str) -> Result<Duration> {
        let began = Instant::now();
        let mut from = producer.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let out = from.stdout.take().ok_or_else(|| Trouble::new("a producer has no output"))?;
        let mut ssh = Command::new("ssh");
        ssh.args(self.ssh_words(bench, Cipher::Gcm)).arg(self.login()).arg(remote);
        let status = ssh.stdin(out).stderr(Stdio::null()).status()?;
        let took = began.elapsed();
        if !status.success() || !from.wait()?.success() {
            return Err(Trouble::new("ssh or what feeds it failed"));
        }
        Ok(took)
    }

    pub(crate) fn ssh_words(&self, bench: &Bench, cipher: Cipher) -> Vec<String> {
        let mut words =
            vec!["-F".to_owned(), "none".to_owned(), "-p".to_owned(), bench.scratch.sshd.port.to_string()];
        words.extend(["-i".to_owned(), self.key.path.display().to_string()]);
        words.extend(["-o".to_owned(), format!("UserKnownHostsFile={}", self.known_hosts.display())]);
        for option in
            ["BatchMode=yes", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes", "IdentityAgent=none"]
        {
            words.extend(["-o".to_owned(), option.to_owned()]);
        }
        if cipher == Cipher::Gcm {
            words.extend(["-c".to_owned(), "aes128-gcm@openssh.com".to_owned()]);
        }
        words
    }
}

fn run(command: &mut Command) -> Result<()> {
    Outcome::of(command)?.expect_code(&[0])?;
    Ok(())
}
