//! The facts of one name.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FileType};

use crate::{Dir, Error, Name, Result, Step};

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

/// The facts of one inode, as the kernel gives them. Times are since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of stat(2) by their usual names")]
pub struct Stat {
    pub kind: FileKind,
    /// Permission bits only, `0o7777` at most.
    pub mode: u32,
    pub owner: u32,
    pub group: u32,
    pub size: u64,
    pub links: u64,
    pub inode: u64,
    pub device: u64,
    pub mtime_seconds: i64,
    pub mtime_nanos: u32,
    pub ctime_seconds: i64,
    pub ctime_nanos: u32,
}

impl Stat {
    /// The facts of an open file or folder.
    pub fn of(file: impl AsFd) -> Result<Stat> {
        rustix::fs::fstat(file).map(Stat::from_raw).map_err(Error::at(Step::Stat, b"."))
    }

    /// Both are the same inode.
    #[must_use]
    pub fn is_same_file(&self, other: &Stat) -> bool {
        self.device == other.device && self.inode == other.inode
    }

    #[expect(clippy::unnecessary_cast, reason = "the fields' widths differ between architectures")]
    fn from_raw(raw: rustix::fs::Stat) -> Stat {
        let kind = match FileType::from_raw_mode(raw.st_mode) {
            FileType::Directory => FileKind::Folder,
            FileType::Symlink => FileKind::Symlink,
            FileType::Fifo => FileKind::Fifo,
            FileType::Socket => FileKind::Socket,
            FileType::CharacterDevice => FileKind::CharDevice,
            FileType::BlockDevice => FileKind::BlockDevice,
            _ => FileKind::File,
        };
        Stat {
            kind,
            mode: raw.st_mode & 0o7777,
            owner: raw.st_uid,
            group: raw.st_gid,
            size: raw.st_size as u64,
            links: raw.st_nlink as u64,
            inode: raw.st_ino as u64,
            device: raw.st_dev as u64,
            mtime_seconds: raw.st_mtime as i64,
            mtime_nanos: raw.st_mtime_nsec as u32,
            ctime_seconds: raw.st_ctime as i64,
            ctime_nanos: raw.st_ctime_nsec as u32,
        }
    }
}

impl Dir {
    /// The facts of a name in this folder. A symbolic link is not followed.
    pub fn stat(&self, name: Name<'_>) -> Result<Stat> {
        rustix::fs::statat(self.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW)
            .map(Stat::from_raw)
            .map_err(Error::at(Step::Stat, name.as_bytes()))
    }
}
