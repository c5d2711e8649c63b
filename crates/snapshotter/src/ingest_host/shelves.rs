//! Where the contents of one push lie until entries name them: files that are reached by hash and size, and only by both.
//!
//! All workers of a crew share it. A name that is there stays there, and always leads to the same bytes.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use durable::{Dir, Linked, Name};
use formats::ContentHash;
use formats::limits::BLOCK_BYTES;
use formats::session::Code;

use super::copy::copy;
use super::fault::{Fault, Here};
use super::room::Room;
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
    budget_bytes: u64,
    new_bytes: AtomicU64,
    copies: AtomicU64,
    renewing: Mutex<()>,
    /// Memory for blocks, which is asked for once.
    buffers: Mutex<Vec<Vec<u8>>>,
}

impl Shelves {
    /// Puts them up in an empty folder, for so many bytes of different contents and copies.
    pub(crate) fn new(dir: Dir, budget_bytes: u64) -> Result<Self, Fault> {
        let shelves = SHELVES.iter().map(|digit| dir.make_dir(Name::new(*digit)?, FOLDER_MODE));
        Ok(Self::of(shelves.collect::<durable::Result<_>>()?, dir, budget_bytes))
    }

    /// Those that stand in this folder, for looking at.
    pub(crate) fn reopen(dir: Dir) -> Result<Self, Fault> {
        let shelves = SHELVES.iter().map(|digit| dir.open_dir(Name::new(*digit)?));
        Ok(Self::of(shelves.collect::<durable::Result<_>>()?, dir, 0))
    }

    fn of(shelves: Vec<Dir>, dir: Dir, budget_bytes: u64) -> Self {
        let (renewing, buffers) = (Mutex::new(()), Mutex::new(Vec::new()));
        let (new_bytes, copies) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { dir, shelves, budget_bytes, new_bytes, copies, renewing, buffers }
    }

    /// The folder that they stand in.
    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Bytes of all different contents, and of the copies that were made of contents with more names than an inode can bear.
    pub(crate) fn new_bytes(&self) -> u64 {
        self.new_bytes.load(Ordering::Relaxed)
    }

    /// How many such copies were made.
    pub(crate) fn copies(&self) -> u64 {
        self.copies.load(Ordering::Relaxed)
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

    /// Where an inode of this content has as many names as it can bear: a name of another one, which is made if need be, of what this push brought or
    /// else of what is `lent`. From then on it stands for the content.
    pub(crate) fn link_another(
        &self,
        content: Content,
        lent: impl FnOnce() -> Result<File, Fault>,
        to: &Dir,
        name: Name<'_>,
        room: &Room<'_>,
    ) -> Result<(), Fault> {
        if self.link(content, to, name)? == Some(Linked::Made) {
            return Ok(());
        }
        let _alone = self.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        let (source, wrong) = match self.link(content, to, name)? {
            // Whoever came before has made one.
            Some(Linked::Made) => return Ok(()),
            Some(Linked::Full) => (self.open(content)?, reads_back_wrong()),
            None => (lent()?, Fault::Base("a file of the base does not have its hash".to_owned())),
        };
        self.charge_copy(content)?;
        let target = to.create_new(name, FILE_MODE)?;
        if copy(&source, content.size, &target, room)? != content.hash {
            return Err(wrong);
        }
        let (shelf, place) = self.place(content);
        let _ = to.link(name, &self.dir, RENEWED)?;
        // In one step: who does not find a content takes it for missing. Of what lies here nothing has to outlive a power cut.
        Ok(self.dir.rename_over_later(RENEWED, shelf, Name::new(place.as_bytes())?)?)
    }

    /// Opens this content, to copy it.
    pub(crate) fn open(&self, content: Content) -> Result<File, Fault> {
        let (shelf, place) = self.place(content);
        Ok(shelf.open_read(Name::new(place.as_bytes())?)?)
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

    /// A short entry can stand for a copy of a long content: copies must fit into what this push may bring.
    fn charge_copy(&self, content: Content) -> Result<(), Fault> {
        let others_bytes = self.new_bytes.fetch_add(content.size, Ordering::Relaxed);
        if others_bytes.saturating_add(content.size) > self.budget_bytes {
            return Err(Fault::Push(Code::OverBudget));
        }
        self.copies.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Where this content lies, if it was brought.
    pub(crate) fn place(&self, content: Content) -> (&Dir, String) {
        let [first, ..] = content.hash.as_bytes();
        let shelf = self.shelves.get(usize::from(first >> 4)).unwrap_or(&self.dir);
        (shelf, format!("{}-{:x}", content.hash, content.size))
    }
}

/// What this very ingest has written is nobody else's fault.
fn reads_back_wrong() -> Fault {
    let error = io::Error::other("it does not have its hash");
    Fault::Here(Here::Stream("reading a content that was just written", error))
}

fn write_whole(file: &File, data: &[u8]) -> io::Result<()> {
    let written = sparse::write_at(file, data, 0)?;
    if written < data.len() as u64 {
        file.set_len(data.len() as u64)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: Name<'static> = Name::literal("name");
    const LENT: Name<'static> = Name::literal("lent");

    fn lent(dir: &Dir, data: &[u8]) -> Result<File, Fault> {
        write_whole(&dir.create_new(LENT, FILE_MODE).unwrap(), data).unwrap();
        Ok(dir.open_read(LENT).unwrap())
    }

    fn content(data: &[u8]) -> Content {
        Content { hash: ContentHash::of(data), size: data.len() as u64 }
    }

    /// What this answers for a file of these bytes that nobody brought, and what is charged for it.
    fn borrowed(
        data: &[u8],
        wanted: Content,
        budget_bytes: u64,
        is_full: IsFull,
    ) -> (Result<(), Fault>, u64) {
        let scratch = tempfile::tempdir().unwrap();
        let dir = Dir::open_root(scratch.path()).unwrap();
        let shelves =
            Shelves::new(dir.make_dir(Name::literal("shelves"), 0o750).unwrap(), budget_bytes).unwrap();
        let room = Room::new(&dir, 0).unwrap();
        if is_full == IsFull::Soon {
            // More than any disk has.
            room.promise(u64::MAX / 2).unwrap_err();
        }
        let answer = shelves.link_another(wanted, || lent(&dir, data), &dir, NAME, &room);
        (answer, shelves.new_bytes())
    }

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum IsFull {
        Never,
        Soon,
    }

    #[test]
    fn a_copy_is_charged_and_checked_and_needs_room() {
        let data = vec![7; 20 << 20];
        let length = data.len() as u64;
        let wanted = content(&data);
        let good = borrowed(&data, wanted, length, IsFull::Never);
        assert!(matches!(good, (Ok(()), new_bytes) if new_bytes == length), "{good:?}");
        let over = borrowed(&data, wanted, length - 1, IsFull::Never);
        assert!(matches!(over, (Err(Fault::Push(Code::OverBudget)), _)), "{over:?}");
        let full = borrowed(&data, wanted, length, IsFull::Soon);
        assert!(matches!(full, (Err(Fault::Here(Here::NoRoom)), _)), "{full:?}");
        for wrong in [&data[1..], &[7; 5]] {
            let damaged = borrowed(wrong, wanted, length, IsFull::Never);
            assert!(matches!(damaged, (Err(Fault::Base(_)), _)), "{damaged:?}");
        }
    }

    /// Neither the push nor its base is to blame for a disk that does not keep what it is given.
    #[test]
    fn a_content_just_written_that_reads_back_wrong_is_this_sides_fault() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = Dir::open_root(scratch.path()).unwrap();
        let shelves = Shelves::new(dir.make_dir(Name::literal("shelves"), 0o750).unwrap(), 100).unwrap();
        let room = Room::new(&dir, 0).unwrap();
        let wanted = content(b"right");
        shelves.write(wanted, b"right").unwrap();
        let names = dir.make_dir(Name::literal("names"), 0o750).unwrap();
        let full = (0..70_000).any(|n: u32| {
            let name = n.to_string();
            shelves.link(wanted, &names, Name::new(name.as_bytes()).unwrap()).unwrap() == Some(Linked::Full)
        });
        if !full {
            println!("SKIPPED: a_content_just_written_that_reads_back_wrong_is_this_sides_fault: no ceiling");
            return;
        }
        std::fs::write(scratch.path().join("names/0"), b"wrong").unwrap();
        let lent = || Err(Fault::Push(Code::MissingContent));
        let answer = shelves.link_another(wanted, lent, &dir, NAME, &room);
        assert!(matches!(answer, Err(Fault::Here(Here::Stream(..)))), "{answer:?}");
    }
}
