//! Creating: always new, never through a link, permissions from the start.

use std::fs::File;
use std::os::fd::AsFd;

use rustix::fs::{Mode, OFlags, ResolveFlags};

use crate::{Dir, Error, Name, Result, Step};

impl Dir {
    /// Creates a regular file that was not there, open for reading and writing. `mode` is subject to the umask. The name
    /// is on the disk only after [`Dir::sync`].
    pub fn create_new(&self, name: Name<'_>, mode: u32) -> Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        self.open_at(name.as_bytes(), flags, ResolveFlags::empty(), permissions(mode))
            .map(File::from)
            .map_err(Error::at(Step::Create, name.as_bytes()))
    }

    /// Makes a folder that was not there and opens it. `mode` is subject to the umask; a set-group-id parent passes its
    /// group and that bit on.
    pub fn make_dir(&self, name: Name<'_>, mode: u32) -> Result<Dir> {
        rustix::fs::mkdirat(self.as_fd(), name, permissions(mode))
            .map_err(Error::at(Step::MakeFolder, name.as_bytes()))?;
        self.open_dir(name)
    }

    /// Opens a folder, making it first if it was not there. Fails if the name is anything but a folder.
    pub fn make_dir_or_open(&self, name: Name<'_>, mode: u32) -> Result<Dir> {
        match self.make_dir(name, mode) {
            Err(error) if error.is_exists() => self.open_dir(name),
            answer => answer,
        }
    }

    /// Sets the permissions of this folder itself, whatever the umask.
    pub fn set_mode(&self, mode: u32) -> Result<()> {
        rustix::fs::fchmod(self.as_fd(), permissions(mode)).map_err(Error::at(Step::SetMode, b"."))
    }
}

pub(crate) fn permissions(mode: u32) -> Mode {
    Mode::from_raw_mode(mode & 0o7777)
}
