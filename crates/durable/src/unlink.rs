//! Removing one name.

use std::os::fd::AsFd;

use rustix::fs::AtFlags;

use crate::{Dir, Error, Name, Result, Step};

impl Dir {
    /// Removes a name that is not a folder. The removal is on the disk only after [`Dir::sync`].
    pub fn unlink(&self, name: Name<'_>) -> Result<()> {
        rustix::fs::unlinkat(self.as_fd(), name, AtFlags::empty())
            .map_err(Error::at(Step::Remove, name.as_bytes()))
    }

    /// Removes an empty folder.
    pub fn remove_dir(&self, name: Name<'_>) -> Result<()> {
        rustix::fs::unlinkat(self.as_fd(), name, AtFlags::REMOVEDIR)
            .map_err(Error::at(Step::Remove, name.as_bytes()))
    }
}
