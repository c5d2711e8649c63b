//! Opening a file of a held folder for reading, so that nothing is left to chance: no link, no wait, no trace.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use formats::RelPath;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

use super::Facts;

/// One component of a held folder: never above it, never through a link.
const HELD: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);
/// Never waits for a writer of a fifo, never takes a terminal.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);
/// The kernel answers EAGAIN when a rename elsewhere disturbed it.
const DISTURBED_MAX: u32 = 1_000;

/// Whether a folder may lie on another mount than the one above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mounts {
    /// It may not.
    #[default]
    Stay,
    /// It may.
    Cross,
}

/// Opens the file `name`, last seen with `facts`. The time of its last reading is left alone where this process may do so.
pub fn open_file(folder: impl AsFd, name: &[u8], facts: &Facts) -> Result<File, Errno> {
    open(folder.as_fd(), name, READ | untouched(facts), ResolveFlags::NO_XDEV).map(File::from)
}

/// Opens the folder `name`, last seen with `facts`.
pub(super) fn open_folder(
    folder: impl AsFd,
    name: &[u8],
    facts: &Facts,
    mounts: Mounts,
) -> Result<OwnedFd, Errno> {
    let stay = match mounts {
        Mounts::Stay => ResolveFlags::NO_XDEV,
        Mounts::Cross => ResolveFlags::empty(),
    };
    open(folder.as_fd(), name, READ | OFlags::DIRECTORY | untouched(facts), stay)
}

/// Opens the folder where a root is read, below the host's `/`.
pub(super) fn open_elsewhere(top: impl AsFd, path: &RelPath) -> Result<OwnedFd, Errno> {
    open(top.as_fd(), path.as_bytes(), READ | OFlags::DIRECTORY, ResolveFlags::empty())
}

/// Only the owner may ask for it.
fn untouched(facts: &Facts) -> OFlags {
    if facts.owner == rustix::process::geteuid().as_raw() { OFlags::NOATIME } else { OFlags::empty() }
}

fn open(folder: impl AsFd, name: &[u8], flags: OFlags, also: ResolveFlags) -> Result<OwnedFd, Errno> {
    let mut flags = flags;
    for _ in 0..DISTURBED_MAX {
        match openat2(&folder, name, flags, Mode::empty(), HELD | also) {
            Err(Errno::AGAIN | Errno::INTR) => std::thread::yield_now(),
            // The owner changed since, or is not ours on this file system.
            Err(Errno::PERM) if flags.contains(OFlags::NOATIME) => flags.remove(OFlags::NOATIME),
            answer => return answer,
        }
    }
    Err(Errno::AGAIN)
}
