//! The drill record: proof that ice restores. Document: docs/formats/drill-record.md.

use serde::{Deserialize, Serialize};

use super::ice_id::{Fingerprint, IceId};
use super::record::{Record, RecordVersion};
use crate::id::{ContentHash, Root};

/// Longest drill record.
pub const DRILL_RECORD_BYTES: usize = 16 * 1024 * 1024;

/// What one drill proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillRecord {
    /// `firn.drill/1.0`.
    pub format: RecordVersion,
    /// Which ice.
    pub ice: IceId,
    /// Name of the vault it came from.
    pub vault: String,
    /// When it began, UTC.
    pub started: String,
    /// When it ended, UTC.
    pub finished: String,
    /// Name and version of the program.
    pub tool: String,
    /// How it ended.
    pub result: DrillResult,
    /// Why it failed; none if it did not.
    pub failure: Option<DrillFailure>,
    /// Segments fetched and decrypted.
    pub segments: u64,
    /// Bytes fetched.
    pub bytes: u64,
    /// What was compared with its manifest, entry by entry.
    pub snapshots: Vec<DrilledSnapshot>,
    /// What the image could not hold.
    pub from_manifest: Vec<FromManifest>,
    /// Fingerprint of the key that decrypted; none if nothing was decrypted.
    pub key: Option<Fingerprint>,
    /// BLAKE3 of the image; none if it never was whole.
    pub image_hash: Option<ContentHash>,
}

/// How a drill ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrillResult {
    /// Everything was read and is what its manifest says.
    Proved,
    /// Not so.
    Failed,
}

/// Why a drill failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillFailure {
    /// Exit code of the program (docs/exit-codes.md).
    pub code: u8,
    /// In words.
    pub text: String,
}

/// One snapshot of which every entry was compared and every content hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrilledSnapshot {
    /// Its name.
    pub name: String,
    /// Root of its manifest.
    pub root: Root,
    /// Entries compared.
    pub entries: u64,
    /// Files among them.
    pub files: u64,
    /// Bytes of content hashed.
    pub content_bytes: u64,
}

/// One kind of thing that a restore takes from the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FromManifest {
    /// Which kind.
    pub what: Supplied,
    /// How many entries it concerns.
    pub count: u64,
}

/// What an image cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Supplied {
    /// Extended attributes and ACLs.
    ExtendedAttributes,
    /// Times finer than a second.
    Nanoseconds,
    /// Which names share an inode.
    HardLinks,
    /// Symlink targets of 256 bytes and more.
    LongSymlinks,
    /// Sockets.
    Sockets,
    /// Devices whose numbers are too large for an image.
    DeviceNumbers,
    /// Times before 1970 or after 2106.
    ClampedMtimes,
    /// Owners beyond the image's table.
    Owners,
    /// Names whose content was redacted before the image was made: it has zeros there, as its ice record says. No restore brings them.
    Redacted,
}

impl Record for DrillRecord {
    const NAME: &'static str = "firn.drill";
    const LONGEST_BYTES: usize = DRILL_RECORD_BYTES;
}
