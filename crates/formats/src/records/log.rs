//! The snapshot log of one host. Document: docs/formats/snapshot-log.md.

use serde::{Deserialize, Serialize};

use super::record::{Record, RecordVersion};
use crate::id::{ContentHash, HostId, InstallationId, PushId, Root};
use crate::version::Version;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// `firn.log/1.0`; `firn.log/1.1` or `1.2` where the event says something that 1.0 does not have. See [`LogLine::format_for`].
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

impl Record for LogLine {
    const NAME: &'static str = "firn.log";
}

impl LogLine {
    /// The version of a line with this event: no higher than it needs.
    pub fn format_for(event: &Event) -> RecordVersion {
        let minor = match event {
            Event::Ingest(ingest) if ingest.imported => 2,
            Event::Ingest(ingest) => u16::from(ingest.emergency),
            Event::Reject { emergency, .. } => u16::from(*emergency),
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
    /// Expiry stops for this host.
    Hold {
        /// Why.
        reason: String,
    },
    /// Expiry goes on.
    Release {
        /// Why.
        reason: String,
    },
    /// The base was set to none: the next push is whole.
    Reset {
        /// Why.
        reason: String,
    },
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

/// What an alarm is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alarm {
    /// Another installation pushes under this host's name.
    SecondInstallation,
    /// The installation used a counter twice: it was cloned or set back.
    CounterReused,
}
