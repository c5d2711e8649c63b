//! Inode flags, last of all: what is immutable or append-only takes nothing more.

use std::os::fd::{AsFd, BorrowedFd};

use cli::Failed;
use durable::Name;
use formats::flags::{FIXED, KEPT};
use formats::{Body, Flags, Kind, Node, RelPath};
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

use crate::{Place, Source, Trouble};

impl Place<'_> {
    /// Walks the manifest once more, and names the flags that this machine or file system does not take.
    pub(crate) fn settle_flags(&mut self, source: &dyn Source) -> Result<(), Failed> {
        for entry in source.entries()? {
            let entry = entry?;
            let node = match &entry.body {
                Body::Node(node) => Some(node),
                // Set twice where it is one inode, once where its hard link was split.
                Body::Link(first) => self.leaders.node(first),
            };
            let Some((flags, is_folder)) = node.and_then(flagged) else { continue };
            if !self.selection.holds(&entry.path) {
                continue;
            }
            let outcome = self.set_flags(&entry.path, flags, is_folder);
            self.note(&entry.path, outcome)?;
        }
        Ok(())
    }

    fn set_flags(&mut self, path: &RelPath, flags: Flags, is_folder: IsFolder) -> Result<(), Trouble> {
        let left = match is_folder {
            IsFolder::Yes => set(self.ground.folder(path)?.as_fd(), flags),
            IsFolder::No => {
                let file = self.ground.folder_of(path)?.open_read(Name::new(path.file_name())?)?;
                set(file.as_fd(), flags)
            }
        };
        match left {
            None => Ok(()),
            Some(left) => Err(Trouble::LeftOut(refused(left))),
        }
    }
}

/// Says which flags were not taken.
pub(crate) fn refused(flags: Flags) -> String {
    format!("inode flags that this account or file system does not take: {}", flags.letters())
}

enum IsFolder {
    Yes,
    No,
}

fn flagged(node: &Node) -> Option<(Flags, IsFolder)> {
    let is_folder = if node.kind == Kind::Folder { IsFolder::Yes } else { IsFolder::No };
    node.meta.flags().map(|flags| (flags, is_folder))
}

/// Sets them together, or, where that is refused, each that is taken, those that fix the inode last. Returns what does not stand then.
pub(crate) fn set(file: BorrowedFd<'_>, flags: Flags) -> Option<Flags> {
    let Ok(before) = ioctl_getflags(file) else { return Some(flags) };
    if ioctl_setflags(file, before | IFlags::from_bits_retain(flags.bits())).is_err() {
        let (fixed, loose): (Vec<u32>, Vec<u32>) = KEPT
            .iter()
            .map(|(_, bit)| *bit)
            .filter(|bit| flags.bits() & bit != 0)
            .partition(|bit| FIXED & bit != 0);
        for bit in loose.into_iter().chain(fixed) {
            // What stands in the end is asked below.
            let now = ioctl_getflags(file).unwrap_or(before);
            let _ = ioctl_setflags(file, now | IFlags::from_bits_retain(bit));
        }
    }
    // Some file systems take a flag without a word, and do not keep it.
    let now = ioctl_getflags(file).map_or(0, |now| now.bits());
    Flags::kept_of(flags.bits() & !now)
}
