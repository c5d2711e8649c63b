//! Renames and links: from one held folder to another.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::Errno;

use crate::whole::unfinished_name;
use crate::{Dir, Error, Name, Result, Step};

/// What became of a hard link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Linked {
    /// The second name is there.
    Made,
    /// The file has as many names as its file system allows (ext4: 65,000): the caller copies instead.
    Full,
}

impl Dir {
    /// Moves `name` to `target_name` in `target`, which must not exist, then brings both folders to the disk: the target
    /// first, so that a power cut between the two leaves both names and never none.
    pub fn rename_new(&self, name: Name<'_>, target: &Dir, target_name: Name<'_>) -> Result<()> {
        self.rename_new_later(name, target, target_name)?;
        self.sync_after_rename(target)
    }

    /// As [`Dir::rename_new`], but not on the disk before [`Dir::sync`] of both folders, or [`Dir::sync_file_system`].
    pub fn rename_new_later(&self, name: Name<'_>, target: &Dir, target_name: Name<'_>) -> Result<()> {
        self.rename(name, target, target_name, RenameFlags::NOREPLACE)
    }

    /// As [`Dir::rename_new`], but replaces what is there, in one step.
    pub fn rename_over(&self, name: Name<'_>, target: &Dir, target_name: Name<'_>) -> Result<()> {
        self.rename_over_later(name, target, target_name)?;
        self.sync_after_rename(target)
    }

    /// As [`Dir::rename_over`], but not on the disk before [`Dir::sync`] or [`Dir::sync_file_system`].
    pub fn rename_over_later(&self, name: Name<'_>, target: &Dir, target_name: Name<'_>) -> Result<()> {
        self.rename(name, target, target_name, RenameFlags::empty())
    }

    fn rename(&self, name: Name<'_>, target: &Dir, target_name: Name<'_>, flags: RenameFlags) -> Result<()> {
        rustix::fs::renameat_with(self.as_fd(), name, target.as_fd(), target_name, flags)
            .map_err(Error::at(Step::Rename, name.as_bytes()))
    }

    fn sync_after_rename(&self, target: &Dir) -> Result<()> {
        target.sync()?;
        if std::ptr::eq(self, target) { Ok(()) } else { self.sync() }
    }

    /// Gives the file `name` a second name. A symbolic link is linked, not followed. Not on the disk before
    /// [`Dir::sync`] or [`Dir::sync_file_system`], as links come in thousands.
    pub fn link(&self, name: Name<'_>, target: &Dir, target_name: Name<'_>) -> Result<Linked> {
        match rustix::fs::linkat(self.as_fd(), name, target.as_fd(), target_name, AtFlags::empty()) {
            Ok(()) => Ok(Linked::Made),
            Err(Errno::MLINK) => Ok(Linked::Full),
            Err(errno) => Err(Error::new(Step::Link, name.as_bytes(), errno)),
        }
    }

    /// Makes a symbolic link. `link_target` is data: it is stored as it is, never looked at.
    pub fn symlink(&self, link_target: &[u8], name: Name<'_>) -> Result<()> {
        rustix::fs::symlinkat(link_target, self.as_fd(), name)
            .map_err(Error::at(Step::Symlink, name.as_bytes()))
    }

    /// Makes a symbolic link in place of what is there: whoever looks finds the old or the new. A folder is not replaced. Not on the disk
    /// before [`Dir::sync`].
    pub fn replace_symlink(&self, link_target: &[u8], name: Name<'_>) -> Result<()> {
        let temporary = unfinished_name();
        let temporary = Name::new(&temporary)?;
        match self.unlink(temporary) {
            Err(error) if !error.is_not_found() => return Err(error),
            // None, or one that a dead process of our number left.
            _ => self.symlink(link_target, temporary)?,
        }
        let placed = self.rename_over_later(temporary, self, name);
        if placed.is_err() {
            // Best effort, as after any failed write: a name left here is skipped and later removed.
            let _ = self.unlink(temporary);
        }
        placed
    }

    /// What a symbolic link holds, as raw bytes.
    pub fn read_link(&self, name: Name<'_>) -> Result<Vec<u8>> {
        rustix::fs::readlinkat(self.as_fd(), name, Vec::new())
            .map(std::ffi::CString::into_bytes)
            .map_err(Error::at(Step::Symlink, name.as_bytes()))
    }
}
