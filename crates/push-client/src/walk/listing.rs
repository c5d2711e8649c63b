//! The names of one folder.

use std::ffi::OsStr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rustix::io::Errno;
use walkdir::WalkDir;

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

/// The names in a held folder, sorted by bytes.
pub(super) fn list(folder: &OwnedFd) -> Result<Vec<Vec<u8>>, Errno> {
    let held = format!("/proc/self/fd/{}", folder.as_raw_fd());
    let mut names = Vec::new();
    for entry in WalkDir::new(held).min_depth(1).max_depth(1).sort_by_file_name() {
        match entry {
            Ok(entry) => names.push(file_name(entry.path().as_os_str())),
            Err(error) => {
                let code = error.io_error().and_then(std::io::Error::raw_os_error);
                return Err(code.map_or(Errno::IO, Errno::from_raw_os_error));
            }
        }
    }
    Ok(names)
}

fn file_name(path: &OsStr) -> Vec<u8> {
    let bytes = path.as_bytes();
    let start = bytes.iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
    OsStr::from_bytes(bytes.get(start..).unwrap_or_default()).to_owned().into_vec()
}
