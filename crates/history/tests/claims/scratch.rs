//! A history in a temporary folder, with a log of some lines.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use formats::records::log::{Alarm, Event, Ingest};
use formats::{HostId, InstallationId, PushId, Root};
use history::{History, HostHistory, LogAppender, SnapshotName};

pub(crate) struct Scratch {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) history: History,
}

pub(crate) fn host() -> HostId {
    HostId::parse("web01").unwrap()
}

pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_322_930, 0).unwrap()
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let history = History::open(dir.path()).unwrap();
        Self { dir, history }
    }

    pub(crate) fn host(&self) -> HostHistory {
        self.history.host_or_new(&host()).unwrap()
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.dir.path().join("web01/log")
    }

    pub(crate) fn append(&self, event: Event) {
        let host = self.host();
        let alone = host.write_lock().unwrap().unwrap();
        LogAppender::open(&host, &alone).unwrap().append(event, now()).unwrap();
    }
}

pub(crate) fn ingest(sequence: u64) -> Event {
    Event::Ingest(Ingest {
        sequence,
        name: SnapshotName::new(now(), sequence).unwrap().to_string(),
        root: Root::from_bytes([sequence as u8; 32]),
        entries: 7,
        left_out: 1,
        base: None,
        push: push(sequence as u8),
        installation: InstallationId::from_bytes([1; 16]),
        counter: sequence,
        started: -5,
        zone: "Asia/Jakarta".to_owned(),
        new_bytes: 99,
        changes: 7,
        long_entry_bytes: 0,
        emergency: false,
        imported: false,
        measured: None,
    })
}

pub(crate) fn reject(id: u8) -> Event {
    let code = formats::session::Code::WrongRoot;
    Event::Reject {
        push: Some(push(id)),
        installation: None,
        counter: None,
        code: code.number(),
        reason: code.text().to_owned(),
        emergency: false,
    }
}

pub(crate) fn alarm(id: u8) -> Event {
    Event::Alarm {
        what: Alarm::CounterReused,
        push: push(id),
        installation: InstallationId::from_bytes([1; 16]),
        tripwire: None,
    }
}

pub(crate) fn push(id: u8) -> PushId {
    PushId::from_bytes([id; 16])
}
