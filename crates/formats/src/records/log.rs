//! The snapshot log of one host. Document: docs/formats/snapshot-log.md.

use serde::{Deserialize, Serialize};

use super::grant::{GrantEnded, Granted};
use super::record::{Record, RecordVersion};
use super::redaction::Redaction;
use crate::id::{ContentHash, HostId, InstallationId, PushId, Root};
use crate::version::Version;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// `firn.log/1.0`; `firn.log/1.1`, `1.2`, `1.3`, `1.4` or `2.0` where the event says something that the one before does not have. See
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
            Event::Ingest(Ingest { measured: Some(_), .. }) => 4,
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
    /// A push was accepted, and is the same as the newest snapshot: there is no other.
    Unchanged(Unchanged),
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
        /// What was measured, if it is one of a tripwire.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tripwire: Option<Box<Tripped>>,
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
    /// The history does not have this content any more, or not everywhere: it is wanted again.
    Rot {
        /// Its hash.
        content: ContentHash,
        /// Its length.
        size: u64,
        /// Names, over all snapshots, that should have it and do not.
        names: u64,
        /// Snapshots that these names are in.
        snapshots: u64,
    },
    /// Every name that should have this content has it.
    Healed {
        /// Its hash.
        content: ContentHash,
        /// Names that were given it again.
        names: u64,
        /// Where it came from.
        by: Healer,
    },
    /// A copy of one path of one snapshot lies in the outbox of the host.
    Grant(Granted),
    /// It does not any more.
    GrantEnd {
        /// Line of the log that opened it.
        grant: u64,
        /// How it ended.
        how: GrantEnded,
    },
    /// Contents are gone from all snapshots that there are, by demand of the law.
    Redact(Box<Redaction>),
}

/// Where a content came from that the history had lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Healer {
    /// The host pushed it again.
    Push,
    /// Another file of the same history has it.
    History,
    /// Nowhere: no snapshot names it any more.
    Nobody,
}

impl Event {
    /// Whether a reader of version 1 would be wrong about the history if it passed this over.
    fn is_of_second(&self) -> bool {
        match self {
            Event::Hold { snapshot, .. } | Event::Release { snapshot, .. } => snapshot.is_some(),
            Event::Alarm { tripwire, .. } => tripwire.is_some(),
            Event::Unchanged(_)
            | Event::Verify { .. }
            | Event::Prune { .. }
            | Event::Freed { .. }
            | Event::Rot { .. }
            | Event::Healed { .. }
            | Event::Restore { .. }
            | Event::Grant(_)
            | Event::GrantEnd { .. }
            | Event::Redact(_) => true,
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
    /// How it differs from the snapshot before it; none where it differs in none of that, or was not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
}

/// An accepted push in which nothing differs from the newest snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unchanged {
    /// Sequence of that snapshot.
    pub sequence: u64,
    /// Root of its manifest, and of the push.
    pub root: Root,
    /// Paths the client could not read.
    pub left_out: u64,
    /// The push.
    pub push: PushId,
    /// The installation that pushed.
    pub installation: InstallationId,
    /// That installation's counter.
    pub counter: u64,
    /// Start of the push by the host's clock, seconds since 1970.
    pub started: i64,
    /// The host's time zone.
    pub zone: String,
    /// Whether it was admitted as an emergency.
    #[serde(default, skip_serializing_if = "is_false")]
    pub emergency: bool,
}

/// How a snapshot differs from the one before it, in regular files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Files of the one before.
    pub files: u64,
    /// Of these, what has other bytes now.
    pub changed: u64,
    /// What is not there any more.
    pub deleted: u64,
    /// What has other bytes, and less than a quarter of its size.
    pub shrunken: u64,
    /// What was not like noise and is now; an estimate where there were many to look at.
    pub noise: u64,
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
    /// Many files have other bytes.
    Changed,
    /// Many files are gone.
    Deleted,
    /// Many files are much smaller.
    Shrunken,
    /// Many files that were not like noise are like it now.
    Noise,
    /// Many files were replaced by such with one ending that the host never had.
    Extension,
    /// A file that nobody has to touch was touched.
    Canary,
}

/// What a tripwire measured, and what it may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tripped {
    /// Name of the snapshot that the push was compared with.
    pub compared: String,
    /// How many files.
    pub found: u64,
    /// Of how many.
    pub of: u64,
    /// From how many on it is an alarm.
    pub limit: u64,
    /// The ending, of an alarm about one, as text that can be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// Some of the paths, as text that can be shown: at most [`Tripped::PATHS_MAX`] of [`Tripped::PATH_BYTES_MAX`] bytes.
    pub paths: Vec<String>,
}

impl Tripped {
    /// Most paths.
    pub const PATHS_MAX: usize = 5;
    /// Longest path; what is longer is cut, and ends in `...`.
    pub const PATH_BYTES_MAX: usize = 200;
}
