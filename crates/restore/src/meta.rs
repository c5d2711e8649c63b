//! Owner, attributes, mode and time, in the one order in which the kernel lets them stand: a change of owner clears set-id bits and capabilities,
//! and a file that one may not write takes no attributes.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use cli::shown;
use durable::{Dir, FileKind, Name, Stat};
use formats::{Attribute, Meta, Node, RelPath, Tag};
use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::Errno;

use crate::{Place, Powers, Trouble};

/// Set after the owner and the mode, which would clear it.
const CAPABILITY: &[u8] = b"security.capability";
/// The set-user-id and set-group-id bits: with another owner they would lend the wrong power.
const SET_ID: u32 = 0o6000;

/// What the metadata is set on.
pub(crate) enum Handle<'a> {
    /// A file or folder, open.
    Open(BorrowedFd<'a>),
    /// Anything else: `held` is the thing itself, not opened.
    Named { folder: &'a Dir, name: Name<'a>, held: BorrowedFd<'a> },
}

impl Place<'_> {
    /// Sets everything that can be set, and names what cannot.
    pub(crate) fn settle(&mut self, path: &RelPath, handle: &Handle<'_>, node: &Node) -> Result<(), Trouble> {
        let mut left = Vec::new();
        if let Owned::No = handle.settle(node, self.powers, &mut left)? {
            self.owners += 1;
        }
        for why in left {
            self.run.leave_out(path.as_bytes(), &why);
        }
        Ok(())
    }
}

impl Handle<'_> {
    /// Sets everything that can be set; what cannot is added to `left`. Says whether the owner is right.
    pub(crate) fn settle(
        &self,
        node: &Node,
        powers: Powers,
        left: &mut Vec<String>,
    ) -> Result<Owned, Trouble> {
        let meta = &node.meta;
        powers.withheld(meta, &node.kind, left);
        let owned = self.own(meta)?;
        let mut mode = powers.mode(meta, &node.kind);
        if owned == Owned::No && mode & SET_ID != 0 {
            left.push("its set-id bits were left off, as its owner is another".to_owned());
            mode &= !SET_ID;
        }
        let extended = || {
            let attributes = meta.attributes.iter().filter(|attribute| attribute.tag == Tag::Extended);
            attributes.filter(|attribute| powers.allow(attribute))
        };
        for attribute in extended().filter(|attribute| attribute.name != CAPABILITY) {
            self.attribute(attribute, left)?;
        }
        leave(self.mode(mode), left)?;
        for attribute in extended().filter(|attribute| attribute.name == CAPABILITY) {
            self.attribute(attribute, left)?;
        }
        leave(self.time(meta), left)?;
        self.check(mode, meta, left)?;
        Ok(owned)
    }
}

/// What this file system cannot have is named; the content stays, which is worth more.
fn leave(set: Result<(), Trouble>, left: &mut Vec<String>) -> Result<(), Trouble> {
    match set {
        Err(Trouble::LeftOut(why)) => left.push(why),
        set => set?,
    }
    Ok(())
}

/// Whether owner and group are those of the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owned {
    Yes,
    No,
}

impl Handle<'_> {
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Handle::Open(fd) => *fd,
            Handle::Named { held, .. } => *held,
        }
    }

    /// A path that leads to the held thing itself, and through nothing that has a name.
    fn proc_path(&self) -> String {
        format!("/proc/self/fd/{}", self.fd().as_raw_fd())
    }

    fn stat(&self) -> Result<Stat, Trouble> {
        Ok(Stat::of(self.fd())?)
    }

    fn own(&self, meta: &Meta) -> Result<Owned, Trouble> {
        let is_right = |stat: &Stat| stat.owner == meta.owner && stat.group == meta.group;
        if is_right(&self.stat()?) {
            return Ok(Owned::Yes);
        }
        let (owner, group) = (Uid::from_raw(meta.owner), Gid::from_raw(meta.group));
        let chown = |owner| rustix::fs::chownat(self.fd(), c"", owner, Some(group), AtFlags::EMPTY_PATH);
        // Whoever is not root may still be in the group.
        match chown(Some(owner)).or_else(|_| chown(None)) {
            Ok(()) if is_right(&self.stat()?) => Ok(Owned::Yes),
            Ok(()) => Ok(Owned::No),
            Err(errno) => match Trouble::of("setting its owner", errno) {
                Trouble::LeftOut(_) => Ok(Owned::No),
                trouble => Err(trouble),
            },
        }
    }

    fn attribute(&self, attribute: &Attribute, left: &mut Vec<String>) -> Result<(), Trouble> {
        let (name, value) = (attribute.name.as_slice(), attribute.value.as_slice());
        let set = match self {
            Handle::Open(fd) => rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty()),
            Handle::Named { .. } => rustix::fs::setxattr(self.proc_path(), name, value, XattrFlags::empty()),
        };
        match set.map_err(|errno| Trouble::of("setting an extended attribute", errno)) {
            Err(Trouble::LeftOut(why)) => left.push(format!("{} ({why})", shown(name))),
            other => other?,
        }
        Ok(())
    }

    fn mode(&self, mode: u32) -> Result<(), Trouble> {
        let mode = Mode::from_raw_mode(mode);
        let set = match self {
            Handle::Open(fd) => rustix::fs::fchmod(fd, mode),
            Handle::Named { .. } if self.stat()?.kind == FileKind::Symlink => Ok(()),
            Handle::Named { .. } => rustix::fs::chmod(self.proc_path(), mode),
        };
        set.map_err(|errno| Trouble::of("setting its mode", errno))
    }

    fn time(&self, meta: &Meta) -> Result<(), Trouble> {
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: meta.mtime.seconds, tv_nsec: meta.mtime.nanos.into() },
        };
        let set = match self {
            Handle::Open(fd) => rustix::fs::futimens(fd, &times),
            Handle::Named { folder, name, held } => {
                match rustix::fs::utimensat(held, c"", &times, AtFlags::EMPTY_PATH) {
                    // Linux before 5.8.
                    Err(Errno::INVAL) => {
                        rustix::fs::utimensat(folder.as_fd(), *name, &times, AtFlags::SYMLINK_NOFOLLOW)
                    }
                    set => set,
                }
            }
        };
        set.map_err(|errno| Trouble::of("setting its time", errno))
    }

    /// File systems cut times and drop bits without a word.
    fn check(&self, mode: u32, meta: &Meta, left: &mut Vec<String>) -> Result<(), Trouble> {
        let stat = self.stat()?;
        if stat.kind != FileKind::Symlink && stat.mode != mode {
            left.push(format!("its mode is {:04o}, and should be {mode:04o}", stat.mode));
        }
        if (stat.mtime_seconds, stat.mtime_nanos) != (meta.mtime.seconds, meta.mtime.nanos) {
            left.push("this file system cannot hold its time".to_owned());
        }
        Ok(())
    }
}
