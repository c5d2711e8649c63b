//! Symlinks, fifos and devices: made as new names, then held by a descriptor that opens nothing, so that their metadata is set on them and
//! never on what they point to.

use std::os::fd::{AsFd, OwnedFd};

use durable::{Dir, Name};
use formats::{Kind, Node, RelPath};
use rustix::fs::{FileType, Mode, OFlags};

use super::meta::Handle;
use super::{Place, Trouble, expect};
use crate::image::Kind as SeenKind;

impl Place<'_> {
    pub(super) fn special(
        &mut self,
        path: &RelPath,
        node: &Node,
        seen: Option<&SeenKind>,
    ) -> Result<(), Trouble> {
        let folder = self.ground.folder_of(path)?;
        let name = Name::new(path.file_name())?;
        make(&folder, name, &node.kind)?;
        let held = hold(&folder, name)?;
        let handle = Handle::Named { folder: &folder, name, held: held.as_fd() };
        self.settle(path, &handle, &node.meta)?;
        match &node.kind {
            Kind::Symlink { .. } => self.counts.symlinks += 1,
            _ => self.counts.specials += 1,
        }
        expect(&node.kind, seen)
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

/// A descriptor of the name itself: a symlink is not followed, a device not opened.
fn hold(folder: &Dir, name: Name<'_>) -> Result<OwnedFd, Trouble> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder.as_fd(), name, flags, Mode::empty())
        .map_err(|errno| Trouble::of("holding it", errno))
}
