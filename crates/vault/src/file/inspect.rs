//! What a folder tells about itself. Nothing is written to find it out.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Access as Ask, AtFlags, accessat, fstat, fstatvfs, ioctl_getflags};

use crate::Inspection;
use crate::inspection::{Access, Folder, Obstacle, ObstacleKind, Support};

pub(super) fn inspect(root: &OwnedFd) -> Inspection {
    match folder(root) {
        Ok(folder) => Inspection::Folder(Box::new(folder)),
        Err(error) => {
            Inspection::Unusable(Obstacle { kind: ObstacleKind::NoAnswer, seen: error.to_string() })
        }
    }
}

fn folder(root: &OwnedFd) -> io::Result<Folder> {
    let stat = fstat(root)?;
    let space = fstatvfs(root)?;
    // As the account that this process acts for, on the folder held open and no other.
    let asked = accessat(root, ".", Ask::WRITE_OK | Ask::EXEC_OK, AtFlags::EACCESS);
    Ok(Folder {
        owner: stat.st_uid,
        mode: stat.st_mode & 0o7777,
        device: stat.st_dev,
        free_bytes: space.f_bavail.saturating_mul(space.f_frsize),
        writable: if asked.is_ok() { Access::Granted } else { Access::Refused },
        immutable: if ioctl_getflags(root).is_ok() { Support::Possible } else { Support::Absent },
        inode: stat.st_ino,
    })
}
