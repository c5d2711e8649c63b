//! What a process gives up before it becomes a program of somebody else's.
//!
//! Such a program opens its own files and connections, and starts programs of its own, so no filter of system calls is set. What
//! remains is worth having where we are root: without capabilities, and with Landlock, root is a user who can write nothing and reads
//! what it was shown.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::thread::set_no_new_privs;

use crate::capabilities::drop_capabilities;
use crate::files::{Network, Reach, Signals, restrict};
use crate::{Landlock, LandlockState, Result, SandboxError, threads};

/// What a program keeps; all other files, and every capability, are given up by [`ForProgram::apply`].
#[derive(Debug)]
#[must_use = "nothing is given up before apply"]
pub struct ForProgram<'fd> {
    rules: Vec<(BorrowedFd<'fd>, Reach)>,
    landlock: Landlock,
}

impl Default for ForProgram<'_> {
    fn default() -> Self {
        Self { rules: Vec::new(), landlock: Landlock::IfAvailable }
    }
}

impl<'fd> ForProgram<'fd> {
    /// Files beneath `folder`, or this one file, can be read.
    pub fn read_beneath(self, folder: &'fd impl AsFd) -> Self {
        self.rule(folder, Reach::Read)
    }

    /// As [`Self::read_beneath`], and run as programs.
    pub fn run_beneath(self, folder: &'fd impl AsFd) -> Self {
        self.rule(folder, Reach::Run)
    }

    /// This one device can be read, written and steered.
    pub fn device(self, file: &'fd impl AsFd) -> Self {
        self.rule(file, Reach::Device)
    }

    /// Whether to go on without Landlock. Unless it is said, yes.
    pub fn landlock(mut self, landlock: Landlock) -> Self {
        self.landlock = landlock;
        self
    }

    /// Puts it in force for this process and all that it becomes or starts. Without Landlock, where it is not required, only
    /// capabilities and new privileges are given up, and the answer says so. Call it in the only thread, just before the program takes over.
    pub fn apply(self) -> Result<LandlockState> {
        threads::require_single()?;
        set_no_new_privs(true).map_err(SandboxError::at("give up new privileges"))?;
        let landlock = restrict(&self.rules, self.landlock, Signals::Inside, Network::Open)?;
        // With no_new_privs set, not even root gets any back by running a program.
        drop_capabilities()?;
        Ok(landlock)
    }

    fn rule(mut self, folder: &'fd impl AsFd, reach: Reach) -> Self {
        self.rules.push((folder.as_fd(), reach));
        self
    }
}
