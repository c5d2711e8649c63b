//! The files of one snapshot.

use std::fs::File;

use durable::{Dir, FileKind, Name, Stat};
use formats::RelPath;

use crate::error::Result;

/// The folder that holds a snapshot's files. Every path is resolved beneath it, through no link: what a host called its files can lead
/// nowhere else.
#[derive(Debug)]
pub struct Tree {
    dir: Dir,
}

impl Tree {
    /// A tree whose folder is already held.
    #[must_use]
    pub fn new(dir: Dir) -> Self {
        Self { dir }
    }

    /// The folder itself.
    #[must_use]
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Opens a regular file for reading.
    pub fn open_file(&self, path: &RelPath) -> Result<File> {
        Ok(self.dir.open_read_beneath(path.as_bytes())?)
    }

    /// Opens a folder.
    pub fn open_folder(&self, path: &RelPath) -> Result<Dir> {
        Ok(self.dir.open_beneath(path.as_bytes())?)
    }

    /// What a symbolic link holds.
    pub fn read_link(&self, path: &RelPath) -> Result<Vec<u8>> {
        let name = Name::new(path.file_name())?;
        Ok(match path.parent() {
            Some(parent) => self.dir.open_beneath(parent)?.read_link(name)?,
            None => self.dir.read_link(name)?,
        })
    }

    /// The facts of a name: kind, size, inode. A symbolic link is not followed.
    pub fn stat(&self, path: &RelPath) -> Result<Stat> {
        let name = Name::new(path.file_name())?;
        Ok(match path.parent() {
            Some(parent) => self.dir.open_beneath(parent)?.stat(name)?,
            None => self.dir.stat(name)?,
        })
    }

    /// True if there is a regular file of this path.
    pub fn has_file(&self, path: &RelPath) -> Result<bool> {
        match self.stat(path) {
            Ok(stat) => Ok(stat.kind == FileKind::File),
            Err(crate::Error::Folder(error)) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
