//! A file that has its old content or its new content, at every instant.

use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sync::sync_file;
use crate::{Dir, Error, Name, Result, Step};

/// What the name of a file that is still being written starts with.
const UNFINISHED: &[u8] = b".unfinished-";

/// Names left by a process of the same number that died are skipped, up to this many.
const ATTEMPTS_MAX: u32 = 1_000;

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// A file that is being written, and has no name to anybody until it is whole. Dropped before, it is gone.
#[derive(Debug)]
pub struct Unfinished<'a> {
    dir: &'a Dir,
    name: Vec<u8>,
    file: File,
}

impl Unfinished<'_> {
    /// The file, open for reading and writing.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives it this name, once it is on the disk; what was there is replaced. The same promise as [`Dir::write_whole`].
    pub fn place(self, name: Name<'_>) -> Result<()> {
        sync_file(&self.file, name)?;
        // Dropping it then finds nothing under its old name.
        self.dir.rename_over(Name::new(&self.name)?, self.dir, name)
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        // Best effort, as after a failed write: a name left here is skipped and later removed.
        let _ = Name::new(&self.name).and_then(|name| self.dir.unlink(name));
    }
}

/// The name is one under which [`Dir::write_whole`] was still writing. Whoever lists a folder passes over it; whoever
/// holds the folder's lock may remove it ([`Dir::remove_unfinished`]).
#[must_use]
pub fn is_unfinished(name: &[u8]) -> bool {
    name.starts_with(UNFINISHED)
}

impl Dir {
    /// Writes a file so that its name has the old content or all of the new, whenever the power goes: a new file beside
    /// it is written, brought to the disk, renamed over the name, and the folder brought to the disk. `mode` is subject
    /// to the umask. After an error the old content is there, or (if only the last step failed) the new.
    pub fn write_whole(&self, name: Name<'_>, bytes: &[u8], mode: u32) -> Result<()> {
        let (temporary, file) = self.create_unfinished(mode)?;
        let temporary = Name::new(&temporary)?;
        let placed = fill(file, bytes, name).and_then(|()| self.rename_over(temporary, self, name));
        if placed.is_err() {
            // Best effort: the first error is the one to tell; a name left here is skipped and later removed.
            let _ = self.unlink(temporary);
        }
        placed
    }

    /// Begins a file that is too long for [`Dir::write_whole`], or that nobody else is to see. `mode` is subject to the umask.
    pub fn begin_whole(&self, mode: u32) -> Result<Unfinished<'_>> {
        let (name, file) = self.create_unfinished(mode)?;
        Ok(Unfinished { dir: self, name, file })
    }

    /// Removes what a dead process left unfinished, and tells how many. Only for whoever holds the lock of this folder:
    /// a living writer's file would be taken from under it.
    pub fn remove_unfinished(&self) -> Result<usize> {
        let mut removed = 0;
        for name in self.names()?.iter().filter(|name| is_unfinished(name)) {
            self.remove_tree(Name::new(name)?)?;
            removed += 1;
        }
        Ok(removed)
    }

    fn create_unfinished(&self, mode: u32) -> Result<(Vec<u8>, File)> {
        let mut attempts = 0;
        loop {
            let name = unfinished_name();
            match self.create_new(Name::new(&name)?, mode) {
                Ok(file) => return Ok((name, file)),
                Err(error) if error.is_exists() && attempts < ATTEMPTS_MAX => attempts += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

/// Unlike any name another living process uses; `create_new` finds out about the dead.
pub(crate) fn unfinished_name() -> Vec<u8> {
    let mut name = UNFINISHED.to_vec();
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    name.extend_from_slice(format!("{}-{count}", std::process::id()).as_bytes());
    name
}

fn fill(mut file: File, bytes: &[u8], name: Name<'_>) -> Result<()> {
    file.write_all(bytes).map_err(Error::at(Step::Write, name.as_bytes()))?;
    sync_file(&file, name)
}
