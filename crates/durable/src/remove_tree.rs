//! Removing a tree whose content somebody else chose.

use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RawDir, RenameFlags, ResolveFlags, SeekFrom, renameat_with, seek,
    unlinkat,
};
use rustix::io::Errno;

use crate::open::FOLDER;
use crate::whole::unfinished_name;
use crate::{Dir, Error, FileKind, Name, Result, Step};

/// Folders held open at a time. A deeper folder is first moved up to the top of the tree, so that a tree of any depth
/// needs this many descriptors and no recursion.
const DEPTH_MAX: usize = 32;

/// Names read before they are removed, in bytes as the kernel lists them; the folder is read on until it is empty.
const BATCH_BYTES: usize = 32 * 1_024;

struct Level {
    dir: Dir,
    name: Vec<u8>,
    pending: Vec<Child>,
}

struct Child {
    name: Vec<u8>,
    inode: u64,
    kind: FileType,
}

/// What sees each name before it goes: the folder, the name in it, and the inode's number as the folder has it; none if it is a folder that was
/// emptied.
type Before<'a> = &'a mut dyn FnMut(&Dir, Name<'_>, Option<u64>) -> Result<()>;

impl Dir {
    /// Removes `name` and, if it is a folder, everything beneath it. Symbolic links are removed, never followed; a mount
    /// point beneath is refused; folders of one's own that are closed to their owner are opened first. Killed half-way,
    /// the next call removes the rest. Not on the disk before [`Dir::sync`].
    pub fn remove_tree(&self, name: Name<'_>) -> Result<()> {
        self.remove_tree_seen(name, &mut |_, _, _| Ok(()))
    }

    /// As [`Dir::remove_tree`], and shows each name below `name` to `before` ahead of its removal, with the number of its inode; a folder, without
    /// one, once all that was in it is gone: whoever wants to know what it frees, or not to remove too fast. An error of `before` ends it.
    pub fn remove_tree_seen(&self, name: Name<'_>, before: Before<'_>) -> Result<()> {
        match unlinkat(self.as_fd(), name, AtFlags::empty()) {
            Ok(()) => return Ok(()),
            Err(errno) if may_be_folder(errno) && self.stat(name)?.kind == FileKind::Folder => {}
            Err(errno) => return Err(Error::new(Step::Remove, name.as_bytes(), errno)),
        }
        let mut buffer = vec![MaybeUninit::uninit(); BATCH_BYTES];
        let mut stack = vec![self.enter(name.as_bytes())?];
        while let Some(level) = stack.last_mut() {
            if let Some(child) = level.pending.pop() {
                if level.dir.remove_or_keep_folder(&child, before)? {
                    continue;
                }
                if let Some(deeper) = descend(&stack, &child)? {
                    stack.push(deeper);
                }
            } else if !level.refill(&mut buffer)?
                && let Some(done) = stack.pop()
                && let Some(again) = self.leave(&stack, done, before)?
            {
                stack.push(again);
            }
        }
        Ok(())
    }

    /// Removes a folder that was read to its end. If it is not empty it comes back, to be read from its start.
    fn leave(&self, above: &[Level], done: Level, before: Before<'_>) -> Result<Option<Level>> {
        let name = Name::new(&done.name)?;
        above.last().map_or(Ok(()), |level| before(&level.dir, name, None))?;
        let parent = above.last().map_or(self, |level| &level.dir);
        match unlinkat(parent.as_fd(), name, AtFlags::REMOVEDIR) {
            Ok(()) => Ok(None),
            Err(Errno::NOTEMPTY) => {
                seek(done.dir.as_fd(), SeekFrom::Start(0)).map_err(Error::at(Step::List, &done.name))?;
                Ok(Some(done))
            }
            Err(errno) => Err(Error::new(Step::Remove, name.as_bytes(), errno)),
        }
    }

    /// Tells whether the child is gone; if not, it is a folder.
    fn remove_or_keep_folder(&self, child: &Child, before: Before<'_>) -> Result<bool> {
        if child.kind == FileType::Directory {
            return Ok(false);
        }
        match before(self, Name::new(&child.name)?, Some(child.inode)) {
            Err(error) if error.is_not_found() => return Ok(true),
            shown => shown?,
        }
        match unlinkat(self.as_fd(), child.name.as_slice(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::ISDIR) => Ok(false),
            Err(errno) => Err(Error::new(Step::Remove, &child.name, errno)),
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

    fn enter(&self, name: &[u8]) -> Result<Level> {
        let dir = self.open_even_if_closed(name).map_err(Error::at(Step::Remove, name))?;
        Ok(Level { dir, name: name.to_vec(), pending: Vec::new() })
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
fn descend(stack: &[Level], child: &Child) -> Result<Option<Level>> {
    let (Some(top), Some(deepest)) = (stack.first(), stack.last()) else { return Ok(None) };
    match deepest.dir.enter(&child.name) {
        Ok(level) if stack.len() < DEPTH_MAX => Ok(Some(level)),
        Ok(level) => {
            drop(level); // entered only to be made usable: moving a folder needs write permission on it
            deepest.dir.move_up(&child.name, &top.dir).map(|()| None)
        }
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

impl Level {
    /// Reads the next names; tells whether there were any.
    fn refill(&mut self, buffer: &mut [MaybeUninit<u8>]) -> Result<bool> {
        let mut names = RawDir::new(self.dir.as_fd(), buffer);
        while let Some(entry) = names.next() {
            let entry = entry.map_err(Error::at(Step::List, &self.name))?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                let (name, inode, kind) = (name.to_vec(), entry.ino(), entry.file_type());
                self.pending.push(Child { name, inode, kind });
            }
            if names.is_buffer_empty() && !self.pending.is_empty() {
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
