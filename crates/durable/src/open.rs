//! Opening what is there: beneath the held folder, through no link.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

use crate::{Dir, Error, Name, Result, Step};

/// Never out of the held folder, never through a symbolic link, never through `/proc`'s links.
const BENEATH: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

pub(crate) const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);

/// The kernel answers EAGAIN when a rename elsewhere disturbed the walk; that many in a row is an attack or a fault.
const DISTURBED_MAX: u32 = 1_000;

/// A relative path is resolved in pieces below PATH_MAX, so that a deep tree can be reached.
const PIECE_BYTES_MAX: usize = 3_840;

impl Dir {
    /// Opens a folder in this folder.
    pub fn open_dir(&self, name: Name<'_>) -> Result<Dir> {
        self.open_at(name.as_bytes(), FOLDER, ResolveFlags::empty(), Mode::empty())
            .map(Dir::holding)
            .map_err(Error::at(Step::OpenFolder, name.as_bytes()))
    }

    /// Opens a folder any depth beneath this one. `relative` is components joined by `/`, of any total length; each must
    /// be a [`Name`]. A symbolic link anywhere on the way is refused.
    pub fn open_beneath(&self, relative: &[u8]) -> Result<Dir> {
        for component in relative.split(|&byte| byte == b'/') {
            Name::new(component)?;
        }
        let mut held: Option<Dir> = None;
        for piece in pieces(relative) {
            let from = held.as_ref().unwrap_or(self);
            let fd = from
                .open_at(piece, FOLDER, ResolveFlags::empty(), Mode::empty())
                .map_err(Error::at(Step::OpenFolder, relative))?;
            held = Some(Dir::holding(fd));
        }
        held.ok_or_else(|| Error::new(Step::OpenFolder, relative, Errno::INVAL))
    }

    /// Opens a regular file for reading. Anything else is refused; a fifo does not block.
    pub fn open_read(&self, name: Name<'_>) -> Result<File> {
        self.open_regular(name, OFlags::RDONLY)
    }

    /// Opens a regular file for reading and writing. It must exist.
    pub fn open_read_write(&self, name: Name<'_>) -> Result<File> {
        self.open_regular(name, OFlags::RDWR)
    }

    /// Opens a regular file any depth beneath this folder for reading. The rules of [`Dir::open_beneath`] apply.
    pub fn open_read_beneath(&self, relative: &[u8]) -> Result<File> {
        match relative.iter().rposition(|&byte| byte == b'/') {
            None => self.open_read(Name::new(relative)?),
            Some(slash) => {
                let (parent, last) = relative.split_at(slash);
                let last = Name::new(last.get(1..).unwrap_or_default())?;
                self.open_beneath(parent)?.open_read(last)
            }
        }
    }

    fn open_regular(&self, name: Name<'_>, access: OFlags) -> Result<File> {
        let at = || Error::at(Step::Open, name.as_bytes());
        let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = self.open_at(name.as_bytes(), flags, ResolveFlags::empty(), Mode::empty()).map_err(at())?;
        let stat = rustix::fs::fstat(&fd).map_err(Error::at(Step::Open, name.as_bytes()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            let why = io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
            return Err(Error::new(Step::Open, name.as_bytes(), why));
        }
        Ok(File::from(fd))
    }

    /// The one door: every open beneath a held folder goes through here. A kernel without `openat2` (before Linux 5.6)
    /// answers ENOSYS, and that is passed on: there is no second, weaker way.
    pub(crate) fn open_at(
        &self,
        relative: &[u8],
        flags: OFlags,
        also: ResolveFlags,
        mode: Mode,
    ) -> rustix::io::Result<OwnedFd> {
        // Not O_NOFOLLOW: NO_SYMLINKS covers the last component too, and answers ELOOP where O_NOFOLLOW would hide a
        // link behind ENOTDIR.
        let flags = flags | OFlags::CLOEXEC;
        for _ in 0..DISTURBED_MAX {
            match openat2(self.as_fd(), relative, flags, mode, BENEATH | also) {
                Err(Errno::AGAIN | Errno::INTR) => std::thread::yield_now(),
                answer => return answer,
            }
        }
        Err(Errno::AGAIN)
    }
}

/// Cuts a long path at slashes into pieces the kernel takes.
fn pieces(relative: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = relative;
    std::iter::from_fn(move || {
        if rest.len() <= PIECE_BYTES_MAX {
            return (!rest.is_empty()).then(|| std::mem::take(&mut rest));
        }
        let window = rest.get(..PIECE_BYTES_MAX)?;
        let cut = window.iter().rposition(|&byte| byte == b'/')?;
        let (piece, tail) = rest.split_at(cut);
        rest = tail.get(1..)?;
        Some(piece)
    })
}
