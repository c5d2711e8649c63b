//! The lock of one object in a `file:` vault. Document: docs/formats/ice.md.

use serde::{Deserialize, Serialize};

use super::record::{Record, RecordVersion};
use crate::id::ContentHash;

/// What is promised about one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockRecord {
    /// `firn.lock/1.0`.
    pub format: RecordVersion,
    /// Name of the object.
    pub object: String,
    /// Its length.
    pub bytes: u64,
    /// Its BLAKE3.
    pub hash: ContentHash,
    /// When it was stored, UTC.
    pub stored: String,
    /// Until when it is locked, UTC.
    pub retain_until: String,
}

impl Record for LockRecord {
    const NAME: &'static str = "firn.lock";
}
