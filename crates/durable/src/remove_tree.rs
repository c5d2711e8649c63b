//! Removing a tree whose content somebody else chose.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, ResolveFlags, renameat_with, unlinkat};
use rustix::io::Errno;

use crate::open::FOLDER;
use crate::whole::unfinished_name;
use crate::{Dir, Error, FileKind, Name, Result, Step};

/// Folders held open at a time. A deeper folder is first moved up to the top of the tree, so that a tree of any depth
/// needs this many descriptors and no recursion.
const DEPTH_MAX: usize = 32;

/// Names read before they are removed; the folder is read again until it is empty.
const BATCH: usize = 1_024;

struct Level {
    dir: Dir,
    name: Vec<u8>,
    pending: Vec<(Vec<u8>, FileType)>,
}

impl Dir {
    /// Removes `name` and, if it is a folder, everything beneath it. Symbolic links are removed, never followed; a mount
    /// point beneath is refused; folders of one's own that are closed to their owner are opened first. Killed half-way,
    /// the next call removes the rest. Not on the disk before [`Dir::sync`].
    pub fn remove_tree(&self, name: Name<'_>) -> Result<()> {
        self.remove_tree_seen(name, &mut |_, _| Ok(()))
    }

    /// As [`Dir::remove_tree`], and shows each name below `name` to `before` ahead of its removal, a folder once it is empty: whoever wants to know
    /// what it frees, or not to remove too fast. An error of `before` ends it.
    pub fn remove_tree_seen(
        &self,
        name: Name<'_>,
        before: &mut dyn FnMut(&Dir, Name<'_>) -> Result<()>,
    ) -> Result<()> {
        match unlinkat(self.as_fd(), name, AtFlags::empty()) {
            Ok(()) => return Ok(()),
            Err(errno) if may_be_folder(errno) && self.stat(name)?.kind == FileKind::Folder => {}
            Err(errno) => return Err(Error::new(Step::Remove, name.as_bytes(), errno)),
        }
        let mut stack = vec![self.enter(name.as_bytes())?];
        while let Some(level) = stack.last_mut() {
            if let Some((child, kind)) = level.pending.pop() {
                if level.dir.remove_or_keep_folder(&child, kind, before)? {
                    continue;
                }
                if let Some(deeper) = descend(&stack, &child)? {
                    stack.push(deeper);
                }
            } else if !level.refill()?
                && let Some(done) = stack.pop()
            {
                let name = Name::new(&done.name)?;
                if let Some(Err(error)) = stack.last().map(|above| before(&above.dir, name))
                    && !error.is_not_found()
                {
                    return Err(error);
                }
                let parent = stack.last().map_or(self, |level| &level.dir);
                parent.remove_dir(name)?;
            }
        }
        Ok(())
    }

    /// Tells whether the child is gone; if not, it is a folder.
    fn remove_or_keep_folder(
        &self,
        child: &[u8],
        kind: FileType,
        before: &mut dyn FnMut(&Dir, Name<'_>) -> Result<()>,
    ) -> Result<bool> {
        if kind == FileType::Directory {
            return Ok(false);
        }
        match before(self, Name::new(child)?) {
            Err(error) if error.is_not_found() => return Ok(true),
            answer => answer?,
        }
        match unlinkat(self.as_fd(), child, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::ISDIR) => Ok(false),
            Err(errno) => Err(Error::new(Step::Remove, child, errno)),
        }
    }

    /// Moves a folder to a name in `top` that is free. Whoever made the tree may have taken some: each is tried once.
    fn move_up(&self, child: &[u8], top: &Dir) -> Result<()> {
        loop {
            let target = unfinished_name();
            match renameat_with(self, child, top, target.as_slice(), RenameFlags::NOREPLACE) {
                Err(Errno::EXIST) => {}
                answer => return answer.map_err(Error::at(Step::Remove, child)),
            }
        }
    }

    fn enter(&self, child: &[u8]) -> Result<Level> {
        let dir = self.open_even_if_closed(child).map_err(Error::at(Step::Remove, child))?;
        Ok(Level { dir, name: child.to_vec(), pending: Vec::new() })
    }

    /// Opens a folder of one's own so that it can be emptied, whatever its permissions.
    fn open_even_if_closed(&self, child: &[u8]) -> rustix::io::Result<Dir> {
        let open = |flags| self.open_at(child, flags, ResolveFlags::NO_XDEV, Mode::empty());
        let fd = match open(FOLDER) {
            Err(Errno::ACCESS) => {
                // Held by a descriptor that needs no permission, so that the name cannot be swapped in between.
                let held = Dir::holding(open(OFlags::PATH | OFlags::DIRECTORY)?);
                make_usable_through_proc(&held)?;
                open(FOLDER)?
            }
            answer => answer?,
        };
        let stat = rustix::fs::fstat(&fd)?;
        if stat.st_mode & 0o700 != 0o700 {
            // If this is refused, the removal itself will say so.
            let _ = rustix::fs::fchmod(&fd, Mode::RWXU);
        }
        Ok(Dir::holding(fd))
    }
}

/// Enters the child of the deepest level, or moves it up to the first level when too many are held already.
fn descend(stack: &[Level], child: &[u8]) -> Result<Option<Level>> {
    let (Some(top), Some(deepest)) = (stack.first(), stack.last()) else { return Ok(None) };
    match deepest.dir.enter(child) {
        Ok(level) if stack.len() < DEPTH_MAX => Ok(Some(level)),
        Ok(level) => {
            drop(level); // entered only to be made usable: moving a folder needs write permission on it
            deepest.dir.move_up(child, &top.dir).map(|()| None)
        }
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

impl Level {
    /// Reads the next names; tells whether there were any.
    fn refill(&mut self) -> Result<bool> {
        for entry in self.dir.stream()? {
            let entry = entry.map_err(Error::at(Step::List, &self.name))?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                self.pending.push((name.to_vec(), entry.file_type()));
            }
            if self.pending.len() >= BATCH {
                break;
            }
        }
        Ok(!self.pending.is_empty())
    }
}

/// What `unlink` answers for a folder: EISDIR on Linux, EPERM by POSIX; EACCES under a sandbox that tells files from
/// folders.
fn may_be_folder(errno: Errno) -> bool {
    matches!(errno, Errno::ISDIR | Errno::PERM | Errno::ACCESS)
}

/// `chmod` of a folder that may not be opened: only `/proc` can do it by descriptor on every kernel.
fn make_usable_through_proc(held: &Dir) -> rustix::io::Result<()> {
    use std::os::fd::AsRawFd;
    let path = format!("/proc/self/fd/{}", held.as_fd().as_raw_fd());
    rustix::fs::chmod(path, Mode::RWXU).map_err(|_| Errno::ACCESS)
}
