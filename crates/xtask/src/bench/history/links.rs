//! The floor of a snapshot: nothing but its folders and links.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{AtFlags, Mode, OFlags, linkat, mkdirat, openat};

use crate::trouble::{Result, Trouble};

const THREADS: usize = 2;

/// The names of a tree, in memory: what a thread takes at a time is one of the topmost folders.
pub(super) struct Names {
    tree: PathBuf,
    parts: Vec<Vec<Folder>>,
}

/// A folder, after the one it lies in.
struct Folder {
    path: PathBuf,
    files: Vec<Vec<u8>>,
}

impl Names {
    pub(super) fn of(tree: &Path) -> Result<Names> {
        let mut parts = vec![Vec::new()];
        // What leads to where it first branches is made before, by nobody's clock of consequence: a few folders.
        let (mut top, mut chain) = (tree.to_owned(), Vec::new());
        loop {
            let entries: Vec<_> = fs::read_dir(&top)?.collect::<std::io::Result<_>>()?;
            match entries.as_slice() {
                [one] if one.file_type()?.is_dir() => {
                    chain.push(one.path());
                    top = one.path();
                }
                several => {
                    for entry in several {
                        let mut part = Vec::new();
                        if entry.file_type()?.is_dir() {
                            collect(tree, &entry.path(), &mut part)?;
                        }
                        parts.push(part);
                    }
                    break;
                }
            }
        }
        let above = chain.iter().map(|path| Ok(Folder { path: beneath(tree, path)?, files: Vec::new() }));
        if let Some(first) = parts.first_mut() {
            *first = above.collect::<Result<_>>()?;
        }
        Ok(Names { tree: tree.to_owned(), parts })
    }

    /// Makes them all in this empty folder.
    pub(super) fn link(&self, copy: &Path) -> Result<()> {
        let (from, to) = (open(&self.tree)?, open(copy)?);
        let mut parts = self.parts.iter();
        if let Some(above) = parts.next() {
            above.iter().try_for_each(|folder| folder.link(&from, &to))?;
        }
        let (parts, next) = (parts.collect::<Vec<_>>(), AtomicUsize::new(0));
        let work = || -> Result<()> {
            while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                part.iter().try_for_each(|folder| folder.link(&from, &to))?;
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| {
                worker.join().map_err(|_| Trouble::new("a thread that links ended in panic"))?
            })
        })
    }
}

impl Folder {
    fn link(&self, from: &File, to: &File) -> Result<()> {
        mkdirat(to, &self.path, Mode::from_raw_mode(0o750))?;
        let (old, new) = (beneath_of(from, &self.path)?, beneath_of(to, &self.path)?);
        for name in &self.files {
            linkat(&old, name.as_slice(), &new, name.as_slice(), AtFlags::empty())?;
        }
        Ok(())
    }
}

fn beneath_of(top: &File, path: &Path) -> Result<OwnedFd> {
    Ok(openat(top, path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

fn open(folder: &Path) -> Result<File> {
    Ok(fs::OpenOptions::new().read(true).custom_flags(OFlags::DIRECTORY.bits().cast_signed()).open(folder)?)
}

fn beneath(tree: &Path, path: &Path) -> Result<PathBuf> {
    Ok(path.strip_prefix(tree)?.to_owned())
}

fn collect(tree: &Path, folder: &Path, into: &mut Vec<Folder>) -> Result<()> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        } else {
            files.push(entry.file_name().into_encoded_bytes());
        }
    }
    into.push(Folder { path: beneath(tree, folder)?, files });
    folders.iter().try_for_each(|folder| collect(tree, folder, into))
}
