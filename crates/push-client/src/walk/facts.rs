//! What one `statx` tells.

use std::os::fd::AsFd;

use formats::Mtime;
use rustix::fs::{AtFlags, FileType, Statx, StatxAttributes, StatxFlags, makedev, statx};
use rustix::io::Errno;

/// What a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are the documentation")]
pub enum FileKind {
    File,
    Folder,
    Symlink,
    Fifo,
    Socket,
    CharDevice,
    BlockDevice,
}

/// What tells an inode that was touched since: see docs/formats/client-state.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    /// Time of the last change of anything, seconds since 1970.
    pub ctime_seconds: i64,
    /// Its nanoseconds.
    pub ctime_nanos: u32,
    /// Number of the inode.
    pub inode: u64,
    /// Device it is on.
    pub device: u64,
}

/// What is added to the numbers of devices below a root that is read elsewhere. A snapshot has another device each time, and its files are the
/// same: so the number is made from the root's path, and what lies on the same device as the root has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shift(u64);

impl Shift {
    pub(super) fn of(root: &[u8], folder: &Facts) -> Self {
        let mut number = [0; 8];
        number.iter_mut().zip(blake3::hash(root).as_bytes()).for_each(|(to, from)| *to = *from);
        // No device of the kernel's has the highest bit.
        let number = u64::from_le_bytes(number) | 1 << 63;
        Self(number.wrapping_sub(folder.stamp.device))
    }
}

/// The facts of one inode at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// What it is.
    pub kind: FileKind,
    /// Permission bits, at most 0o7777.
    pub mode: u32,
    /// Owner by number.
    pub owner: u32,
    /// Group by number.
    pub group: u32,
    /// Bytes.
    pub size: u64,
    /// Last change of the content.
    pub mtime: Mtime,
    /// Names of the inode.
    pub links: u32,
    /// Of a device node: major and minor number.
    pub node: (u32, u32),
    /// What changes with every touch.
    pub stamp: Stamp,
    /// Another file system, or another part of one, is mounted here.
    pub is_mount: bool,
}

/// Whether a file system that lives elsewhere is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// What this machine knows. Never waits for a server or a FUSE process.
    Cached,
    /// As the file system sees fit.
    Asked,
}

const MASK: StatxFlags = StatxFlags::BASIC_STATS;

impl Facts {
    /// Of a name in a held folder. A symbolic link is not followed, nothing is mounted on demand.
    pub fn of_name(folder: impl AsFd, name: &[u8], freshness: Freshness) -> Result<Self, Errno> {
        let sync = match freshness {
            Freshness::Cached => AtFlags::STATX_DONT_SYNC,
            Freshness::Asked => AtFlags::STATX_SYNC_AS_STAT,
        };
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | sync;
        statx(folder, name, flags, MASK).and_then(Self::from_raw)
    }

    /// Of an open file or folder.
    pub fn of_open(file: impl AsFd) -> Result<Self, Errno> {
        statx(file, c"", AtFlags::EMPTY_PATH, MASK).and_then(Self::from_raw)
    }

    fn from_raw(raw: Statx) -> Result<Self, Errno> {
        let mode = u32::from(raw.stx_mode);
        let kind = match FileType::from_raw_mode(mode) {
            FileType::RegularFile => FileKind::File,
            FileType::Directory => FileKind::Folder,
            FileType::Symlink => FileKind::Symlink,
            FileType::Fifo => FileKind::Fifo,
            FileType::Socket => FileKind::Socket,
            FileType::CharacterDevice => FileKind::CharDevice,
            FileType::BlockDevice => FileKind::BlockDevice,
            FileType::Unknown => return Err(Errno::OPNOTSUPP),
        };
        Ok(Self {
            kind,
            mode: mode & 0o7777,
            owner: raw.stx_uid,
            group: raw.stx_gid,
            size: raw.stx_size,
            // A file system may lie; the manifest takes only times that are some.
            mtime: Mtime { seconds: raw.stx_mtime.tv_sec, nanos: raw.stx_mtime.tv_nsec.min(999_999_999) },
            links: if kind == FileKind::Folder { 1 } else { raw.stx_nlink.max(1) },
            node: (raw.stx_rdev_major, raw.stx_rdev_minor),
            stamp: Stamp {
                ctime_seconds: raw.stx_ctime.tv_sec,
                ctime_nanos: raw.stx_ctime.tv_nsec,
                inode: raw.stx_ino,
                device: makedev(raw.stx_dev_major, raw.stx_dev_minor),
            },
            is_mount: raw.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
        })
    }

    /// As they are told of a tree that is not where it belongs: with another number of its device.
    pub(super) fn shifted(self, shift: Shift) -> Self {
        let device = self.stamp.device.wrapping_add(shift.0);
        Self { stamp: Stamp { device, ..self.stamp }, ..self }
    }

    /// Nothing was touched between the two looks.
    pub fn is_untouched(&self, later: &Facts) -> bool {
        self.stamp == later.stamp
            && self.size == later.size
            && self.mtime == later.mtime
            && self.kind == later.kind
    }
}
