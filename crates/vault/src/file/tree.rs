//! Opening and making beneath the vault's folder: never out of it, never through a symbolic link.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, fsync, mkdirat, openat2};
use rustix::io::Errno;

use crate::ObjectName;

const BENEATH: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);
/// How a folder is opened.
pub(super) const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);
/// Permissions of the vault's folders, subject to the umask.
const FOLDER_MODE: u32 = 0o750;
/// The kernel answers EAGAIN when a rename elsewhere disturbed the walk; that many in a row is a fault.
const DISTURBED_MAX: u32 = 1_000;

/// Opens `path` beneath `folder`. The one door of this vault: every path below its root goes through here.
pub(super) fn open(folder: impl AsFd, path: &str, flags: OFlags, mode: u32) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for _ in 0..DISTURBED_MAX {
        match openat2(folder.as_fd(), path, flags, Mode::from_raw_mode(mode), BENEATH) {
            Err(Errno::AGAIN | Errno::INTR) => std::thread::yield_now(),
            answer => return answer.map_err(Into::into),
        }
    }
    Err(Errno::AGAIN.into())
}

/// True for the answers of a system in which `path` does not exist.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The folder that holds `name` beneath the folder `top`.
pub(super) fn folder_of(top: &str, name: &ObjectName) -> String {
    let (folder, _) = name.split();
    format!("{top}/{folder}").trim_end_matches('/').to_owned()
}

/// A folder with all folders above it up to the vault's root.
pub(super) struct Chain {
    /// From the one directly below the root down.
    folders: Vec<OwnedFd>,
}

impl Chain {
    /// Opens `path` beneath `root`, making what is missing.
    pub(super) fn make(root: &OwnedFd, path: &str) -> io::Result<Chain> {
        Chain::descend(root, path, |above, component| {
            match mkdirat(above, component, Mode::from_raw_mode(FOLDER_MODE)) {
                Ok(()) | Err(Errno::EXIST) => Ok(()),
                Err(errno) => Err(errno.into()),
            }
        })
    }

    /// Opens `path` beneath `root`, which must be there.
    pub(super) fn open(root: &OwnedFd, path: &str) -> io::Result<Chain> {
        Chain::descend(root, path, |_, _| Ok(()))
    }

    fn descend(
        root: &OwnedFd,
        path: &str,
        prepare: impl Fn(&OwnedFd, &str) -> io::Result<()>,
    ) -> io::Result<Chain> {
        let mut folders: Vec<OwnedFd> = Vec::new();
        for component in path.split('/') {
            let above = folders.last().unwrap_or(root);
            prepare(above, component)?;
            let folder = open(above, component, FOLDER, 0)?;
            folders.push(folder);
        }
        Ok(Chain { folders })
    }

    /// The lowest folder; the root itself if there is none below it.
    pub(super) fn leaf<'a>(&'a self, root: &'a OwnedFd) -> &'a OwnedFd {
        self.folders.last().unwrap_or(root)
    }

    /// Brings the names in all these folders and in the root to the disk. Folders left unsynced by a killed run are among them.
    pub(super) fn sync(&self, root: &OwnedFd) -> io::Result<()> {
        for folder in self.folders.iter().rev().chain([root]) {
            fsync(folder)?;
        }
        Ok(())
    }
}
