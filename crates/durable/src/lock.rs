//! Locks that the kernel frees when the holder dies.

use std::os::fd::OwnedFd;

use rustix::fs::{FlockOperation, Mode, OFlags, ResolveFlags, flock};
use rustix::io::{Errno, retry_on_intr};

use crate::open::FOLDER;
use crate::{Dir, Error, Name, Result, Stat, Step};

/// What a lock file is made with.
const SHARED_MODE: u32 = 0o640;
/// Nobody else can take it, or keep it.
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
        self.take(name, FlockOperation::NonBlockingLockExclusive, || self.open_lock_file(name, SHARED_MODE))
    }

    /// The same of a lock file that nobody but its owner can open; one that others can is closed to them.
    pub fn try_lock_private(&self, name: Name<'_>) -> Result<Option<Lock>> {
        let lock = self.take(name, FlockOperation::NonBlockingLockExclusive, || {
            self.open_lock_file(name, PRIVATE_MODE)
        })?;
        if let Some(Lock { held }) = &lock
            && Stat::of(held)?.mode != PRIVATE_MODE
        {
            rustix::fs::fchmod(held, Mode::from_raw_mode(PRIVATE_MODE))
                .map_err(Error::at(Step::SetMode, name.as_bytes()))?;
        }
        Ok(lock)
    }

    /// Locks the folder `name` itself alone, without waiting; `None` if somebody holds it. Not found if there is none.
    pub fn try_lock_folder(&self, name: Name<'_>) -> Result<Option<Lock>> {
        self.take(name, FlockOperation::NonBlockingLockExclusive, || self.open_lock_folder(name))
    }

    /// Locks the folder `name` itself together with others, waiting for whoever holds it alone. What is locked is what the
    /// name leads to: not found if there is none, or none any more.
    pub fn lock_folder_shared(&self, name: Name<'_>) -> Result<Lock> {
        self.take(name, FlockOperation::LockShared, || self.open_lock_folder(name))?
            .ok_or_else(|| Error::new(Step::Lock, name.as_bytes(), Errno::WOULDBLOCK))
    }

    /// Takes the lock `name` together with other readers, without waiting; `None` if somebody holds it alone.
    pub fn try_lock_shared(&self, name: Name<'_>) -> Result<Option<Lock>> {
        self.take(name, FlockOperation::NonBlockingLockShared, || self.open_lock_file(name, SHARED_MODE))
    }

    /// Takes the lock `name` together with other readers, waiting for whoever holds it alone.
    pub fn lock_shared(&self, name: Name<'_>) -> Result<Lock> {
        self.take(name, FlockOperation::LockShared, || self.open_lock_file(name, SHARED_MODE))?
            .ok_or_else(|| Error::new(Step::Lock, name.as_bytes(), Errno::WOULDBLOCK))
    }

    fn take(
        &self,
        name: Name<'_>,
        operation: FlockOperation,
        open: impl Fn() -> rustix::io::Result<OwnedFd>,
    ) -> Result<Option<Lock>> {
        loop {
            let file = open().map_err(Error::at(Step::Lock, name.as_bytes()))?;
            match retry_on_intr(|| flock(&file, operation)) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(errno) => return Err(Error::new(Step::Lock, name.as_bytes(), errno)),
            }
            // From here on it is freed by its drop: a process just started may have a copy of the descriptor.
            let lock = Lock { held: file };
            // Somebody may have replaced the file, or moved the folder, between the open and the lock: a lock on what has no
            // name excludes nobody.
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
    fn open_lock_file(&self, name: Name<'_>, made_with: u32) -> rustix::io::Result<OwnedFd> {
        let open = |more: OFlags, mode: Mode| {
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | more;
            self.open_at(name.as_bytes(), flags, ResolveFlags::empty(), mode)
        };
        match open(OFlags::empty(), Mode::empty()) {
            Err(Errno::NOENT) => open(OFlags::CREATE, Mode::from_raw_mode(made_with)),
            answer => answer,
        }
    }

    fn open_lock_folder(&self, name: Name<'_>) -> rustix::io::Result<OwnedFd> {
        self.open_at(name.as_bytes(), FOLDER, ResolveFlags::empty(), Mode::empty())
    }
}
