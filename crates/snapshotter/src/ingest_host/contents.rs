//! The contents of one push, on their way to their shelves: hashed as they are written. What comes in order, and is charged in order, is done
//! here; the many small contents, which need no order, are left to a crew.

use std::fs::File;
use std::os::unix::fs::FileExt;

use durable::{Dir, Name};
use formats::RelPath;
use formats::cursor::Cursor;
use formats::published::Limits;
use formats::push::Record;
use formats::session::Code;

use super::crew::Crew;
use super::fault::Fault;
use super::room::Room;
use super::shelves::{Content, FILE_MODE, Shelves};
use super::source::Source;
use super::sparse;

/// A clone is no data, but the file system notes whose its pieces are: of the smallest pieces that is no more than this part of them.
const CLONE_NOTES: u64 = 32;
/// A content whose end has not come yet.
const OPEN: Name<'static> = Name::literal("open");

/// What takes the contents of one push.
#[derive(Debug)]
pub(crate) struct Contents<'scope> {
    shelves: &'scope Shelves,
    crew: Crew<'scope, Block>,
    /// The tree of the snapshot that copies are taken from.
    base: Option<Dir>,
    /// The last file of it that was named.
    source_path: Option<RelPath>,
    open: Option<Open>,
    left_bytes: u64,
    left_count: u64,
    /// What may still be cloned; beyond it there are copies, whose every byte is charged.
    left_clone_bytes: u64,
}

/// A block of records, and the contents that are whole in it.
#[derive(Debug)]
pub(crate) struct Block {
    bytes: Vec<u8>,
    whole: Vec<Whole>,
}

#[derive(Debug)]
struct Whole {
    /// Where in the block it starts.
    start: usize,
    content: Content,
}

impl Block {
    /// Puts its contents on their shelves.
    pub(crate) fn put_down(self, shelves: &Shelves, room: &Room<'_>) -> Result<(), Fault> {
        for Whole { start, content } in self.whole {
            let rest = self.bytes.get(start..).unwrap_or_default();
            let length = usize::try_from(content.size).unwrap_or(usize::MAX);
            shelves.write(content, rest.get(..length).unwrap_or_default())?;
            room.keep_promise(content.size);
        }
        shelves.give_back(self.bytes);
        Ok(())
    }
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

    fn append(&mut self, data: &[u8], room: &Room<'_>) -> Result<(), Fault> {
        let written = match self.ground {
            Ground::Empty => sparse::write_at(&self.file, data, self.size),
            Ground::Clone => self.file.write_all_at(data, self.size).map(|()| data.len() as u64),
        };
        let written = written.map_err(Fault::stream("writing a content"))?;
        self.pass(data);
        room.bytes(written)
    }
}

impl<'scope> Contents<'scope> {
    /// None yet, for a host with these limits; copies are taken from the tree `base`. The crew puts down what it is given ([`Block::put_down`]).
    pub(crate) fn new(
        shelves: &'scope Shelves,
        crew: Crew<'scope, Block>,
        limits: &Limits,
        base: Option<Dir>,
    ) -> Self {
        let (left_bytes, left_count) = (limits.expanded_bytes, limits.entries);
        let (source_path, open, left_clone_bytes) = (None, None, left_bytes);
        Self { shelves, crew, base, source_path, open, left_bytes, left_count, left_clone_bytes }
    }

    /// Takes an expanded block of records.
    pub(crate) fn take(&mut self, block: &[u8], room: &Room<'_>) -> Result<(), Fault> {
        // A large content hands nothing out for hours.
        self.crew.check()?;
        let mut whole = Vec::new();
        let taken = self.records(block, &mut whole, room);
        if !whole.is_empty() {
            let mut bytes = self.shelves.buffer();
            bytes.extend_from_slice(block);
            self.crew.give(Block { bytes, whole })?;
        }
        taken
    }

    /// Finds those that are `whole`, and takes the others.
    fn records(&mut self, block: &[u8], whole: &mut Vec<Whole>, room: &Room<'_>) -> Result<(), Fault> {
        let mut from = Cursor::new(block);
        while !from.is_empty() {
            match Record::decode(&mut from)? {
                Record::Data(data) => {
                    let start = block.len() - from.rest().len() - data.len();
                    let content = self.data(data, &mut from, room)?;
                    whole.extend(content.map(|content| Whole { start, content }));
                }
                Record::End { size, hash } => self.end(Content { hash, size }, room)?,
                Record::Drop => self.forget()?,
                Record::From(path) => self.begin_from(path, room)?,
                Record::Copy { offset, length } => self.copy(offset, length, room)?,
            }
        }
        Ok(())
    }

    /// Forgets the open content, if any.
    pub(crate) fn forget(&mut self) -> Result<(), Fault> {
        if self.open.take().is_some() {
            self.shelves.dir().unlink(OPEN)?;
        }
        Ok(())
    }

    /// No content may be open when the contents end.
    pub(crate) fn finish(&self) -> Result<(), Fault> {
        if self.open.is_some() { Err(Fault::Push(Code::MalformedPush)) } else { Ok(()) }
    }

    /// Waits for the crew; after that all contents are on their shelves. Gives back the file of the base that was named last: if the push is
    /// wrong, it may be what is to blame.
    pub(crate) fn settle(self) -> (Result<(), Fault>, Option<RelPath>) {
        (self.crew.finish(), self.source_path)
    }

    /// The content, if it is all here.
    fn data(
        &mut self,
        data: &[u8],
        from: &mut Cursor<'_>,
        room: &Room<'_>,
    ) -> Result<Option<Content>, Fault> {
        self.charge(data.len() as u64)?;
        if self.open.is_none() {
            // Most contents are one record and their end: those need no name but their own.
            let mut ahead = from.clone();
            if let Ok(Record::End { size, hash }) = Record::decode(&mut ahead) {
                *from = ahead;
                if size != data.len() as u64 {
                    return Err(Fault::Push(Code::ContentHash));
                }
                self.count()?;
                room.promise(size)?;
                return Ok(Some(Content { hash, size }));
            }
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => self.begin()?,
        };
        self.open.insert(open).append(data, room)?;
        Ok(None)
    }

    fn charge(&mut self, bytes: u64) -> Result<(), Fault> {
        self.left_bytes = self.left_bytes.checked_sub(bytes).ok_or(Fault::Push(Code::OverBudget))?;
        Ok(())
    }

    fn begin(&mut self) -> Result<Open, Fault> {
        // When it begins: one that is dropped has cost a file, too.
        self.count()?;
        let file = self.shelves.dir().create_new(OPEN, FILE_MODE)?;
        Ok(Open { file, hasher: blake3::Hasher::new(), size: 0, source: None, ground: Ground::Empty })
    }

    fn begin_from(&mut self, path: RelPath, room: &Room<'_>) -> Result<(), Fault> {
        if self.open.is_some() {
            return Err(Fault::Push(Code::MalformedPush));
        }
        let Some(base) = &self.base else { return Err(Fault::Push(Code::MissingContent)) };
        let source = Source::open(base, self.source_path.insert(path))?;
        let open = self.begin()?;
        let ground = if self.may_clone(&source) && source.clone_into(&open.file)? {
            room.bytes(source.bytes() / CLONE_NOTES)?;
            Ground::Clone
        } else {
            Ground::Empty
        };
        self.open = Some(Open { source: Some(source), ground, ..open });
        Ok(())
    }

    /// A clone is of all of its source, which a record of a few bytes names, whatever is taken from it then: many of a large one are endless work.
    fn may_clone(&mut self, source: &Source) -> bool {
        let left = self.left_clone_bytes.checked_sub(source.bytes());
        self.left_clone_bytes = left.unwrap_or(self.left_clone_bytes);
        left.is_some()
    }

    fn copy(&mut self, offset: u64, length: u64, room: &Room<'_>) -> Result<(), Fault> {
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

    fn end(&mut self, content: Content, room: &Room<'_>) -> Result<(), Fault> {
        let Some(open) = self.open.take() else {
            self.count()?;
            room.node(0)?;
            return self.shelves.write(content, &[]);
        };
        if open.size != content.size || open.hasher.finalize().as_bytes() != content.hash.as_bytes() {
            return Err(Fault::Push(Code::ContentHash));
        }
        open.file.set_len(content.size).map_err(Fault::stream("writing a content"))?;
        self.shelves.put(content, OPEN)?;
        room.node(0)
    }

    fn count(&mut self) -> Result<(), Fault> {
        self.left_count = self.left_count.checked_sub(1).ok_or(Fault::Push(Code::OverBudget))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::sync_channel;

    use formats::ContentHash;
    use formats::limits::BLOCK_BYTES;

    use super::*;
    use crate::ingest_host::fault::Here;

    /// A block of contents that are as small as can be.
    fn block(length: usize) -> Vec<u8> {
        let mut block = Vec::new();
        while block.len() < length {
            let data = (block.len() as u32).to_le_bytes();
            Record::Data(&data).encode(&mut block);
            Record::End { size: 4, hash: ContentHash::of(&data) }.encode(&mut block);
        }
        block
    }

    /// The wide margin is for others who write on the same disk meanwhile.
    #[test]
    fn what_waits_for_a_worker_counts_as_written() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = Dir::open_root(scratch.path()).unwrap();
        let store = dir.make_dir(Name::literal("contents"), 0o750).unwrap();
        let shelves = Shelves::new(store, u64::MAX).unwrap();
        let block = block(BLOCK_BYTES - 100);
        let gate = Mutex::new(());
        for (margin_bytes, has_room) in [(1 << 30, false), (8 << 30, true)] {
            let free_bytes = dir.free_bytes().unwrap();
            if free_bytes < margin_bytes {
                println!("SKIPPED: what_waits_for_a_worker_counts_as_written: too little free space");
                return;
            }
            let room = Room::new(&dir, free_bytes - margin_bytes).unwrap();
            std::thread::scope(|scope| {
                let work = || {
                    Ok(|_: Block| {
                        drop(gate.lock());
                        Ok(())
                    })
                };
                let closed = gate.lock();
                let crew = Crew::of(scope, 1, sync_channel(64), work).unwrap();
                let mut contents = Contents::new(&shelves, crew, &Limits::default(), None);
                let taken = (0..24).try_for_each(|_| contents.take(&block, &room));
                drop(closed);
                contents.settle().0.unwrap();
                match taken {
                    Ok(()) => assert!(has_room),
                    Err(fault) => {
                        assert!(!has_room && matches!(fault, Fault::Here(Here::NoRoom)), "{fault:?}")
                    }
                }
            });
        }
    }

    #[test]
    fn a_large_content_ends_when_a_worker_has_failed() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = Dir::open_root(scratch.path()).unwrap();
        let store = dir.make_dir(Name::literal("contents"), 0o750).unwrap();
        let shelves = Shelves::new(store, u64::MAX).unwrap();
        let room = Room::new(&dir, 0).unwrap();
        std::thread::scope(|scope| {
            let failing = || Ok(|_: Block| Err(Fault::Here(Here::NoRoom)));
            let crew = Crew::of(scope, 1, sync_channel(1), failing).unwrap();
            let mut contents = Contents::new(&shelves, crew, &Limits::default(), None);
            contents.take(&block(100), &room).unwrap();
            let mut part = Vec::new();
            Record::Data(&[1; 1_000]).encode(&mut part);
            let stopped = (0..1_000).find_map(|_| {
                std::thread::sleep(std::time::Duration::from_millis(10));
                contents.take(&part, &room).err()
            });
            assert!(matches!(stopped, Some(Fault::Here(Here::Stopped))), "{stopped:?}");
            assert!(matches!(contents.settle().0, Err(Fault::Here(Here::NoRoom))));
        });
    }

    #[test]
    fn what_a_worker_has_written_waits_no_longer() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = Dir::open_root(scratch.path()).unwrap();
        let store = dir.make_dir(Name::literal("contents"), 0o750).unwrap();
        let shelves = Shelves::new(store, u64::MAX).unwrap();
        let room = Room::new(&dir, 0).unwrap();
        std::thread::scope(|scope| {
            let crew = Crew::start(scope, || Ok(|block: Block| block.put_down(&shelves, &room))).unwrap();
            let mut contents = Contents::new(&shelves, crew, &Limits::default(), None);
            contents.take(&block(20_000), &room).unwrap();
            contents.settle().0.unwrap();
        });
        assert!(shelves.new_bytes() > 1_000 && room.promised_bytes() == 0);
    }
}
