//! Where the contents of one push lie until entries name them: files that are reached by hash and size, and only by both.
//!
//! All workers of a crew share it. A name that is there stays there, and always leads to the same bytes.

use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use durable::{Dir, Linked, Name};
use formats::ContentHash;
use formats::limits::BLOCK_BYTES;
use formats::session::Code;

use super::copy::copy;
use super::fault::Fault;
use super::sparse;

pub(crate) const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;
/// What takes a content's place.
const RENEWED: Name<'static> = Name::literal("renewed");
/// Folders by the first digit of the hash, so that none gets larger than a file system can bear.
const SHELVES: &[&[u8; 1]; 16] =
    &[b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9", b"a", b"b", b"c", b"d", b"e", b"f"];

/// A content, as entries name it: its hash, and its size, so that nobody can lie about one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Content {
    pub(crate) hash: ContentHash,
    pub(crate) size: u64,
}

/// The store of one push's contents.
#[derive(Debug)]
pub(crate) struct Shelves {
    dir: Dir,
    shelves: Vec<Dir>,
    new_bytes: AtomicU64,
    renewing: Mutex<()>,
    /// Memory for blocks, which is asked for once.
    buffers: Mutex<Vec<Vec<u8>>>,
}

impl Shelves {
    /// Puts them up in an empty folder.
    pub(crate) fn new(dir: Dir) -> Result<Self, Fault> {
        let shelves = SHELVES.iter().map(|digit| dir.make_dir(Name::new(*digit)?, FOLDER_MODE));
        let shelves = shelves.collect::<durable::Result<_>>()?;
        let (renewing, buffers) = (Mutex::new(()), Mutex::new(Vec::new()));
        Ok(Self { dir, shelves, new_bytes: AtomicU64::new(0), renewing, buffers })
    }

    /// The folder that they stand in.
    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Bytes of all different contents.
    pub(crate) fn new_bytes(&self) -> u64 {
        self.new_bytes.load(Ordering::Relaxed)
    }

    /// Puts down a content that is all here, if it is what it is called.
    pub(crate) fn write(&self, content: Content, data: &[u8]) -> Result<(), Fault> {
        if data.len() as u64 != content.size || ContentHash::of(data) != content.hash {
            return Err(Fault::Push(Code::ContentHash));
        }
        let (shelf, place) = self.place(content);
        let file = match shelf.create_new(Name::new(place.as_bytes())?, FILE_MODE) {
            Ok(file) => file,
            Err(error) if error.is_exists() => return Ok(()), // the push brings it twice
            Err(error) => return Err(error.into()),
        };
        write_whole(&file, data).map_err(Fault::stream("writing a content"))?;
        self.is_new(content);
        Ok(())
    }

    /// Puts down the file `name` of [`Shelves::dir`], which holds this content.
    pub(crate) fn put(&self, content: Content, name: Name<'_>) -> Result<(), Fault> {
        let (shelf, place) = self.place(content);
        match self.dir.link(name, shelf, Name::new(place.as_bytes())?) {
            Ok(_) => self.is_new(content),
            Err(error) if error.is_exists() => {} // the push brings it twice
            Err(error) => return Err(error.into()),
        }
        Ok(self.dir.unlink(name)?)
    }

    /// Gives this content a name in the new tree; tells if the push did not bring it.
    pub(crate) fn link(&self, content: Content, to: &Dir, name: Name<'_>) -> Result<Option<Linked>, Fault> {
        let (shelf, place) = self.place(content);
        match shelf.link(Name::new(place.as_bytes())?, to, name) {
            Ok(linked) => Ok(Some(linked)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens this content, to copy it.
    pub(crate) fn open(&self, content: Content) -> Result<File, Fault> {
        let (shelf, place) = self.place(content);
        Ok(shelf.open_read(Name::new(place.as_bytes())?)?)
    }

    /// Where the inode of this content has as many names as it can bear: a copy of `source`, which from now on stands for it.
    pub(crate) fn renew(
        &self,
        content: Content,
        source: &File,
        to: &Dir,
        name: Name<'_>,
    ) -> Result<(), Fault> {
        let _alone = self.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever came before has made one.
        if self.link(content, to, name)? == Some(Linked::Made) {
            return Ok(());
        }
        let target = to.create_new(name, FILE_MODE)?;
        if copy(source, &target).map_err(Fault::stream("copying a file"))? != content.hash {
            return Err(Fault::Base("a file of the base does not have its hash".to_owned()));
        }
        let (shelf, place) = self.place(content);
        let _ = to.link(name, &self.dir, RENEWED)?;
        // In one step: who does not find a content takes it for missing.
        Ok(self.dir.rename_over(RENEWED, shelf, Name::new(place.as_bytes())?)?)
    }

    /// An empty buffer.
    pub(crate) fn buffer(&self) -> Vec<u8> {
        let spare = self.buffers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.unwrap_or_else(|| Vec::with_capacity(BLOCK_BYTES))
    }

    /// Takes a buffer back.
    pub(crate) fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }

    fn is_new(&self, content: Content) {
        self.new_bytes.fetch_add(content.size, Ordering::Relaxed);
    }

    fn place(&self, content: Content) -> (&Dir, String) {
        let [first, ..] = content.hash.as_bytes();
        let shelf = self.shelves.get(usize::from(first >> 4)).unwrap_or(&self.dir);
        (shelf, format!("{}-{:x}", content.hash, content.size))
    }
}

fn write_whole(file: &File, data: &[u8]) -> std::io::Result<()> {
    let written = sparse::write_at(file, data, 0)?;
    if written < data.len() as u64 {
        file.set_len(data.len() as u64)?;
    }
    Ok(())
}
