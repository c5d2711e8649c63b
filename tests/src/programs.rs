//! Building the programs, and finding what was built.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{At, Result, RigError};
use crate::machine::{cargo, host_triple, target_folder};
use crate::outcome::Outcome;

/// How cargo is to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// As for the tests: quick to build, checks of our own code on.
    Dev,
    /// As a distribution would.
    Release,
}

/// The five programs, built.
#[derive(Debug, Clone)]
pub struct Programs {
    folder: PathBuf,
    receiver: PathBuf,
}

/// The programs that are built as they are; the receiver is built apart, as a static binary for the jails, and with it that of an outbox.
pub const PROGRAMS: [&str; 4] = ["push-client", "snapshotter", "iceboxer", "restore-drill"];

impl Programs {
    /// Builds all five, or finds that nothing has changed. Parallel callers wait for each other, by cargo's own lock.
    ///
    /// # Errors
    /// If cargo fails; its messages are in the error.
    pub fn build(profile: Profile) -> Result<Programs> {
        for mut command in Programs::commands(profile)? {
            Outcome::of(&mut command)?.expect_code(&[0])?;
        }
        Programs::built(profile)
    }

    /// The cargo commands that build all five, for callers that want to show how far they are.
    ///
    /// # Errors
    /// If rustc does not run.
    pub fn commands(profile: Profile) -> Result<[Command; 2]> {
        let mut all = cargo();
        // More than is needed, but with the features that the tests are built with: nothing is compiled twice.
        all.args(["build", "--workspace", "--exclude", "xtask"]);
        let mut receiver = cargo();
        let triple = host_triple()?;
        receiver.args(["build", "--package", "receiver", "--target", &triple, "--target-dir"]);
        receiver.arg(static_folder());
        // An empty chroot has no libraries. The flag is for this target only: build scripts and macros stay as they are.
        receiver.env("RUSTFLAGS", "-C target-feature=+crt-static").env_remove("CARGO_ENCODED_RUSTFLAGS");
        for command in [&mut all, &mut receiver] {
            if profile == Profile::Release {
                command.arg("--release");
            }
        }
        Ok([all, receiver])
    }

    /// Finds what [`Programs::commands`] built.
    ///
    /// # Errors
    /// Names the first program that is not there.
    pub fn built(profile: Profile) -> Result<Programs> {
        let name = match profile {
            Profile::Dev => "debug",
            Profile::Release => "release",
        };
        let receiver = static_folder().join(host_triple()?).join(name).join("receiver");
        let programs = Programs { folder: target_folder().join(name), receiver };
        let fixed = [programs.receiver.clone(), programs.outbox()];
        let all = PROGRAMS.iter().map(|program| programs.path(program)).chain(fixed);
        for path in all {
            if !path.is_file() {
                return Err(RigError::State(format!("{} was not built", path.display())));
            }
        }
        Ok(programs)
    }

    /// Copies all of them into `folder`, where everyone may run them.
    ///
    /// # Errors
    /// If one cannot be copied.
    pub fn install(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).at("create", folder)?;
        let fixed = [self.receiver.clone(), self.outbox()];
        let sources = PROGRAMS.iter().map(|program| self.path(program)).chain(fixed);
        for source in sources {
            let name = source.file_name().unwrap_or_default();
            // Whole or not at all, and also while the old one runs.
            let (new, target) = (folder.join(name).with_extension("new"), folder.join(name));
            fs::copy(&source, &new).at("copy", &source)?;
            fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).at("change the mode of", &new)?;
            fs::rename(&new, &target).at("rename", &new)?;
        }
        Ok(())
    }

    /// Where a program lies.
    #[must_use]
    pub fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }

    /// Where the static program of an outbox lies: it is built with the receiver.
    #[must_use]
    pub fn outbox(&self) -> PathBuf {
        self.receiver.with_file_name("outbox")
    }

    /// Where the static receiver lies.
    #[must_use]
    pub fn receiver(&self) -> &Path {
        &self.receiver
    }
}

fn static_folder() -> PathBuf {
    target_folder().join("static")
}
