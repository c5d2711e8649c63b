//! The changes of one push, kept until the seal has come: only then is it certain that no resume frame takes them back.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};

use durable::{Dir, Name};
use formats::Change;
use formats::cursor::Cursor;
use formats::limits::BLOCK_BYTES;
use formats::session::Code;

use super::fault::Fault;
use super::room::Room;

const READ_BYTES: usize = 256 * 1024;
const DOING: &str = "keeping the changes of a push";

/// The file they are kept in.
const CHANGES: Name<'static> = Name::literal("changes");

/// The list of changes, in a file: blocks with their length before them.
#[derive(Debug)]
pub(crate) struct Changes {
    dir: Dir,
    file: File,
    left_bytes: u64,
    budget_bytes: u64,
}

impl Changes {
    /// An empty list in a file of this folder.
    pub(crate) fn new(dir: &Dir, budget_bytes: u64) -> Result<Self, Fault> {
        let file = dir.create_new(CHANGES, 0o640)?;
        Ok(Self { dir: dir.try_clone()?, file, left_bytes: budget_bytes, budget_bytes })
    }

    /// Takes an expanded block of changes; it is looked into later.
    pub(crate) fn take(&mut self, block: &[u8], room: &Room<'_>) -> Result<(), Fault> {
        let length = block.len() as u64;
        self.left_bytes = self.left_bytes.checked_sub(length).ok_or(Fault::Push(Code::OverBudget))?;
        let head = u32::try_from(block.len()).unwrap_or(u32::MAX).to_le_bytes();
        let written = self.file.write_all(&head).and_then(|()| self.file.write_all(block));
        written.map_err(Fault::stream(DOING))?;
        room.bytes(length)
    }

    /// Forgets all changes so far.
    pub(crate) fn forget(&mut self) -> Result<(), Fault> {
        self.left_bytes = self.budget_bytes;
        let emptied = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        emptied.map(drop).map_err(Fault::stream(DOING))
    }

    /// Reads them from the start.
    pub(crate) fn reader(&self) -> Result<ChangeReader, Fault> {
        let from = BufReader::with_capacity(READ_BYTES, self.dir.open_read(CHANGES)?);
        Ok(ChangeReader { from, block: Vec::new(), place: 0, failed: false })
    }
}

/// Reads changes one by one.
#[derive(Debug)]
pub(crate) struct ChangeReader {
    from: BufReader<File>,
    block: Vec<u8>,
    place: usize,
    failed: bool,
}

impl ChangeReader {
    fn step(&mut self) -> Result<Option<Change>, Fault> {
        if self.place >= self.block.len() && !self.next_block()? {
            return Ok(None);
        }
        let mut from = Cursor::new(self.block.get(self.place..).unwrap_or_default());
        let change = Change::decode(&mut from)?;
        self.place = self.block.len() - from.rest().len();
        Ok(Some(change))
    }

    fn next_block(&mut self) -> Result<bool, Fault> {
        let mut head = [0u8; 4];
        match self.from.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(Fault::stream(DOING)(error)),
        }
        let length = u32::from_le_bytes(head) as usize;
        self.block.resize(length.min(BLOCK_BYTES), 0);
        self.place = 0;
        self.from.read_exact(&mut self.block).map_err(Fault::stream(DOING))?;
        Ok(true)
    }
}

impl Iterator for ChangeReader {
    type Item = Result<Change, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let step = self.step();
        self.failed = step.is_err();
        step.transpose()
    }
}
