//! Locks that the kernel frees when the holder dies.

use std::os::fd::OwnedFd;

use rustix::fs::{FlockOperation, Mode, OFlags, ResolveFlags, flock};
use rustix::io::{Errno, retry_on_intr};

use crate::{Dir, Error, Name, Result, Stat, Step};

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
        self.take(name, FlockOperation::NonBlockingLockExclusive)
    }

    /// Takes the lock `name` together with other readers, without waiting; `None` if somebody holds it alone.
    pub fn try_lock_shared(&self, name: Name<'_>) -> Result<Option<Lock>> {
        self.take(name, FlockOperation::NonBlockingLockShared)
    }

    /// Takes the lock `name` together with other readers, waiting for whoever holds it alone.
    pub fn lock_shared(&self, name: Name<'_>) -> Result<Lock> {
        self.take(name, FlockOperation::LockShared)?
            .ok_or_else(|| Error::new(Step::Lock, name.as_bytes(), Errno::WOULDBLOCK))
    }

    fn take(&self, name: Name<'_>, operation: FlockOperation) -> Result<Option<Lock>> {
        loop {
            let file = self.open_lock_file(name).map_err(Error::at(Step::Lock, name.as_bytes()))?;
            match retry_on_intr(|| flock(&file, operation)) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(errno) => return Err(Error::new(Step::Lock, name.as_bytes(), errno)),
            }
            // Somebody may have replaced the file between the open and the lock: a lock on a file without a name
            // excludes nobody.
            match self.stat(name) {
                Ok(now) if now.is_same_file(&Stat::of(&file)?) => return Ok(Some(Lock { held: file })),
                Ok(_) => {}
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Read access is enough for a lock, so that readers need no right to write. Opened before it is made: whoever may
    /// not create files can still lock one that is there.
    fn open_lock_file(&self, name: Name<'_>) -> rustix::io::Result<OwnedFd> {
        let open = |more: OFlags, mode: Mode| {
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | more;
            self.open_at(name.as_bytes(), flags, ResolveFlags::empty(), mode)
        };
        match open(OFlags::empty(), Mode::empty()) {
            Err(Errno::NOENT) => open(OFlags::CREATE, Mode::from_raw_mode(0o640)),
            answer => answer,
        }
    }
}
