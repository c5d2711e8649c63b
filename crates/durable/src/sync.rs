//! Bringing changes to the disk.

use std::fs::File;
use std::os::fd::AsFd;

use crate::{Dir, Error, Name, Result, Step};

impl Dir {
    /// Brings the names in this folder to the disk. An error is final: the kernel may have dropped what it could not
    /// write, so trying again proves nothing.
    pub fn sync(&self) -> Result<()> {
        rustix::fs::fsync(self.as_fd()).map_err(Error::at(Step::Sync, b"."))
    }

    /// Brings everything on this folder's file system to the disk: one call where many files were written.
    pub fn sync_file_system(&self) -> Result<()> {
        rustix::fs::syncfs(self.as_fd()).map_err(Error::at(Step::Sync, b"."))
    }

    /// Bytes that this process may still write to this folder's file system, leaving root's reserve alone.
    pub fn free_bytes(&self) -> Result<u64> {
        let facts = rustix::fs::fstatvfs(self.as_fd()).map_err(Error::at(Step::FreeSpace, b"."))?;
        Ok(facts.f_bavail.saturating_mul(facts.f_frsize))
    }

    /// Files and folders that may still be made on this folder's file system; none where it does not count them, and makes as many as there is space
    /// for.
    pub fn free_inodes(&self) -> Result<Option<u64>> {
        let facts = rustix::fs::fstatvfs(self.as_fd()).map_err(Error::at(Step::FreeSpace, b"."))?;
        Ok(Some(facts.f_favail).filter(|_| facts.f_files > 0))
    }
}

pub(crate) fn sync_file(file: &File, name: Name<'_>) -> Result<()> {
    rustix::fs::fsync(file).map_err(Error::at(Step::Sync, name.as_bytes()))
}
