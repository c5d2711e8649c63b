//! One accepted state of one host, as the log tells it.

use chrono::{DateTime, SecondsFormat, Utc};
use formats::records::log::{Ingest, LogLine, Measured};
use formats::{InstallationId, PushId, Root};

use crate::error::LogDefect;
use crate::name::SnapshotName;

/// A snapshot. That it exists is proved by the log; that its files are what they should be, only by comparing them with its manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name.
    pub name: SnapshotName,
    /// From 1, without gaps; decides order.
    pub sequence: u64,
    /// Root of its manifest.
    pub root: Root,
    /// Entries of its manifest.
    pub entries: u64,
    /// Paths that the client could not read.
    pub left_out: u64,
    /// Root of the snapshot it was pushed against.
    pub base: Option<Root>,
    /// The push it came from.
    pub push: PushId,
    /// The installation that pushed.
    pub installation: InstallationId,
    /// That installation's counter.
    pub counter: u64,
    /// Start of the push by the host's clock, seconds since 1970.
    pub started: i64,
    /// The host's time zone.
    pub zone: String,
    /// Bytes of content that were new.
    pub new_bytes: u64,
    /// Changes that the push carried.
    pub changes: u64,
    /// What its entries hold beyond what each is charged with anyway.
    pub long_entry_bytes: u64,
    /// Whether it was taken over from another program's history.
    pub imported: bool,
    /// How it differs from the one before it, where that was measured and is not nothing.
    pub measured: Option<Measured>,
    /// When it was accepted, by the server's clock, `2026-01-02T03:04:05Z`; of an imported one, when it was made.
    pub accepted: String,
    /// Line of the log that says so.
    pub line: u64,
}

/// As the log writes times.
fn written(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

impl Snapshot {
    pub(crate) fn from_line(line: &LogLine, ingest: &Ingest) -> Result<Self, LogDefect> {
        let name: SnapshotName =
            ingest.name.parse().map_err(|_| LogDefect::Ingest("not the name of a snapshot"))?;
        if name.sequence() != ingest.sequence {
            return Err(LogDefect::Ingest("name and sequence differ"));
        }
        Ok(Self {
            sequence: ingest.sequence,
            root: ingest.root,
            entries: ingest.entries,
            left_out: ingest.left_out,
            base: ingest.base,
            push: ingest.push,
            installation: ingest.installation,
            counter: ingest.counter,
            started: ingest.started,
            zone: ingest.zone.clone(),
            new_bytes: ingest.new_bytes,
            changes: ingest.changes,
            long_entry_bytes: ingest.long_entry_bytes,
            imported: ingest.imported,
            measured: ingest.measured,
            accepted: if ingest.imported { written(name.time()) } else { line.time.clone() },
            name,
            line: line.line,
        })
    }
}
