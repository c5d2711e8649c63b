//! The names of one folder.

use std::os::fd::OwnedFd;

use rustix::fs::RawDir;
use rustix::io::Errno;

/// File systems whose facts are always in this machine, so that asking twice would tell nothing new.
const LOCAL: [u32; 5] = [
    0xef53,      // ext4 and its forebears
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0xf2f5_2010, // f2fs
    0x0102_1994, // tmpfs
];

/// What the kernel makes up as it is read, and what mounts by itself: entered only where the settings name it.
const MADE_UP: [u32; 18] = [
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x1cd1,      // devpts
    0x27_e0eb,   // cgroup
    0x6367_7270, // cgroup2
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0xf97c_ff8c, // selinuxfs
    0x6165_676c, // pstore
    0xcafe_4a11, // bpf
    0xde5e_81e4, // efivarfs
    0x6265_6570, // configfs
    0x4249_4e4d, // binfmt_misc
    0x1980_0202, // mqueue
    0x6573_5543, // fusectl
    0x9584_58f6, // hugetlbfs
    0x0187,      // autofs
];

/// Where a folder lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    /// On a disk or in memory of this machine.
    Local,
    /// The kernel makes it up.
    MadeUp,
    /// With a server, or a program of a user.
    Elsewhere,
}

impl Home {
    /// Of an open folder.
    pub(super) fn of(folder: &OwnedFd) -> Result<Self, Errno> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a magic number of 32 bits"
        )]
        let kind = rustix::fs::fstatfs(folder)?.f_type as u32;
        Ok(match kind {
            kind if LOCAL.contains(&kind) => Home::Local,
            kind if MADE_UP.contains(&kind) => Home::MadeUp,
            _ => Home::Elsewhere,
        })
    }
}

/// Room for entries of a folder that the kernel hands over at once.
const LIST_BYTES: usize = 32 * 1024;

/// The names in a held folder, sorted by bytes. Asks the descriptor and nothing else: no path is built, and nothing in the folder is opened.
pub(super) fn list(folder: &OwnedFd) -> Result<Vec<Vec<u8>>, Errno> {
    let mut space = Vec::with_capacity(LIST_BYTES);
    let mut entries = RawDir::new(folder, space.spare_capacity_mut());
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        match entry {
            Ok(entry) if matches!(entry.file_name().to_bytes(), b"." | b"..") => {}
            Ok(entry) => names.push(entry.file_name().to_bytes().to_vec()),
            // It was removed since it was opened: it holds nothing.
            Err(Errno::NOENT) => break,
            Err(errno) => return Err(errno),
        }
    }
    names.sort_unstable();
    Ok(names)
}
