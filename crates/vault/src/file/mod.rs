//! A vault in a folder. Layout and order of steps: docs/formats/ice.md.
//!
//! It keeps its word against Firn itself and against accidents. Where this process may, objects and locks are immutable to everyone until root takes that off;
//! elsewhere, whoever may write the folder by other means can remove what is in it. A disk that is carried away, or a store that enforces locks,
//! keeps it against everyone.

mod flag;
mod inspect;
mod listing;
mod locks;
mod prove;
mod store;
mod tree;

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use chrono::{DateTime, Utc};
use rustix::fs::{FileType, FlockOperation, Mode, OFlags, flock, fstat};

use crate::object::unversioned;
use crate::{
    Content, Immutable, Inspection, Lock, Names, ObjectFolder, ObjectName, ObjectRef, Probe, Result, Thawed,
    Vault, VaultError, Wish,
};

/// Folder of the objects.
const OBJECTS: &str = "objects";
/// Folder of their locks.
const LOCKS: &str = "locks";
/// Folder of what is still being written. What a dead process left there is removed by the next put.
const UNFINISHED: &str = "unfinished";
/// The file that a writer holds locked: one put at a time.
const WRITER: &str = "writer";

/// A vault in a folder.
#[derive(Debug)]
pub struct FileVault {
    root: OwnedFd,
    immutable: Immutable,
}

impl FileVault {
    /// Opens the vault in the folder `path`, a trusted path from settings. The folder must exist: a disk that is not mounted must not be
    /// mistaken for an empty vault. Nothing is made in it before the first put. `immutable` says whether what is put gets the flag.
    ///
    /// # Errors
    /// [`VaultError::Unreachable`].
    pub fn open(path: &Path, immutable: Immutable) -> Result<FileVault> {
        let flags = tree::FOLDER | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())
            .map_err(VaultError::failed("open", &format!("its folder {:?}", path)))?;
        Ok(FileVault { root, immutable })
    }

    /// Waits until no other process writes to this vault. The kernel frees the lock when the holder dies.
    fn alone(&self) -> Result<OwnedFd> {
        let held = || -> io::Result<OwnedFd> {
            let file = tree::open(&self.root, WRITER, OFlags::RDWR | OFlags::CREATE, 0o600)?;
            rustix::io::retry_on_intr(|| flock(&file, FlockOperation::LockExclusive))?;
            Ok(file)
        };
        held().map_err(VaultError::failed("lock", WRITER))
    }

    /// Opens a regular file for reading; none if it is not there, or is a folder of other names.
    fn open_regular(&self, path: &str) -> Result<Option<File>> {
        let failed = || VaultError::failed("open", path);
        let file = match tree::open(&self.root, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, 0) {
            Ok(file) => file,
            Err(error) if tree::is_absent(&error) => return Ok(None),
            Err(error) => return Err(failed()(error)),
        };
        let stat = fstat(&file).map_err(|errno| failed()(errno.into()))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(Some(File::from(file))),
            FileType::Directory => Ok(None),
            _ => Err(failed()(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))),
        }
    }

    fn open_object(&self, name: &ObjectName) -> Result<File> {
        self.open_regular(&format!("{OBJECTS}/{name}"))?
            .ok_or_else(|| VaultError::Missing { object: name.clone() })
    }
}

impl Vault for FileVault {
    fn clock(&self) -> Result<DateTime<Utc>> {
        Ok(Utc::now())
    }

    fn put(&self, name: &ObjectName, content: Content<'_>, retain_until: DateTime<Utc>) -> Result<Lock> {
        store::put(self, name, content, retain_until)
    }

    fn list(&self, folder: &ObjectFolder) -> Result<Names<'_>> {
        listing::list(&self.root, folder)
    }

    fn fetch(&self, object: &ObjectRef) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.open_object(unversioned(object)?)?))
    }

    fn thaw(&self, object: &ObjectRef, _wish: Wish) -> Result<Thawed> {
        self.open_object(unversioned(object)?).map(|_| Thawed::Ready { until: None })
    }

    fn lock(&self, object: &ObjectRef) -> Result<Lock> {
        locks::lasting(self, unversioned(object)?)
    }

    fn extend_lock(&self, object: &ObjectRef, retain_until: DateTime<Utc>) -> Result<Lock> {
        locks::extend(self, unversioned(object)?, retain_until)
    }

    fn end_stale_puts(&self, before: DateTime<Utc>) -> Result<u64> {
        store::clear_stale(self, before)
    }

    fn prove_lock(&self, canary: &Lock) -> Result<Vec<Probe>> {
        prove::prove(self, canary)
    }

    fn inspect(&self) -> Inspection {
        inspect::inspect(&self.root)
    }
}

#[cfg(test)]
mod tests;
