//! Symlinks, fifos and devices: made as new names, then held by a descriptor that opens nothing, so that their metadata is set on them and
//! never on what they point to.

use std::os::fd::{AsFd, OwnedFd};

use durable::{Dir, FileKind, Name, Stat};
use formats::{Kind, Node, RelPath};
use rustix::fs::{FileType, Mode, OFlags};

use crate::meta::Handle;
use crate::place::expect;
use crate::{Held, Place, Trouble};

impl Place<'_> {
    pub(crate) fn special(&mut self, path: &RelPath, node: &Node, held: &dyn Held) -> Result<u64, Trouble> {
        let folder = self.ground.folder_of(path)?;
        let name = Name::new(path.file_name())?;
        make(&folder, name, &node.kind)?;
        let itself = hold(&folder, name).map_err(|errno| Trouble::of("holding it", errno))?;
        if !is_what_was_made(&itself, &node.kind)? {
            return Err(Trouble::meddled());
        }
        let handle = Handle::Named { folder: &folder, name, held: itself.as_fd() };
        self.settle(path, &handle, node)?;
        match &node.kind {
            Kind::Symlink { .. } => self.counts.symlinks += 1,
            _ => self.counts.specials += 1,
        }
        expect(&node.kind, held)?;
        Ok(Stat::of(&itself)?.inode)
    }
}

fn make(folder: &Dir, name: Name<'_>, kind: &Kind) -> Result<(), Trouble> {
    let (file_type, device) = match kind {
        Kind::Symlink { target } => return Ok(folder.symlink(target, name)?),
        Kind::Fifo => (FileType::Fifo, 0),
        Kind::CharDevice { major, minor } => (FileType::CharacterDevice, rustix::fs::makedev(*major, *minor)),
        Kind::BlockDevice { major, minor } => (FileType::BlockDevice, rustix::fs::makedev(*major, *minor)),
        Kind::File { .. } | Kind::Folder | Kind::Socket => {
            return Err(Trouble::Differs("it is no such thing"));
        }
    };
    let mode = Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(folder.as_fd(), name, file_type, mode, device)
        .map_err(|errno| Trouble::of("making a fifo or device", errno))
}

/// Between the making of a name and the holding of it somebody else may have put another thing in its place, such as a second name of something of
/// value: that is of another kind, has more than one name, or is another link or device.
fn is_what_was_made(held: &OwnedFd, kind: &Kind) -> Result<bool, Trouble> {
    Ok(Stat::of(held)?.links == 1 && is_it(held, kind)?)
}

/// True if it is of this kind, target and number.
pub(crate) fn is_it(held: &OwnedFd, kind: &Kind) -> Result<bool, Trouble> {
    let raw = rustix::fs::fstat(held)?;
    let found = Stat::of(held)?;
    let device = |major, minor| raw.st_rdev == rustix::fs::makedev(major, minor);
    Ok(match (kind, found.kind) {
        (Kind::Symlink { target }, FileKind::Symlink) => {
            rustix::fs::readlinkat(held, c"", Vec::new())?.as_bytes() == target
        }
        (Kind::Fifo, FileKind::Fifo) => true,
        (Kind::CharDevice { major, minor }, FileKind::CharDevice)
        | (Kind::BlockDevice { major, minor }, FileKind::BlockDevice) => device(*major, *minor),
        _ => false,
    })
}

/// A descriptor of the name itself: a symlink is not followed, a device not opened.
pub(crate) fn hold(folder: &Dir, name: Name<'_>) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder.as_fd(), name, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn is_mine(folder: &Path, name: &str, kind: &Kind) -> bool {
        let folder = Dir::open_root(folder).unwrap();
        is_what_was_made(&hold(&folder, Name::new(name.as_bytes()).unwrap()).unwrap(), kind).unwrap()
    }

    #[test]
    fn what_somebody_else_put_in_the_place_of_a_name_is_told_apart() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Dir::open_root(scratch.path()).unwrap();
        let link = Kind::Symlink { target: b"target".to_vec() };
        let at = |name: &'static str| Name::literal(name);
        for name in ["link", "fifo", "twice"] {
            let kind = if name == "link" { &link } else { &Kind::Fifo };
            make(&folder, Name::new(name.as_bytes()).unwrap(), kind).unwrap();
        }
        assert!(is_mine(scratch.path(), "link", &link) && is_mine(scratch.path(), "fifo", &Kind::Fifo));
        // A second name of something that was there.
        let _ = folder.link(at("twice"), &folder, at("other name")).unwrap();
        assert!(!is_mine(scratch.path(), "twice", &Kind::Fifo));
        // Another link, another kind, a file of value.
        assert!(!is_mine(scratch.path(), "link", &Kind::Symlink { target: b"elsewhere".to_vec() }));
        assert!(!is_mine(scratch.path(), "link", &Kind::Fifo));
        std::fs::write(scratch.path().join("shadow"), "root").unwrap();
        assert!(!is_mine(scratch.path(), "shadow", &Kind::Fifo) && !is_mine(scratch.path(), "shadow", &link));
    }
}
