//! The snapshot log of one host. Document: docs/formats/snapshot-log.md.

use serde::{Deserialize, Serialize};

use super::record::{Record, RecordVersion};
use crate::id::{ContentHash, HostId, InstallationId, PushId, Root};
use crate::version::Version;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// `firn.log/1.0`; `firn.log/1.1`, `1.2`, `1.3`, `1.6` or `2.0` where the event says something that the one before does not have. See
    /// [`LogLine::format_for`].
    pub format: RecordVersion,
    /// Counts from 1.
    pub line: u64,
    /// Hash of the line before, newline included; of the host id for the first.
    pub previous: ContentHash,
    /// The server's clock, UTC, as `2026-01-02T03:04:05Z`.
    pub time: String,
    /// What happened.
    pub event: Event,
}

/// Of lines that an older reader must not pass over.
const SECOND: Version = Version { major: 2, minor: 0 };

impl Record for LogLine {
    const NAME: &'static str = "firn.log";
    const VERSION: Version = SECOND;
    const READS: &'static [Version] = &[Version::ONE, SECOND];
}

impl LogLine {
    /// The version of a line with this event: no higher than it needs.
    pub fn format_for(event: &Event) -> RecordVersion {
        if event.is_of_second() {
            return RecordVersion::of(Self::NAME, SECOND);
        }
        let minor = match event {
            Event::Restore { .. } => 6,
            Event::Ingest(Ingest { imported: true, .. }) => 3,
            Event::Ingest(Ingest { long_entry_bytes: 1.., .. }) => 2,
            Event::Ingest(Ingest { emergency: true, .. }) | Event::Reject { emergency: true, .. } => 1,
            _ => 0,
        };
        RecordVersion::of(Self::NAME, Version { minor, ..Version::ONE })
    }

    /// The hash that the first line of a host's log has as `previous`.
    pub fn first_previous(host: &HostId) -> ContentHash {
        ContentHash::of(host.as_str().as_bytes())
    }
}

/// What happened to a host's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Event {
    /// A push was accepted: this snapshot exists.
    Ingest(Ingest),
    /// A push was rejected.
    Reject {
        /// Which push; none if the file was too broken to say.
        push: Option<PushId>,
        /// Which installation, if known.
        installation: Option<InstallationId>,
        /// Its counter, if known.
        counter: Option<u64>,
        /// Number of the code (docs/formats/session.md).
        code: u16,
        /// Fixed words for it.
        reason: String,
        /// Whether it was admitted as an emergency.
        #[serde(default, skip_serializing_if = "is_false")]
        emergency: bool,
    },
    /// Something that a person should look at.
    Alarm {
        /// What was seen.
        what: Alarm,
        /// In which push.
        push: PushId,
        /// From which installation.
        installation: InstallationId,
    },
    /// Nothing is removed from this host's history, or this snapshot is not.
    Hold {
        /// Why.
        reason: String,
        /// Which snapshot; none for the whole history.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        snapshot: Option<String>,
    },
    /// The hold on the host, or on this snapshot, is over.
    Release {
        /// Why.
        reason: String,
        /// Which snapshot; none for the whole history.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        snapshot: Option<String>,
    },
    /// The base was set to none: the next push is whole.
    Reset {
        /// Why.
        reason: String,
    },
    /// All that the history has was read again, and is as it should be.
    Verify {
        /// Name of the newest snapshot that was read.
        newest: String,
        /// How many were.
        snapshots: u64,
        /// Bytes of files that were read.
        read_bytes: u64,
    },
    /// A snapshot does not exist any more.
    Prune {
        /// Its sequence.
        sequence: u64,
        /// Its name.
        name: String,
        /// Root of its manifest.
        root: Root,
        /// When the plan was made that named it, UTC.
        planned: String,
    },
    /// A snapshot, or a part of it, was brought out of the history.
    Restore {
        /// Name of the snapshot.
        snapshot: String,
        /// The file or folder that was asked for, as it is shown; none for all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
        /// How.
        way: RestoreWay,
        /// The account that asked for it, as it is shown.
        who: String,
        /// Names that were left out.
        left_out: u64,
        /// How it ended.
        outcome: RestoreOutcome,
    },
    /// What snapshots that do not exist any more had for themselves is gone from the disk.
    Freed {
        /// Bytes of files.
        bytes: u64,
    },
}

impl Event {
    /// Whether a reader of version 1 would be wrong about the history if it passed this over.
    fn is_of_second(&self) -> bool {
        match self {
            Event::Hold { snapshot, .. } | Event::Release { snapshot, .. } => snapshot.is_some(),
            Event::Verify { .. } | Event::Prune { .. } | Event::Freed { .. } => true,
            _ => false,
        }
    }
}

/// An accepted push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ingest {
    /// From 1, without gaps; decides order.
    pub sequence: u64,
    /// Name of the snapshot: UTC time and sequence.
    pub name: String,
    /// Root of its manifest.
    pub root: Root,
    /// Entries of its manifest.
    pub entries: u64,
    /// Paths the client could not read.
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
    /// What its entries hold beyond [`FLAT_ENTRY_BYTES`](crate::limits::FLAT_ENTRY_BYTES) each: see [`Entry::long_bytes`](crate::Entry::long_bytes).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub long_entry_bytes: u64,
    /// Whether it was admitted as an emergency.
    #[serde(default, skip_serializing_if = "is_false")]
    pub emergency: bool,
    /// Whether it was taken over from another program's history: the time in its name is the one that it had there.
    #[serde(default, skip_serializing_if = "is_false")]
    pub imported: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// Where a restore brought things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestoreWay {
    /// Into a folder of the server.
    Folder,
    /// Into an archive, wherever that went.
    Archive,
    /// Metadata alone, onto a copy that was made by hand.
    Metadata,
}

/// How a restore ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestoreOutcome {
    /// All that was asked for came back as it was.
    Whole,
    /// Something was left out, or differs from its manifest.
    Partial,
    /// It stopped with an error.
    Failed,
    /// It was killed.
    Killed,
}

/// What an alarm is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alarm {
    /// Another installation pushes under this host's name.
    SecondInstallation,
    /// The installation used a counter twice: it was cloned or set back.
    CounterReused,
}
