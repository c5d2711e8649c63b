//! A held folder.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::{Error, Result, Step};

/// A folder that is held open: what happens to its path afterwards does not matter.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
}

impl Dir {
    /// Opens a folder by a trusted absolute path, from settings and never from input. The last component may not be a
    /// symbolic link; those above it may, as the administrator made them.
    pub fn open_root(path: &Path) -> Result<Dir> {
        let name = path.as_os_str().as_bytes();
        if !path.is_absolute() {
            let why = io::Error::new(io::ErrorKind::InvalidInput, "not an absolute path");
            return Err(Error::new(Step::OpenFolder, name, why));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty())
            .map(Dir::holding)
            .map_err(Error::at(Step::OpenFolder, name))
    }

    /// A second handle on the same folder.
    pub fn try_clone(&self) -> Result<Dir> {
        self.fd.try_clone().map(Dir::holding).map_err(Error::at(Step::OpenFolder, b"."))
    }

    pub(crate) fn holding(fd: OwnedFd) -> Dir {
        Dir { fd }
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
