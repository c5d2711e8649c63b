//! Inode flags, last of all: what is immutable or append-only takes nothing more.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use cli::Failed;
use durable::{Name, Stat};
use formats::flags::{FIXED, KEPT};
use formats::{Body, Entry, Flags, Kind, Node, RelPath};
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

use crate::{Place, Source, Trouble};

impl Place<'_> {
    /// The flags of an entry. Set twice where it is one inode, once where its hard link was split.
    pub(crate) fn flags_of(&self, entry: &Entry) -> Option<(Flags, IsFolder)> {
        match &entry.body {
            Body::Node(node) => flagged(node),
            Body::Link(first) => self.leaders.node(first).and_then(flagged),
        }
    }

    /// Walks the manifest once more, and names the flags that this machine or file system does not take. By now folders belong to their owners, who
    /// may have put other things in the place of what was made: only the very inodes that were made get flags.
    pub(crate) fn settle_flags(&mut self, source: &dyn Source) -> Result<(), Failed> {
        let mut made = std::mem::take(&mut self.flagged).into_iter();
        for entry in source.entries()? {
            let entry = entry?;
            if !self.selection.holds(&entry.path) {
                continue;
            }
            let Some((flags, is_folder)) = self.flags_of(&entry) else { continue };
            // What could not be made is named already.
            if let Some(inode) = made.next().flatten() {
                let outcome = self.set_flags(&entry.path, inode, flags, is_folder);
                self.note(&entry.path, outcome)?;
            }
        }
        Ok(())
    }

    fn set_flags(
        &mut self,
        path: &RelPath,
        inode: u64,
        flags: Flags,
        is_folder: IsFolder,
    ) -> Result<(), Trouble> {
        let held: OwnedFd = match is_folder {
            IsFolder::Yes => self.ground.folder(path)?.as_fd().try_clone_to_owned().map_err(lost)?,
            IsFolder::No => self.ground.folder_of(path)?.open_read(Name::new(path.file_name())?)?.into(),
        };
        if Stat::of(&held)?.inode != inode {
            return Err(Trouble::meddled());
        }
        match set(held.as_fd(), flags) {
            None => Ok(()),
            Some(left) => Err(Trouble::LeftOut(refused(left))),
        }
    }
}

fn lost(error: std::io::Error) -> Trouble {
    Trouble::of("holding it", error)
}

/// Says which flags were not taken.
pub(crate) fn refused(flags: Flags) -> String {
    format!("inode flags that this account or file system does not take: {}", flags.letters())
}

pub(crate) enum IsFolder {
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
