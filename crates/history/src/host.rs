//! The history of one host.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::thread::sleep;
use std::time::{Duration, Instant};

use durable::{Dir, Lock, Name};
use formats::limits::LINE_BYTES;
use formats::records::log_head::LogHead;
use formats::{ContentHash, HostId, RelPath};

use crate::error::{Error, LogDefect, Result};
use crate::layout::{LOG, MANIFESTS, TREE, WRITER, manifest_file};
use crate::log::reader::LogReader;
use crate::log::state::Log;
use crate::name::SnapshotName;
use crate::snapshot::Snapshot;
use crate::stored::{Manifest, ManifestBytes, read_manifest};
use crate::tree::Tree;

/// A removal holds a few snapshots alone for their lines of the log and their renames. A redaction takes longer: as long as it reads and erases.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The folder of one host's history, held open.
#[derive(Debug)]
pub struct HostHistory {
    host: HostId,
    dir: Dir,
}

/// While it lives, this snapshot is not removed.
#[derive(Debug)]
#[must_use = "reading is protected only while this is there"]
pub struct Reading {
    _lock: Lock,
}

/// While it lives, nobody else writes to this host's history.
#[derive(Debug)]
#[must_use = "writing is protected only while this is held"]
pub struct Writing {
    _lock: Lock,
}

/// Whether lines were added to a log since it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grown {
    /// They were.
    Yes,
    /// It is as it was.
    No,
}

/// While it lives, nobody reads this snapshot's files.
#[derive(Debug)]
#[must_use = "removing is safe for readers only while this is held"]
pub struct Removing {
    /// None for one whose folder is not there: nobody can begin to read it.
    _lock: Option<Lock>,
}

impl HostHistory {
    /// A history whose folder is already held.
    #[must_use]
    pub fn new(host: HostId, dir: Dir) -> Self {
        Self { host, dir }
    }

    /// Whose history it is.
    #[must_use]
    pub fn host(&self) -> &HostId {
        &self.host
    }

    /// The folder itself.
    #[must_use]
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Holds off whoever would remove this snapshot or redact from it, together with other readers. Waits for a removal of it under way, and then it
    /// is [`Error::Pruned`]; who removes holds it for moments, so what is locked for longer is [`Error::Locked`]. What was redacted while it waited
    /// is in the log, and not in one that was read before: [`read_on`](Self::read_on).
    ///
    /// Locked is the folder that has the snapshot's name when the lock is there. A prune moves it only while it has the lock alone, so what is
    /// locked stays in its place, and its manifest too.
    pub fn read_lock(&self, snapshot: &Snapshot) -> Result<Reading> {
        self.read_lock_within(snapshot, PATIENCE)
    }

    /// The same, with another patience.
    pub fn read_lock_within(&self, snapshot: &Snapshot, patience: Duration) -> Result<Reading> {
        let name = Name::new(snapshot.name.as_str().as_bytes())?;
        let began = Instant::now();
        loop {
            let lock = self.dir.try_lock_folder_shared(name).map_err(|error| self.gone(snapshot, error))?;
            match lock {
                Some(lock) => return Ok(Reading { _lock: lock }),
                None if began.elapsed() < patience => sleep(LOOK_EVERY),
                None => {
                    let (host, name) = (self.host.to_string(), snapshot.name.to_string());
                    return Err(Error::Locked { host, name });
                }
            }
        }
    }

    /// The log, and the locks of what is wanted of it. What is pruned or redacted before the locks are there is in that log: it is read on, and what
    /// is wanted of it is locked anew, until nothing was added meanwhile.
    pub fn log_to_read(&self, wanted: impl Fn(&Log) -> &[Snapshot]) -> Result<(Log, Vec<Reading>)> {
        let mut log = self.log()?;
        loop {
            let reading: Result<Vec<Reading>> =
                wanted(&log).iter().map(|snapshot| self.read_lock(snapshot)).collect();
            let grown = self.read_on(&mut log)?;
            match (reading, grown) {
                (Ok(reading), Grown::No) => return Ok((log, reading)),
                (Ok(_), Grown::Yes) | (Err(Error::Pruned { .. }), Grown::Yes) => {}
                (Err(error), _) => return Err(error),
            }
        }
    }

    /// Takes the lines that were added since: those before are not read again. Whoever has locked a snapshot knows from then on what was redacted
    /// from it, as a redaction writes its line while nobody reads.
    pub fn read_on(&self, log: &mut Log) -> Result<Grown> {
        let Some(mut file) = self.open_log()? else { return Ok(Grown::No) };
        let failed =
            |source| Error::Stream { doing: "read the snapshot log", host: self.host.to_string(), source };
        file.seek(SeekFrom::Start(log.bytes())).map_err(failed)?;
        let before = log.lines();
        for raw in LogReader::after(&self.host, BufReader::new(file), before, log.log_head()) {
            log.take(&raw?)?;
        }
        Ok(if log.lines() == before { Grown::No } else { Grown::Yes })
    }

    /// Becomes the one who writes; `None` if somebody else is. Who may only read cannot take this lock.
    pub fn write_lock(&self) -> Result<Option<Writing>> {
        Ok(self.dir.try_lock_private(WRITER)?.map(|lock| Writing { _lock: lock }))
    }

    /// Holds off all who would read this snapshot; `None` if somebody does.
    pub fn removal_lock(&self, name: &SnapshotName) -> Result<Option<Removing>> {
        match self.dir.try_lock_folder(Name::new(name.as_str().as_bytes())?) {
            Err(error) if error.is_not_found() => Ok(Some(Removing { _lock: None })),
            lock => Ok(lock?.map(|lock| Removing { _lock: Some(lock) })),
        }
    }

    /// What is not there was pruned since the log was read, or is missing.
    fn gone(&self, snapshot: &Snapshot, error: durable::Error) -> Error {
        if !error.is_not_found() {
            return error.into();
        }
        match self.log().and_then(|log| log.find(snapshot.name.as_str()).map(drop)) {
            Err(pruned @ Error::Pruned { .. }) => pruned,
            _ => error.into(),
        }
    }

    /// Reads and checks the whole log. A host that has none yet has an empty one.
    pub fn log(&self) -> Result<Log> {
        let mut log = Log::new(&self.host);
        let Some(mut reader) = self.log_reader()? else { return Ok(log) };
        for raw in &mut reader {
            log.take(&raw?)?;
        }
        Ok(log)
    }

    /// The log line by line, each checked against the one before; none if there is no log.
    pub fn log_reader(&self) -> Result<Option<LogReader<BufReader<File>>>> {
        Ok(self.open_log()?.map(|file| LogReader::new(&self.host, BufReader::new(file))))
    }

    fn open_log(&self) -> Result<Option<File>> {
        match self.dir.open_read(LOG) {
            Err(error) if error.is_not_found() => Ok(None),
            answer => Ok(Some(answer?)),
        }
    }

    /// The lines after the one that `head` names, each checked against the one before; that one is read again, and what is before it is not. None if
    /// there is no log. A log of which nothing is known is read from its beginning.
    pub fn log_reader_after(&self, head: Option<&LogHead>) -> Result<Option<LogReader<BufReader<File>>>> {
        let Some(head) = head else { return self.log_reader() };
        let host = || self.host.to_string();
        let failed = |source| Error::Stream { doing: "read the snapshot log", host: host(), source };
        let defect = |source| Error::Log { host: host(), line: head.line, source };
        let Some(mut file) = self.open_log()? else { return Ok(None) };
        let length = head.line_bytes.min(LINE_BYTES as u64);
        file.seek(SeekFrom::Start(head.bytes.saturating_sub(length))).map_err(failed)?;
        let mut line = Vec::new();
        (&mut file).take(length).read_to_end(&mut line).map_err(failed)?;
        if (line.len() as u64) < length {
            return Err(defect(LogDefect::Gone));
        }
        if ContentHash::of(&line) != head.hash {
            return Err(defect(LogDefect::Another));
        }
        Ok(Some(LogReader::after(&self.host, BufReader::new(file), head.line, head.hash)))
    }

    /// Opens a snapshot's manifest. Its root is proved when the last entry has been read, and then still has to be compared with the
    /// snapshot's.
    pub fn open_manifest(&self, snapshot: &Snapshot) -> Result<Manifest> {
        let file = self.open_manifest_file(snapshot)?;
        read_manifest(file).map_err(|source| Error::Manifest { name: snapshot.name.to_string(), source })
    }

    /// The manifest's bytes, for whoever copies them.
    pub fn open_manifest_bytes(&self, snapshot: &Snapshot) -> Result<ManifestBytes> {
        let file = self.open_manifest_file(snapshot)?;
        ManifestBytes::of(file).map_err(|source| Error::Manifest { name: snapshot.name.to_string(), source })
    }

    /// The file of a manifest as it lies there: [`Stored`](crate::Stored) tells how. Once it is open it can be read to its end, whatever is pruned
    /// meanwhile.
    pub fn open_manifest_file(&self, snapshot: &Snapshot) -> Result<File> {
        let file = manifest_file(&snapshot.name);
        let open = || self.dir.open_dir(MANIFESTS)?.open_read(Name::new(file.as_bytes())?);
        open().map_err(|error| self.gone(snapshot, error))
    }

    /// Opens a snapshot's files.
    pub fn tree(&self, snapshot: &Snapshot) -> Result<Tree> {
        let folder = self.dir.open_dir(Name::new(snapshot.name.as_str().as_bytes())?)?;
        Ok(Tree::new(folder.open_dir(TREE)?))
    }

    /// Opens one regular file of a snapshot. For many, open the [`Tree`] once.
    pub fn open_file(&self, snapshot: &Snapshot, path: &RelPath) -> Result<File> {
        self.tree(snapshot)?.open_file(path)
    }
}
