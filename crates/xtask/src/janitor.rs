//! Cleaning up after a demo or benchmark that was interrupted: a process of its own, which waits at the end of a pipe for its employer to die.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use pipeline_tests::{Outcome, leftovers, process};

use crate::args::JanitorArgs;
use crate::trouble::Result;

/// What the employer says when it has cleaned up by itself.
const DONE: &[u8] = b"done";
/// Longest time a dying process is waited for.
const DYING: Duration = Duration::from_secs(5);

/// The waiting process. It goes without a word when this is dropped.
pub(crate) struct Janitor {
    child: Child,
}

impl Janitor {
    /// Watches over the scratch servers in `parent`, and over a disk mounted there from `image`.
    pub(crate) fn hire(parent: &Path, image: Option<&Path>) -> Result<Janitor> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("janitor")
            .arg("--parent")
            .arg(parent)
            .args(["--employer", &std::process::id().to_string()]);
        if let Some(image) = image {
            command.arg("--image").arg(image);
        }
        // Ctrl-C goes to a whole process group; this one must outlive it.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Janitor { child: command.spawn()? })
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        if let Some(mut line) = self.child.stdin.take() {
            let _ = line.write_all(DONE);
        }
        let _ = self.child.wait();
    }
}

/// The janitor's own life.
pub(crate) fn run(args: &JanitorArgs) -> Result<ExitCode> {
    let mut heard = Vec::new();
    std::io::stdin().lock().read_to_end(&mut heard)?;
    if heard == DONE {
        return Ok(ExitCode::SUCCESS);
    }
    let pause = Duration::from_millis(50);
    let mut waited = Duration::ZERO;
    while process::started(args.employer).is_some() && waited < DYING {
        std::thread::sleep(pause);
        waited += pause;
    }
    leftovers::sweep(&args.parent);
    if let Some(image) = &args.image {
        remove_disk(&args.parent, image);
    }
    Ok(ExitCode::SUCCESS)
}

/// Unmounts and removes a disk, as far as it was made.
pub(crate) fn remove_disk(folder: &Path, image: &PathBuf) {
    let said = |command: &mut Command| Outcome::of(command).map(|outcome| outcome.stdout).unwrap_or_default();
    said(Command::new("umount").arg(folder));
    let devices =
        said(Command::new("losetup").args(["--noheadings", "--output", "NAME", "--associated"]).arg(image));
    for device in devices.lines().map(str::trim).filter(|device| !device.is_empty()) {
        said(Command::new("losetup").args(["--detach", device]));
    }
    let _ = std::fs::remove_dir(folder);
    let _ = std::fs::remove_file(image);
}
