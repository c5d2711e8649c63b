//! A redaction: contents that the law demands to be gone from a history. Document: docs/formats/redaction.md.

use serde::{Deserialize, Serialize};

use super::grant::Person;
use super::record::{Record, RecordVersion};
use crate::id::{ContentHash, HostId};

/// Most contents of one redaction, so that all of them are in one line of the log.
pub const REDACTED: usize = 400;
/// Most ices that the line names.
pub const REDACTED_ICE: usize = 64;
/// Longest path that is noted; what is longer is cut, and ends in `...`.
pub const REDACTED_PATH_BYTES: usize = 1_000;

/// A content that is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RedactedContent {
    /// Its hash.
    pub content: ContentHash,
    /// Its length.
    pub size: u64,
}

/// What was asked for: `<records>/<host>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedactionRecord {
    /// `firn.redaction/1.0`.
    pub format: RecordVersion,
    /// Whose history.
    pub host: HostId,
    /// The path that was typed, as it is shown; none if hashes were.
    pub path: Option<String>,
    /// What is to go, sorted by hash: from every snapshot that there was when it was approved.
    pub contents: Vec<RedactedContent>,
    /// Why.
    pub reason: String,
    /// When it was asked for, UTC.
    pub requested: String,
    /// By whom.
    pub requested_by: Person,
}

impl Record for RedactionRecord {
    const NAME: &'static str = "firn.redaction";
}

/// Contents do not exist any more in the snapshots that there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redaction {
    /// The path that was typed, as it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What is gone, sorted by hash.
    pub contents: Vec<RedactedContent>,
    /// Names that had one of them, over all snapshots.
    pub names: u64,
    /// Snapshots that these names are in.
    pub snapshots: u64,
    /// Who asked for it.
    pub requested_by: Person,
    /// Who approved it.
    pub approved_by: Person,
    /// Why.
    pub reason: String,
    /// How many ices are known to have been made of these snapshots before; none where nobody could tell.
    pub ices: Option<u64>,
    /// Of these, those that are locked for longest: at most [`REDACTED_ICE`].
    pub ice: Vec<IceBefore>,
}

/// An ice that still has what was redacted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceBefore {
    /// Name of its vault.
    pub vault: String,
    /// Its id.
    pub ice: String,
    /// Locked at least until then, UTC.
    pub retain_until: String,
}
