//! What was asked for and not yet done: `<records>/<host>.json`, root's alone. Document: docs/formats/redaction.md.

use std::io::Read;
use std::path::{Path, PathBuf};

use durable::{Dir, Lock, Name};
use formats::HostId;
use formats::limits::LINE_BYTES;
use formats::records::Record;
use formats::records::redaction::RedactionRecord;

use crate::host::step::Step;
use crate::host::steps::missing_parents;
use crate::settings::Settings;
use crate::trouble::Trouble;

const SUFFIX: &str = ".json";
const LOCK: &str = ".lock";
/// More hosts than a server has.
const NAMES_MAX: usize = 100_000;
const MODE: u32 = 0o700;

/// The folder, held open.
#[derive(Debug)]
pub(super) struct Book {
    dir: Dir,
    path: PathBuf,
}

impl Book {
    /// Opens it; none if nothing was ever asked for.
    pub(super) fn open(settings: &Settings) -> Result<Option<Self>, Trouble> {
        let path = settings.redact.records.clone();
        match Dir::open_root(&path) {
            Err(error) if error.is_not_found() => Ok(None),
            dir => Ok(Some(Self { dir: dir.map_err(at(&path))?, path })),
        }
    }

    /// Opens it, and makes it first.
    pub(super) fn make(settings: &Settings) -> Result<Self, Trouble> {
        let path = settings.redact.records.clone();
        let root = || Some(("root".to_owned(), "root".to_owned()));
        for missing in missing_parents(&path) {
            let mode = if missing == path { MODE } else { 0o755 };
            Step::Folder { path: missing, owner: root(), mode }.run()?;
        }
        // What is in it is believed, so nobody else may write there.
        Step::Folder { path: path.clone(), owner: root(), mode: MODE }.run()?;
        Ok(Self { dir: Dir::open_root(&path).map_err(at(&path))?, path })
    }

    /// One at a time works on the redaction of a host.
    pub(super) fn alone(&self, host: &HostId) -> Result<Lock, Trouble> {
        let name = format!("{host}{LOCK}");
        let lock =
            Name::new(name.as_bytes()).and_then(|name| self.dir.try_lock(name)).map_err(at(&self.path))?;
        lock.ok_or_else(|| Trouble::Busy { host: host.clone() })
    }

    /// The hosts of which something is written here.
    pub(super) fn hosts(&self) -> Result<Vec<HostId>, Trouble> {
        let mut names = self.dir.names_at_most(NAMES_MAX).map_err(at(&self.path))?;
        names.sort();
        let host = |name: &Vec<u8>| HostId::parse(std::str::from_utf8(name).ok()?.strip_suffix(SUFFIX)?).ok();
        Ok(names.iter().filter_map(host).collect())
    }

    /// What is written of a host.
    pub(super) fn read(&self, host: &HostId) -> Result<Option<RedactionRecord>, Trouble> {
        let name = format!("{host}{SUFFIX}");
        let file = match Name::new(name.as_bytes()).and_then(|name| self.dir.open_read(name)) {
            Err(error) if error.is_not_found() => return Ok(None),
            file => file.map_err(at(&self.path))?,
        };
        let mut bytes = Vec::new();
        let read = file.take(LINE_BYTES as u64 + 1).read_to_end(&mut bytes);
        read.map_err(Trouble::stream(format!("reading {name}")))?;
        let record = RedactionRecord::from_line(&bytes).map_err(|error| cli::chain(&error));
        let record = record.and_then(|record| {
            if record.host == *host { Ok(record) } else { Err("it is another host's".to_owned()) }
        });
        record.map(Some).map_err(|why| Trouble::Machine {
            what: format!("{} cannot be used: {why}", shown(&self.path.join(&name))),
        })
    }

    pub(super) fn write(&self, record: &RedactionRecord) -> Result<(), Trouble> {
        let name = format!("{}{SUFFIX}", record.host);
        let bytes =
            record.to_line().map_err(|error| Trouble::Usage { what: cli::chain(&error), advice: None })?;
        let written = Name::new(name.as_bytes()).and_then(|name| self.dir.write_whole(name, &bytes, 0o600));
        written.map_err(at(&self.path))
    }

    pub(super) fn remove(&self, host: &HostId) -> Result<(), Trouble> {
        let name = format!("{host}{SUFFIX}");
        match Name::new(name.as_bytes()).and_then(|name| self.dir.unlink(name)) {
            Err(error) if error.is_not_found() => Ok(()),
            removed => removed.and_then(|()| self.dir.sync()).map_err(at(&self.path)),
        }
    }
}

fn at(path: &Path) -> impl FnOnce(durable::Error) -> Trouble + use<> {
    Trouble::folder(format!("the folder of redactions {}", shown(path)))
}

fn shown(path: &Path) -> String {
    cli::shown(path.as_os_str().as_encoded_bytes())
}
