//! Putting it all in force, in the one order that works.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::set_no_new_privs;

use crate::capabilities::{
    BoundingSet, ReadSearch, Trusted, drop_capabilities, keep_for_metadata, keep_only_read_search,
    keep_read_search_and_trusted,
};
use crate::files::{Network, Reach, Signals, restrict};
use crate::{Landlock, LandlockState, Profile, Result, SandboxError, filter, threads};

/// What a process keeps; all else is given up by [`Confinement::apply`].
#[derive(Debug)]
#[must_use = "nothing is confined before apply"]
pub struct Confinement<'fd> {
    profile: Profile,
    rules: Vec<(BorrowedFd<'fd>, Reach)>,
    landlock: Landlock,
    keep: Keep,
    threads: Threads,
    children: Vec<u32>,
}

/// Which capability stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// None.
    Nothing,
    /// CAP_DAC_READ_SEARCH, where the process has it: reading every file of a host.
    ReadSearch,
    /// What setting owners, modes, attributes, times and flags, and making devices, takes of root's power, where the process has it.
    Metadata,
    /// As [`Keep::ReadSearch`], and CAP_SYS_ADMIN, where the process has it: seeing `trusted.*` attributes. The filter of system calls
    /// refuses what else that is good for.
    ReadSearchAndTrusted,
}

/// Whether the confined process may start threads. It can never start processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// It stays one thread.
    One,
    /// It may start threads; they are confined as it is.
    More,
}

/// What is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a caller that needs more than this must refuse to go on"]
pub struct Report {
    /// Whether files are confined.
    pub landlock: LandlockState,
    /// Whether CAP_DAC_READ_SEARCH was kept ([`Keep::ReadSearch`]).
    pub read_search: ReadSearch,
    /// Whether CAP_SYS_ADMIN was kept ([`Keep::ReadSearchAndTrusted`]).
    pub trusted: Trusted,
    /// Whether the ceiling for later programs was lowered.
    pub bounding_set: BoundingSet,
}

impl<'fd> Confinement<'fd> {
    /// Keeps the system calls of `profile`, and no file, no capability, no second thread. Landlock is required.
    pub fn new(profile: Profile) -> Self {
        Confinement {
            profile,
            rules: Vec::new(),
            landlock: Landlock::Required,
            keep: Keep::Nothing,
            threads: Threads::One,
            children: Vec::new(),
        }
    }

    /// Files beneath `folder` can be read, its folders listed. May be called with a single file too.
    pub fn read_beneath(self, folder: &'fd impl AsFd) -> Self {
        self.rule(folder, Reach::Read)
    }

    /// Regular files beneath `folder` can be read, made, written, renamed (also between folders of one rule), linked and
    /// removed. Nothing else can be made: no folder, link, fifo, socket or device.
    pub fn write_files_beneath(self, folder: &'fd impl AsFd) -> Self {
        self.rule(folder, Reach::WriteFiles)
    }

    /// As [`Self::write_files_beneath`]; folders can be made and removed too.
    pub fn write_beneath(self, folder: &'fd impl AsFd) -> Self {
        self.rule(folder, Reach::WriteFolders)
    }

    /// Symbolic links beneath `folder` can be made, renamed within their folder, and removed, and folders be listed. No file there can be opened, and
    /// nothing else be made; but any name that is no folder can be removed.
    pub fn write_links_beneath(self, folder: &'fd impl AsFd) -> Self {
        self.rule(folder, Reach::WriteLinks)
    }

    /// As [`Self::write_beneath`]; symbolic links can be made too. Landlock refuses nothing at all beneath `folder`, so that links cost less; what
    /// else there is (devices, fifos, sockets, running a program) the filter of each profile but [`Profile::Restore`] refuses. No file of a
    /// folder with fewer rights can be linked or moved to it. Never for a folder that somebody else fills: between two such folders Landlock refuses
    /// no link and no rename.
    pub fn write_tree_beneath(self, folder: &'fd impl AsFd) -> Self {
        self.rule(folder, Reach::WriteTree)
    }

    /// As [`Self::write_beneath`]; symbolic links, fifos and devices can be made too, and none be opened by that.
    pub fn write_all_beneath(self, folder: &'fd impl AsFd) -> Self {
        self.rule(folder, Reach::WriteAll)
    }

    /// Whether to go on without Landlock.
    pub fn landlock(mut self, landlock: Landlock) -> Self {
        self.landlock = landlock;
        self
    }

    /// Which capability stays.
    pub fn keep(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }

    /// Whether threads can be started.
    pub fn threads(mut self, threads: Threads) -> Self {
        self.threads = threads;
        self
    }

    /// A child that was started before: this process may wait for it and kill it (SIGKILL), and its death can take the
    /// child along ([`crate::limits::die_with_parent`]).
    pub fn child(mut self, pid: u32) -> Self {
        self.children.push(pid);
        self
    }

    /// Puts everything in force, for good. Call it in the only thread of the process, after the last open of anything
    /// that is not named here. After an error the process may be partly confined, and must end.
    pub fn apply(self) -> Result<Report> {
        threads::require_single()?;
        // Built before anything is given up, so that a mistake in it changes nothing.
        let programs = filter::programs(self.profile, self.threads, &self.children)?;
        set_no_new_privs(true).map_err(SandboxError::at("give up new privileges"))?;
        set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .map_err(SandboxError::at("close memory to other processes"))?;
        let landlock = restrict(&self.rules, self.landlock, self.signals(), Network::Refused)?;
        let (read_search, trusted, bounding_set) = self.give_up_capabilities()?;
        for program in &programs {
            seccompiler::apply_filter_all_threads(program)?;
        }
        Ok(Report { landlock, read_search, trusted, bounding_set })
    }

    fn rule(mut self, folder: &'fd impl AsFd, reach: Reach) -> Self {
        self.rules.push((folder.as_fd(), reach));
        self
    }

    /// A child from before is outside of the confinement. Where one is named the filter alone says who can be signalled.
    fn signals(&self) -> Signals {
        if self.children.is_empty() { Signals::Inside } else { Signals::Unscoped }
    }

    fn give_up_capabilities(&self) -> Result<(ReadSearch, Trusted, BoundingSet)> {
        match self.keep {
            Keep::Nothing => Ok((ReadSearch::NotHeld, Trusted::Hidden, drop_capabilities()?)),
            Keep::ReadSearch => {
                let (read_search, bounding_set) = keep_only_read_search()?;
                Ok((read_search, Trusted::Hidden, bounding_set))
            }
            Keep::Metadata => {
                let (read_search, bounding_set) = keep_for_metadata()?;
                Ok((read_search, Trusted::Hidden, bounding_set))
            }
            Keep::ReadSearchAndTrusted => keep_read_search_and_trusted(),
        }
    }
}
