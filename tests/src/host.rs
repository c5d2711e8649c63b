//! One host of a scratch server: its key, its settings, its disk, its jail.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use crate::error::{At, Result, RigError};
use crate::keys::SshKey;
use crate::machine::Power;
use crate::scratch::Scratch;

/// A machine that is backed up, played by a folder.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its host id.
    pub name: String,
    /// What belongs to the host's own side.
    pub folder: PathBuf,
    /// What it backs up.
    pub roots: Vec<PathBuf>,
    /// Its SSH key.
    pub key: SshKey,
    /// Its `push.toml`.
    pub settings: PathBuf,
    /// Its account on the server.
    pub account: String,
    /// Its jail on the server.
    pub jail: PathBuf,
}

impl Host {
    /// Makes the host's side, and lets `snapshotter host add` make the server's.
    pub(crate) fn make(scratch: &Scratch, name: &str, roots: &[PathBuf]) -> Result<Host> {
        let folder = scratch.folder.join("hosts").join(name);
        fs::create_dir_all(&folder).at("create", &folder)?;
        let key = SshKey::make(&folder.join("push_ed25519"))?;
        let keys = scratch.folder.join("keys");
        let before = list(&keys)?;
        let mut add = scratch.snapshotter_as_admin(&["host", "add", name, "--key"]);
        add.arg(key.public_path());
        let account = match scratch.power {
            Power::Root => {
                let run = || crate::outcome::Outcome::of(&mut add)?.expect_code(&[0]);
                scratch.accounts.adopt(&scratch.names.host_prefix, run)?;
                let new = list(&keys)?.into_iter().find(|file| !before.contains(file));
                new.ok_or_else(|| {
                    RigError::State(format!("host add {name} made no file in {}", keys.display()))
                })?
            }
            Power::User => {
                add.arg("--user-mode");
                let said = crate::outcome::Outcome::of(&mut add)?.expect_code(&[0])?.stdout;
                let line =
                    said.lines().find(|line| line.contains("ssh-ed25519 ") && line.contains("command="));
                let line = line.ok_or_else(|| {
                    RigError::State(format!("host add --user-mode printed no key line:\n{said}"))
                })?;
                let file = keys.join(&scratch.names.owner);
                let mut out = OpenOptions::new().create(true).append(true).open(&file).at("open", &file)?;
                writeln!(out, "{line}").at("write", &file)?;
                scratch.names.owner.clone()
            }
        };
        Ok(Host {
            name: name.to_owned(),
            settings: scratch.folder.join("etc").join(format!("push-{name}.toml")),
            roots: roots.to_vec(),
            jail: scratch.folder.join("jails").join(name),
            folder,
            key,
            account,
        })
    }

    /// Where the client keeps its own state.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// The sealed push files that wait in the jail.
    ///
    /// # Errors
    /// If the spool cannot be read.
    pub fn queued(&self) -> Result<Vec<PathBuf>> {
        let sealed = self.jail.join("spool/sealed");
        Ok(list(&sealed)?.into_iter().map(|file| sealed.join(file)).collect())
    }
}

fn list(folder: &std::path::Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).at("list", folder)?;
    let mut names: Vec<_> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}
