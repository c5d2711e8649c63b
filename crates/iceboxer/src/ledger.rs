//! The ledger: one hash-chained line for each ice and vault. Document: docs/formats/ice.md.

use std::collections::HashMap;
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
    /// A line could not be added, nor what was written of it be removed.
    #[error("nothing more is added to the ledger, whose end is not known after an error")]
    Unknown,
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
            LedgerError::Folder(_) | LedgerError::Io(_) | LedgerError::Unknown => Exit::MACHINE,
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
    /// Where each stands among them, by vault and ice: a ledger of thousands of hosts has a hundred thousand.
    places: HashMap<(String, IceId), usize>,
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
        self.place_of(vault, ice).is_some()
    }

    fn empty() -> Self {
        let (entries, places) = (Vec::new(), HashMap::new());
        Self { entries, places, lines: 0, head: LedgerLine::first_previous(), bytes: 0, torn_bytes: 0 }
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
            state.check(&line)?;
            state.take(line, &bytes);
        }
    }

    /// Refuses a line that does not follow.
    fn check(&self, line: &LedgerLine) -> Result<(), LedgerError> {
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
        match self.place_of(&line.vault, &line.ice.ice).and_then(|place| self.entries.get(place)) {
            Some(entry) if entry.record != line.ice => refuse("it says another thing of the same ice"),
            _ => Ok(()),
        }
    }

    fn place_of(&self, vault: &str, ice: &IceId) -> Option<usize> {
        self.places.get(&(vault.to_owned(), ice.clone())).copied()
    }

    /// Takes in a line that was checked.
    fn take(&mut self, line: LedgerLine, bytes: &[u8]) {
        match self.place_of(&line.vault, &line.ice.ice).and_then(|place| self.entries.get_mut(place)) {
            Some(entry) => (entry.retain_until, entry.objects) = (line.retain_until, line.receipts),
            None => {
                self.places.insert((line.vault.clone(), line.ice.ice.clone()), self.entries.len());
                self.entries.push(LedgerEntry {
                    time: line.time,
                    vault: line.vault,
                    retain_until: line.retain_until,
                    ice: line.ice.ice.clone(),
                    objects: line.receipts,
                    record: line.ice,
                });
            }
        }
        self.lines += 1;
        self.head = ContentHash::of(bytes);
        self.bytes += bytes.len() as u64;
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
    is_end_known: bool,
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
        Ok(Self { file, state, is_end_known: true, _lock: lock })
    }

    pub(crate) fn state(&self) -> &LedgerState {
        &self.state
    }

    /// Adds a line and brings it to the disk. After an error the ledger ends where it did before: a shorter line that came next would leave the rest
    /// of this one behind it. Where that cannot be had, nothing more is added.
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
        self.state.check(&line)?;
        if !self.is_end_known {
            return Err(LedgerError::Unknown);
        }
        let end = self.state.bytes;
        let written = self.file.write_all_at(&bytes, end).and_then(|()| self.file.sync_all());
        if let Err(error) = written {
            self.is_end_known = self.file.set_len(end).is_ok();
            return Err(error.into());
        }
        self.state.take(line, &bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use formats::records::ice::{FIRST_SEGMENT_BYTES, IceSnapshot, Image, Segment};
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

    use super::*;

    /// Adds an ice of this host, whose name makes the line longer.
    fn append(ledger: &mut Ledger, host: &str) -> Result<(), LedgerError> {
        let ice: IceId = format!("{host}/20260102T030405Z-0000000001").parse().unwrap();
        let hash = ContentHash::of(b"x");
        let (plain_bytes, bytes) = (FIRST_SEGMENT_BYTES, 5_000);
        let object = ice.segment_object(0);
        let root = formats::Root::from_bytes([1; 32]);
        let record = IceRecord {
            format: IceRecord::format(),
            host: ice.host().clone(),
            created: "2026-01-02T03:04:05Z".to_owned(),
            snapshots: vec![IceSnapshot { name: ice.snapshot().to_owned(), sequence: 1, root, entries: 1 }],
            image: Image { bytes: plain_bytes, hash },
            segment_bytes: 65_536,
            segments: vec![Segment { object, version: None, plain_bytes, plain_hash: hash, bytes, hash }],
            recipients: Vec::new(),
            left_out: 0,
            log_head: hash,
            redact_line: 0,
            redacted: Vec::new(),
            ice,
        };
        let until = "2026-04-05T00:00:00Z".to_owned();
        let receipt = |object| LedgerReceipt { object, version: None, bytes, retain_until: until.clone() };
        let receipts = names(&record).into_iter().map(receipt).collect();
        ledger.append("2026-01-02T03:04:05Z".to_owned(), "local", until.clone(), record, receipts)
    }

    /// From now on this thread is told that its disk cannot be written.
    fn break_the_disk() {
        let rules = BTreeMap::from([(libc::SYS_fsync, Vec::new())]);
        let (allow, fail) = (SeccompAction::Allow, SeccompAction::Errno(5));
        let filter = SeccompFilter::new(rules, allow, fail, std::env::consts::ARCH.try_into().unwrap());
        let program: BpfProgram = filter.unwrap().try_into().unwrap();
        seccompiler::apply_filter(&program).unwrap();
    }

    #[test]
    fn a_line_that_did_not_reach_the_disk_leaves_nothing_behind_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path()).unwrap();
        append(&mut ledger, "first").unwrap();
        let failed = std::thread::scope(|scope| {
            let longer = || {
                break_the_disk();
                append(&mut ledger, &"long".repeat(12))
            };
            scope.spawn(longer).join().unwrap()
        });
        assert!(matches!(failed, Err(LedgerError::Io(_))), "{failed:?}");
        append(&mut ledger, "b").unwrap();
        let read = LedgerState::read(folder.path()).unwrap();
        let hosts: Vec<&str> = read.entries().iter().map(|entry| entry.ice.host().as_str()).collect();
        assert_eq!(hosts, ["first", "b"]);
        let length = fs::metadata(folder.path().join("ledger")).unwrap().len();
        assert_eq!((read.bytes, read.torn_bytes), (length, 0));
    }

    #[test]
    fn where_its_end_is_not_known_nothing_more_is_added() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path()).unwrap();
        // It takes every line, brings none to a disk, and cannot be cut.
        ledger.file = File::options().read(true).write(true).open("/dev/null").unwrap();
        assert!(matches!(append(&mut ledger, "web01"), Err(LedgerError::Io(_))));
        assert!(matches!(append(&mut ledger, "b"), Err(LedgerError::Unknown)));
    }
}
