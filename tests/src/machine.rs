//! What this machine is: who runs us, where the sources lie, for which target Rust builds.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Result, RigError};
use crate::outcome::Outcome;

/// Who runs the rig, and so how much of a real server it can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// Root: accounts of their own, chroots, packages can be installed.
    Root,
    /// Anyone else: one account, forced commands, Landlock in place of the chroot.
    User,
}

impl Power {
    /// What this process has.
    #[must_use]
    pub fn here() -> Power {
        if rustix::process::geteuid().is_root() { Power::Root } else { Power::User }
    }
}

/// The folder of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    // This crate lies in the folder `tests` of the workspace.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

/// The cargo that runs us, or the one in the path.
#[must_use]
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    // What the outer cargo told its own child is not meant for the inner one.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") || text == "CARGO_BIN_NAME" {
            command.env_remove(&name);
        }
    }
    command
}

/// The folder cargo builds in.
#[must_use]
pub fn target_folder() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => workspace().join(folder),
        None => workspace().join("target"),
    }
}

/// The target triple of this machine, as rustc names it.
///
/// # Errors
/// If rustc does not run.
pub fn host_triple() -> Result<String> {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let outcome = Outcome::of(rustc.arg("-vV").current_dir(workspace()))?.expect_code(&[0])?;
    let triple = outcome.stdout.lines().find_map(|line| line.strip_prefix("host: "));
    triple.map(str::to_owned).ok_or_else(|| RigError::State("rustc -vV names no host".to_owned()))
}

/// Where `program` lies: in the path, or where Debian keeps what only root runs.
#[must_use]
pub fn find_program(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin", "/usr/bin"].map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}
