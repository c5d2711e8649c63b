//! Looks at every name below a folder, however deep: each folder is opened from the one above it, no path is put together, and no
//! symlink is followed.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, openat, readlinkat, statat};

/// One name.
#[derive(Debug)]
pub(super) struct Seen {
    /// From the folder that was asked for; `.` for itself.
    pub(super) path: Vec<u8>,
    /// What it is, not following symlinks.
    pub(super) stat: Stat,
    parent: Rc<OwnedFd>,
    name: Vec<u8>,
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// One folder.
pub(super) fn look(folder: &Path) -> io::Result<Seen> {
    let held = Rc::new(openat(CWD, folder, FOLDER, Mode::empty())?);
    Ok(Seen { path: b".".to_vec(), stat: rustix::fs::fstat(&held)?, parent: held, name: b".".to_vec() })
}

/// Shows the folder `root` itself and all below it, in no order.
pub(super) fn walk(root: &Path, each: &mut dyn FnMut(&Seen) -> io::Result<()>) -> io::Result<()> {
    let mut waiting = vec![look(root)?];
    while let Some(seen) = waiting.pop() {
        each(&seen)?;
        if !seen.is(FileType::Directory) {
            continue;
        }
        let folder = Rc::new(openat(&seen.parent, seen.name.as_slice(), FOLDER, Mode::empty())?);
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let above = if seen.path == b"." { Vec::new() } else { [seen.path.as_slice(), b"/"].concat() };
            let stat = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
            waiting.push(Seen {
                path: [above.as_slice(), name].concat(),
                stat,
                parent: Rc::clone(&folder),
                name: name.to_vec(),
            });
        }
    }
    Ok(())
}

impl Seen {
    /// Whether it is of this type.
    pub(super) fn is(&self, kind: FileType) -> bool {
        self.kind() == kind
    }

    /// Its type.
    pub(super) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    /// Device and inode.
    pub(super) fn inode(&self) -> (u64, u64) {
        (self.stat.st_dev, self.stat.st_ino)
    }

    /// Mode, without the type.
    pub(super) fn mode(&self) -> u32 {
        self.stat.st_mode & 0o7777
    }

    /// Length and BLAKE3 of a file.
    pub(super) fn content(&self) -> io::Result<(u64, [u8; 32])> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut file = File::from(openat(&self.parent, self.name.as_slice(), flags, Mode::empty())?);
        let mut hasher = blake3::Hasher::new();
        let size = io::copy(&mut file, &mut hasher)?;
        Ok((size, *hasher.finalize().as_bytes()))
    }

    /// Target of a symlink.
    pub(super) fn target(&self) -> io::Result<Vec<u8>> {
        Ok(readlinkat(&self.parent, self.name.as_slice(), Vec::new())?.into_bytes())
    }

    /// What chattr has set of a file or folder: the flags that docs/formats/manifest.md lists.
    pub(super) fn flags(&self) -> io::Result<u32> {
        const KEPT: u32 = 0x0083_c4ff;
        if !self.is(FileType::RegularFile) && !self.is(FileType::Directory) {
            return Ok(0);
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&self.parent, self.name.as_slice(), flags, Mode::empty())?;
        match rustix::fs::ioctl_getflags(file) {
            Ok(flags) => Ok(flags.bits() & KEPT),
            Err(rustix::io::Errno::NOTTY | rustix::io::Errno::OPNOTSUPP) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Extended attributes, by name.
    pub(super) fn attributes(&self) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let path = [format!("/proc/self/fd/{}/", self.parent.as_raw_fd()).as_bytes(), &self.name].concat();
        let mut names = vec![0u8; 1 << 16];
        let count = match rustix::fs::llistxattr(path.as_slice(), names.as_mut_slice()) {
            Ok(count) => count,
            Err(rustix::io::Errno::NOTSUP) => 0,
            Err(error) => return Err(error.into()),
        };
        names.truncate(count);
        let mut all = Vec::new();
        for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            let mut value = vec![0u8; 1 << 16];
            let count = rustix::fs::lgetxattr(path.as_slice(), name, value.as_mut_slice())?;
            value.truncate(count);
            all.push((name.to_vec(), value));
        }
        Ok(all)
    }
}
