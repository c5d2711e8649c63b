//! The contents of one push, on their way into the history: hashed as they are written, and reachable by hash and size only once they have
//! both.

use std::fs::File;
use std::os::unix::fs::FileExt;

use durable::{Dir, Linked, Name};
use formats::cursor::Cursor;
use formats::published::Limits;
use formats::push::Record;
use formats::session::Code;
use formats::{ContentHash, RelPath};

use super::fault::Fault;
use super::room::Room;
use super::source::Source;
use super::sparse;

/// A content whose end has not come yet.
const OPEN: Name<'static> = Name::literal("open");
const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;
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
pub(crate) struct Contents {
    dir: Dir,
    shelves: Vec<Dir>,
    /// The tree of the snapshot that copies are taken from.
    base: Option<Dir>,
    /// The last file of it that was named.
    source_path: Option<RelPath>,
    open: Option<Open>,
    left_bytes: u64,
    left_count: u64,
    new_bytes: u64,
}

#[derive(Debug)]
struct Open {
    file: File,
    hasher: blake3::Hasher,
    size: u64,
    source: Option<Source>,
    ground: Ground,
}

/// What an open file has before anything is written to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ground {
    /// Nothing: zeros need not be written.
    Empty,
    /// All bytes of its source.
    Clone,
}

impl Open {
    /// These bytes are there already.
    fn pass(&mut self, data: &[u8]) {
        self.hasher.update(data);
        self.size += data.len() as u64;
    }

    fn append(&mut self, data: &[u8], room: &mut Room) -> Result<(), Fault> {
        let written = match self.ground {
            Ground::Empty => sparse::write_at(&self.file, data, self.size),
            Ground::Clone => self.file.write_all_at(data, self.size).map(|()| data.len() as u64),
        };
        let written = written.map_err(Fault::stream("writing a content"))?;
        self.pass(data);
        room.bytes(written)
    }
}

impl Contents {
    /// An empty store in an empty folder, for a host with these limits; copies are taken from the tree `base`.
    pub(crate) fn new(dir: Dir, limits: &Limits, base: Option<Dir>) -> Result<Self, Fault> {
        let shelves = SHELVES.iter().map(|digit| dir.make_dir(Name::new(*digit)?, FOLDER_MODE));
        let shelves = shelves.collect::<durable::Result<_>>()?;
        let (left_bytes, left_count) = (limits.expanded_bytes, limits.entries);
        Ok(Self { dir, shelves, base, source_path: None, open: None, left_bytes, left_count, new_bytes: 0 })
    }

    /// Bytes of all different contents.
    pub(crate) fn new_bytes(&self) -> u64 {
        self.new_bytes
    }

    /// The file of the base that was named last: if the push is wrong, it may be what is to blame.
    pub(crate) fn source_path(&self) -> Option<&RelPath> {
        self.source_path.as_ref()
    }

    /// Takes an expanded block of records.
    pub(crate) fn take(&mut self, block: &[u8], room: &mut Room) -> Result<(), Fault> {
        let mut from = Cursor::new(block);
        while !from.is_empty() {
            match Record::decode(&mut from)? {
                Record::Data(data) => self.data(data, &mut from, room)?,
                Record::End { size, hash } => self.end(size, hash, room)?,
                Record::Drop => self.forget()?,
                Record::From(path) => self.begin_from(path)?,
                Record::Copy { offset, length } => self.copy(offset, length, room)?,
            }
        }
        Ok(())
    }

    /// Forgets the open content, if any.
    pub(crate) fn forget(&mut self) -> Result<(), Fault> {
        if self.open.take().is_some() {
            self.dir.unlink(OPEN)?;
        }
        Ok(())
    }

    /// No content may be open when the contents end.
    pub(crate) fn finish(&self) -> Result<(), Fault> {
        if self.open.is_some() { Err(Fault::Push(Code::MalformedPush)) } else { Ok(()) }
    }

    /// Gives this content a name in the new tree; none if the push did not bring it.
    pub(crate) fn link(
        &self,
        content: Content,
        target: &Dir,
        name: Name<'_>,
    ) -> Result<Option<Linked>, Fault> {
        let (shelf, place) = self.place(content);
        match shelf.link(Name::new(place.as_bytes())?, target, name) {
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

    /// From now on this content is that file, which has fewer names.
    pub(crate) fn replace(&self, content: Content, by: &Dir, name: Name<'_>) -> Result<(), Fault> {
        let (shelf, place) = self.place(content);
        let place = Name::new(place.as_bytes())?;
        match shelf.unlink(place) {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
        let _ = by.link(name, shelf, place)?;
        Ok(())
    }

    fn data(&mut self, data: &[u8], from: &mut Cursor<'_>, room: &mut Room) -> Result<(), Fault> {
        self.charge(data.len() as u64)?;
        if self.open.is_none() {
            // Most contents are one record and their end: those need no name but their own.
            let mut ahead = from.clone();
            if let Ok(Record::End { size, hash }) = Record::decode(&mut ahead) {
                *from = ahead;
                return self.whole(data, size, hash, room);
            }
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => self.begin()?,
        };
        self.open.insert(open).append(data, room)
    }

    fn charge(&mut self, bytes: u64) -> Result<(), Fault> {
        self.left_bytes = self.left_bytes.checked_sub(bytes).ok_or(Fault::Push(Code::OverBudget))?;
        Ok(())
    }

    fn begin(&mut self) -> Result<Open, Fault> {
        // When it begins: one that is dropped has cost a file, too.
        self.count()?;
        let file = self.dir.create_new(OPEN, FILE_MODE)?;
        Ok(Open { file, hasher: blake3::Hasher::new(), size: 0, source: None, ground: Ground::Empty })
    }

    fn begin_from(&mut self, path: RelPath) -> Result<(), Fault> {
        if self.open.is_some() {
            return Err(Fault::Push(Code::MalformedPush));
        }
        let Some(base) = &self.base else { return Err(Fault::Push(Code::MissingContent)) };
        let source = Source::open(base, self.source_path.insert(path))?;
        let open = self.begin()?;
        let ground = if source.clone_into(&open.file)? { Ground::Clone } else { Ground::Empty };
        self.open = Some(Open { source: Some(source), ground, ..open });
        Ok(())
    }

    fn copy(&mut self, offset: u64, length: u64, room: &mut Room) -> Result<(), Fault> {
        // Before a byte is read: a short record must not stand for endless work.
        self.charge(length)?;
        let Some(open) = &mut self.open else { return Err(Fault::Push(Code::MalformedPush)) };
        let Some(source) = open.source.take() else { return Err(Fault::Push(Code::MalformedPush)) };
        if open.ground == Ground::Clone && open.size == offset {
            let clone = open.file.try_clone().map_err(Fault::stream("holding a content"))?;
            source.part_of(&clone, offset, length, |bytes| {
                open.pass(bytes);
                Ok(())
            })?;
        } else {
            source.part(offset, length, |bytes| open.append(bytes, room))?;
        }
        open.source = Some(source);
        Ok(())
    }

    fn end(&mut self, size: u64, hash: ContentHash, room: &mut Room) -> Result<(), Fault> {
        let Some(open) = self.open.take() else { return self.whole(&[], size, hash, room) };
        if open.size != size || open.hasher.finalize().as_bytes() != hash.as_bytes() {
            return Err(Fault::Push(Code::ContentHash));
        }
        open.file.set_len(size).map_err(Fault::stream("writing a content"))?;
        let (shelf, place) = self.place(Content { hash, size });
        match self.dir.link(OPEN, shelf, Name::new(place.as_bytes())?) {
            Ok(_) => self.new_bytes += size,
            Err(error) if error.is_exists() => {} // the push brings it twice
            Err(error) => return Err(error.into()),
        }
        self.dir.unlink(OPEN)?;
        room.node(0)
    }

    /// A content that is all here.
    fn whole(&mut self, data: &[u8], size: u64, hash: ContentHash, room: &mut Room) -> Result<(), Fault> {
        if data.len() as u64 != size || ContentHash::of(data) != hash {
            return Err(Fault::Push(Code::ContentHash));
        }
        self.count()?;
        let (shelf, place) = self.place(Content { hash, size });
        let file = match shelf.create_new(Name::new(place.as_bytes())?, FILE_MODE) {
            Ok(file) => file,
            Err(error) if error.is_exists() => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let written = write_whole(&file, data).map_err(Fault::stream("writing a content"))?;
        self.new_bytes += size;
        room.node(written)
    }

    fn count(&mut self) -> Result<(), Fault> {
        self.left_count = self.left_count.checked_sub(1).ok_or(Fault::Push(Code::OverBudget))?;
        Ok(())
    }

    fn place(&self, content: Content) -> (&Dir, String) {
        let [first, ..] = content.hash.as_bytes();
        let shelf = self.shelves.get(usize::from(first >> 4)).unwrap_or(&self.dir);
        (shelf, format!("{}-{:x}", content.hash, content.size))
    }
}

fn write_whole(file: &File, data: &[u8]) -> std::io::Result<u64> {
    let written = sparse::write_at(file, data, 0)?;
    if written < data.len() as u64 {
        file.set_len(data.len() as u64)?;
    }
    Ok(written)
}
