//! Locks that the kernel frees when the holder dies.

use std::os::fd::OwnedFd;

use rustix::fs::{FlockOperation, Mode, OFlags, ResolveFlags, flock};
use rustix::io::{Errno, retry_on_intr};

use crate::open::FOLDER;
use crate::{Dir, Error, Name, Result, Stat, Step};

/// What a lock file is made with.
const MODE: u32 = 0o640;
/// Whoever can open a lock file can lock it: this one only its owner.
const PRIVATE_MODE: u32 = 0o600;

/// A held lock; dropping it, or dying, frees it. The lock file stays: removing it would let two holders in.
#[derive(Debug)]
#[must_use = "the lock is freed when this is dropped"]
pub struct Lock {
    held: OwnedFd,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a process that another thread is just starting has a copy of the descriptor until its exec.
        // An unlock ends the lock for all copies. It cannot fail on a descriptor that was locked; and if so, closing is next.
        let _ = flock(&self.held, FlockOperation::Unlock);
    }
}

impl Lock {
    /// A copy for another process: if we die it holds on. If we drop the lock, it is freed all the same.
    pub fn try_clone(&self) -> std::io::Result<OwnedFd> {
        self.held.try_clone()
    }
}

impl Dir {
    /// Takes the lock `name` alone, without waiting; `None` if somebody holds it. The lock file is made if it is not
    /// there.
    pub fn try_lock(&self, name: Name<'_>) -> Result<Option<Lock>> {
        self.take(name, FlockOperation::NonBlockingLockExclusive, || self.open_lock_file(name, MODE))
    }

    /// The same of a lock file that nobody but its owner can open. One that others can is closed to them, also while
    /// somebody holds it.
    pub fn try_lock_private(&self, name: Name<'_>) -> Result<Option<Lock>> {
        self.take(name, FlockOperation::NonBlockingLockExclusive, || {
            let file = self.open_lock_file(name, PRIVATE_MODE)?;
            if Stat::of(&file)?.mode & !PRIVATE_MODE != 0 {
                rustix::fs::fchmod(&file, Mode::from_raw_mode(PRIVATE_MODE))
                    .map_err(Error::at(Step::SetMode, name.as_bytes()))?;
            }
            Ok(file)
        })
    }

    /// Locks the folder `name` itself alone, without waiting; `None` if somebody holds it. Not found if there is none.
    pub fn try_lock_folder(&self, name: Name<'_>) -> Result<Option<Lock>> {
        self.take(name, FlockOperation::NonBlockingLockExclusive, || self.open_lock_folder(name))
    }

    /// Locks the folder `name` itself together with others, without waiting; `None` if somebody holds it alone. Not found
    /// if there is none.
    pub fn try_lock_folder_shared(&self, name: Name<'_>) -> Result<Option<Lock>> {
        self.take(name, FlockOperation::NonBlockingLockShared, || self.open_lock_folder(name))
    }

    /// What is locked is what the name leads to when the lock is there.
    fn take(
        &self,
        name: Name<'_>,
        operation: FlockOperation,
        open: impl Fn() -> Result<OwnedFd>,
    ) -> Result<Option<Lock>> {
        loop {
            let file = open()?;
            match retry_on_intr(|| flock(&file, operation)) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(errno) => return Err(Error::new(Step::Lock, name.as_bytes(), errno)),
            }
            // From here on it is freed by its drop: a process just started may have a copy of the descriptor.
            let lock = Lock { held: file };
            // Somebody may have replaced the file, or moved the folder, between the open and the lock: a lock on what the
            // name does not lead to excludes nobody.
            match self.stat(name) {
                Ok(now) if now.is_same_file(&Stat::of(&lock.held)?) => return Ok(Some(lock)),
                Ok(_) => {}
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Read access is enough for a lock, so that readers need no right to write. Opened before it is made: whoever may
    /// not create files can still lock one that is there.
    fn open_lock_file(&self, name: Name<'_>, made_with: u32) -> Result<OwnedFd> {
        let open = |more: OFlags, mode: Mode| {
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | more;
            self.open_at(name.as_bytes(), flags, ResolveFlags::empty(), mode)
        };
        let opened = match open(OFlags::empty(), Mode::empty()) {
            Err(Errno::NOENT) => open(OFlags::CREATE, Mode::from_raw_mode(made_with)),
            answer => answer,
        };
        opened.map_err(Error::at(Step::Lock, name.as_bytes()))
    }

    fn open_lock_folder(&self, name: Name<'_>) -> Result<OwnedFd> {
        self.open_at(name.as_bytes(), FOLDER, ResolveFlags::empty(), Mode::empty())
            .map_err(Error::at(Step::Lock, name.as_bytes()))
    }
}
