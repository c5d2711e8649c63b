//! Extended attributes, and POSIX ACLs among them.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use formats::limits::{ATTRIBUTE_NAME_BYTES, ATTRIBUTE_VALUE_BYTES, ATTRIBUTES};
use formats::{Attribute, Tag};
use rustix::fs::{fgetxattr, flistxattr, lgetxattr, llistxattr};
use rustix::io::Errno;

/// Longest list of names the kernel gives (XATTR_LIST_MAX).
const LIST_BYTES_MAX: usize = 65_536;
/// All values of one inode together; leaves room for the path in an entry.
const VALUES_BYTES_MAX: usize = 400 * 1024;
/// Room for what is no extended attribute: two names of owners, and the flags.
const COUNT_MAX: usize = ATTRIBUTES - 3;

/// The attributes of an inode, ascending by name, and what could not be read of them.
#[derive(Debug, Default)]
pub struct Attributes {
    /// Those that were read.
    pub read: Vec<Attribute>,
    /// Names that could not be read, and why. No name: the list itself.
    pub missed: Vec<(Vec<u8>, Errno)>,
}

/// How the inode is reached: by its own descriptor, or by a name in a held folder (what cannot be opened without effects).
#[derive(Debug, Clone, Copy)]
enum Way<'a> {
    Open(BorrowedFd<'a>),
    Path(&'a [u8]),
}

/// Reads them from an open inode, or, if there is none, by `name` in the held `folder`, following no link.
pub fn read_attributes(open: Option<BorrowedFd<'_>>, folder: BorrowedFd<'_>, name: &[u8]) -> Attributes {
    match open {
        Some(open) => read(Way::Open(open)),
        None => {
            let mut path = format!("/proc/self/fd/{}/", folder.as_fd().as_raw_fd()).into_bytes();
            path.extend_from_slice(name);
            read(Way::Path(&path))
        }
    }
}

fn read(way: Way<'_>) -> Attributes {
    let mut found = Attributes::default();
    let names = match list(way) {
        Ok(names) => names,
        Err(Errno::NOTSUP) => return found,
        Err(errno) => {
            found.missed.push((Vec::new(), errno));
            return found;
        }
    };
    let mut room = VALUES_BYTES_MAX;
    let mut names: Vec<&[u8]> = names.split(|b| *b == 0).filter(|name| is_kept(name)).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        match value(way, name) {
            Ok(value) if value.len() > room.min(ATTRIBUTE_VALUE_BYTES) || found.read.len() >= COUNT_MAX => {
                found.missed.push((name.to_vec(), Errno::TOOBIG));
            }
            Ok(value) => {
                room -= value.len();
                found.read.push(Attribute { tag: Tag::Extended, name: name.to_vec(), value });
            }
            Err(Errno::NODATA | Errno::NOTSUP) => {}
            Err(errno) => found.missed.push((name.to_vec(), errno)),
        }
    }
    found
}

/// What belongs to the file. The rest of `system.*` is the file system's own view (NFS, SMB), not to be set elsewhere.
fn is_kept(name: &[u8]) -> bool {
    let acl = name == b"system.posix_acl_access" || name == b"system.posix_acl_default";
    let fits = !name.is_empty() && name.len() <= ATTRIBUTE_NAME_BYTES;
    fits && (acl || !name.starts_with(b"system."))
}

fn list(way: Way<'_>) -> Result<Vec<u8>, Errno> {
    // Nearly always empty or short; the long way only where the kernel asks for it.
    match list_into(way, [0u8; 512].as_mut_slice()) {
        Err(Errno::RANGE) => list_into(way, &mut vec![0u8; LIST_BYTES_MAX]),
        answer => answer,
    }
}

fn list_into(way: Way<'_>, space: &mut [u8]) -> Result<Vec<u8>, Errno> {
    let length = match way {
        Way::Open(file) => flistxattr(file, &mut *space)?,
        Way::Path(path) => llistxattr(path, &mut *space)?,
    };
    Ok(space.get(..length).unwrap_or_default().to_vec())
}

fn value(way: Way<'_>, name: &[u8]) -> Result<Vec<u8>, Errno> {
    match value_into(way, name, [0u8; 512].as_mut_slice()) {
        Err(Errno::RANGE) => value_into(way, name, &mut vec![0u8; ATTRIBUTE_VALUE_BYTES]),
        answer => answer,
    }
}

fn value_into(way: Way<'_>, name: &[u8], space: &mut [u8]) -> Result<Vec<u8>, Errno> {
    let length = match way {
        Way::Open(file) => fgetxattr(file, name, &mut *space)?,
        Way::Path(path) => lgetxattr(path, name, &mut *space)?,
    };
    Ok(space.get(..length).unwrap_or_default().to_vec())
}
