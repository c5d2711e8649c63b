//! The ledger: which ice lies in which vault, and until when. Document: docs/formats/ice.md.

use serde::{Deserialize, Serialize};

use super::ice::IceRecord;
use super::record::{Record, RecordVersion};
use crate::id::ContentHash;
use crate::version::Version;

/// Longest line of a ledger.
pub const LEDGER_LINE_BYTES: usize = 32 * 1024 * 1024;

/// One line: one ice in one vault, when it was stored or when its locks were extended. The last line of an ice holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerLine {
    /// `firn.ledger/2.0`.
    pub format: RecordVersion,
    /// Counts from 1.
    pub line: u64,
    /// Hash of the line before, newline included; [`LedgerLine::first_previous`] for the first.
    pub previous: ContentHash,
    /// When it was written, UTC.
    pub time: String,
    /// Name of the vault in the settings.
    pub vault: String,
    /// All objects of the ice are locked at least until then, UTC.
    pub retain_until: String,
    /// The ice.
    pub ice: IceRecord,
    /// What the vault said about each object: the segments in order, the catalogue, the record.
    pub receipts: Vec<LedgerReceipt>,
}

/// What the vault said about one object, read back after it was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerReceipt {
    /// Its name.
    pub object: String,
    /// Its version, in vaults that have versions.
    pub version: Option<String>,
    /// Its length.
    pub bytes: u64,
    /// Locked until then, UTC.
    pub retain_until: String,
}

impl Record for LedgerLine {
    const NAME: &'static str = "firn.ledger";
    const VERSION: Version = Version { major: 2, minor: 0 };
    const LONGEST_BYTES: usize = LEDGER_LINE_BYTES;
}

impl LedgerLine {
    /// The hash that the first line has as `previous`.
    pub fn first_previous() -> ContentHash {
        ContentHash::of(b"firn ledger")
    }
}
