//! The ledger: one hash-chained line for each ice and vault. Document: docs/formats/ice.md.

use std::fs::{DirBuilder, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::Path;

use cli::{Exit, Failure};
use durable::{Dir, Lock, Name};
use formats::ContentHash;
use formats::records::ice::IceRecord;
use formats::records::ice_id::IceId;
use formats::records::ledger::{LEDGER_LINE_BYTES, LedgerLine, LedgerReceipt};
use formats::records::{Record, RecordError};

const LEDGER: Name<'static> = Name::literal("ledger");
const LOCK: Name<'static> = Name::literal("lock");

/// Why the ledger cannot be read or added to.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The system refused something.
    #[error("ledger")]
    Folder(#[from] durable::Error),
    /// Reading or writing failed.
    #[error("ledger")]
    Io(#[from] io::Error),
    /// Another iceboxer writes to it.
    #[error("another iceboxer writes to this ledger")]
    Busy,
    /// A line is not a ledger line.
    #[error("ledger, line {line}")]
    Line {
        /// Which, from 1.
        line: u64,
        /// What is wrong with it.
        source: RecordError,
    },
    /// A line does not follow from the one before.
    #[error("ledger, line {line}: {what}")]
    Chain {
        /// Which, from 1.
        line: u64,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl Failure for LedgerError {
    fn exit(&self) -> Exit {
        match self {
            LedgerError::Folder(_) | LedgerError::Io(_) => Exit::MACHINE,
            LedgerError::Busy => Exit::BUSY,
            LedgerError::Line { .. } | LedgerError::Chain { .. } => Exit::DAMAGED,
        }
    }

    fn advice(&self) -> Option<String> {
        match self {
            LedgerError::Line { .. } | LedgerError::Chain { .. } => Some(
                "somebody or something changed the ledger; the vault itself says what is in it: restore-drill list".to_owned(),
            ),
            _ => None,
        }
    }
}

/// One ice in one vault, as its last line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// When it was stored.
    pub time: String,
    /// Which ice.
    pub ice: IceId,
    /// In which vault.
    pub vault: String,
    /// Locked until then.
    pub retain_until: String,
    /// What it is.
    pub record: IceRecord,
    /// Its objects: the segments in order, the catalogue, the record.
    pub objects: Vec<LedgerReceipt>,
}

impl LedgerEntry {
    /// Bytes of all its segments, also those it shares with earlier ices.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.record.segments.iter().fold(0, |sum, segment| segment.bytes.saturating_add(sum))
    }
}

/// All of a ledger, checked.
#[derive(Debug, Clone)]
pub struct LedgerState {
    entries: Vec<LedgerEntry>,
    lines: u64,
    head: ContentHash,
    bytes: u64,
    torn_bytes: u64,
}

impl LedgerState {
    /// Reads and checks the whole ledger in the folder `path`. Where there is none, it is empty.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn read(path: &Path) -> Result<Self, LedgerError> {
        match Dir::open_root(path).and_then(|dir| dir.open_read(LEDGER)) {
            Ok(file) => Self::of(&file),
            Err(error) if error.is_not_found() => Ok(Self::empty()),
            Err(error) => Err(error.into()),
        }
    }

    /// The ices, in the order in which they were stored.
    #[must_use]
    pub fn entries(&self) -> &[LedgerEntry] {
        &self.entries
    }

    /// True if the ledger names this very ice in `vault`.
    pub(crate) fn names(&self, vault: &str, ice: &IceId) -> bool {
        self.entries.iter().any(|entry| entry.vault == vault && entry.ice == *ice)
    }

    fn empty() -> Self {
        Self { entries: Vec::new(), lines: 0, head: LedgerLine::first_previous(), bytes: 0, torn_bytes: 0 }
    }

    fn of(file: &File) -> Result<Self, LedgerError> {
        let mut state = Self::empty();
        let mut from = BufReader::new(file);
        loop {
            let mut bytes = Vec::new();
            (&mut from).take(LEDGER_LINE_BYTES as u64 + 1).read_until(b'\n', &mut bytes)?;
            if bytes.len() <= LEDGER_LINE_BYTES && bytes.last() != Some(&b'\n') {
                state.torn_bytes = bytes.len() as u64;
                return Ok(state);
            }
            let number = state.lines + 1;
            let line =
                LedgerLine::from_line(&bytes).map_err(|source| LedgerError::Line { line: number, source })?;
            state.take(line, &bytes)?;
        }
    }

    fn take(&mut self, line: LedgerLine, bytes: &[u8]) -> Result<(), LedgerError> {
        let refuse = |what| Err(LedgerError::Chain { line: self.lines + 1, what });
        if line.line != self.lines + 1 {
            return refuse("it has another number");
        }
        if line.previous != self.head {
            return refuse("it does not follow from the line before");
        }
        if line.ice.check().is_err() {
            return refuse("its ice record contradicts itself");
        }
        if !line.receipts.iter().map(|receipt| receipt.object.as_str()).eq(names(&line.ice).iter()) {
            return refuse("its receipts are not those of its objects");
        }
        let known = self.entries.iter().position(|e| e.vault == line.vault && e.ice == line.ice.ice);
        match known.and_then(|place| self.entries.get_mut(place)) {
            Some(entry) if entry.record != line.ice => {
                return refuse("it says another thing of the same ice");
            }
            Some(entry) => (entry.retain_until, entry.objects) = (line.retain_until, line.receipts),
            None => self.entries.push(LedgerEntry {
                time: line.time,
                vault: line.vault,
                retain_until: line.retain_until,
                ice: line.ice.ice.clone(),
                objects: line.receipts,
                record: line.ice,
            }),
        }
        self.lines += 1;
        self.head = ContentHash::of(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

/// The names of the objects of an ice: the segments in order, the catalogue, the record.
fn names(ice: &IceRecord) -> Vec<String> {
    let segments = ice.segments.iter().map(|segment| segment.object.clone());
    segments.chain([ice.ice.catalogue_object(), ice.ice.record_object()]).collect()
}

/// The ledger, open for adding to.
#[derive(Debug)]
pub(crate) struct Ledger {
    file: File,
    state: LedgerState,
    _lock: Lock,
}

impl Ledger {
    /// Opens and checks the ledger, making it if it is not there. A last line without its newline was never acknowledged, and is cut off.
    pub(crate) fn open(path: &Path) -> Result<Self, LedgerError> {
        DirBuilder::new().recursive(true).mode(0o750).create(path)?;
        let dir = Dir::open_root(path)?;
        let lock = dir.try_lock(LOCK)?.ok_or(LedgerError::Busy)?;
        let file = match dir.open_read_write(LEDGER) {
            Err(error) if error.is_not_found() => dir.create_new(LEDGER, 0o640)?,
            answer => answer?,
        };
        dir.sync()?;
        let state = LedgerState::of(&file)?;
        if state.torn_bytes > 0 {
            file.set_len(state.bytes)?;
            file.sync_all()?;
        }
        Ok(Self { file, state, _lock: lock })
    }

    pub(crate) fn state(&self) -> &LedgerState {
        &self.state
    }

    /// Adds a line and brings it to the disk.
    pub(crate) fn append(
        &mut self,
        time: String,
        vault: &str,
        retain_until: String,
        ice: IceRecord,
        receipts: Vec<LedgerReceipt>,
    ) -> Result<(), LedgerError> {
        let number = self.state.lines + 1;
        let line = LedgerLine {
            format: LedgerLine::format(),
            line: number,
            previous: self.state.head,
            time,
            vault: vault.to_owned(),
            retain_until,
            ice,
            receipts,
        };
        let bytes = line.to_line().map_err(|source| LedgerError::Line { line: number, source })?;
        self.file.write_all_at(&bytes, self.state.bytes)?;
        self.file.sync_all()?;
        self.state.take(line, &bytes)
    }
}
