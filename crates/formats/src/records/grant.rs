//! A grant: one archive that a host may fetch once, until a time. Document: docs/formats/grant.md.

use serde::{Deserialize, Serialize};

use super::record::{Record, RecordVersion};
use crate::id::{ContentHash, HostId, Root};

/// Longest grant, in hours.
pub const GRANT_HOURS: u32 = 168;

/// Who did something, as far as the machine can tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Number of the account.
    pub user: u32,
    /// Its name, or the number again.
    pub name: String,
}

/// What was asked for, and what it came to: `<records>/<host>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantRecord {
    /// `firn.grant/1.0`.
    pub format: RecordVersion,
    /// Whose history, and who may fetch.
    pub host: HostId,
    /// Name of the snapshot.
    pub snapshot: String,
    /// Root of its manifest.
    pub root: Root,
    /// What of it.
    pub path: String,
    /// How long it may be fetched once it is approved.
    pub hours: u32,
    /// Why.
    pub reason: String,
    /// When it was asked for, UTC.
    pub requested: String,
    /// By whom.
    pub requested_by: Person,
    /// What the approval came to; null while nobody has approved it.
    pub opened: Option<OpenedGrant>,
}

/// A grant that was approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenedGrant {
    /// Until when it may be fetched, UTC.
    pub until: String,
    /// Who approved it.
    pub approved_by: Person,
}

impl Record for GrantRecord {
    const NAME: &'static str = "firn.grant";
}

/// A copy lies in the outbox of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// Name of the snapshot.
    pub snapshot: String,
    /// What of it.
    pub path: String,
    /// Until when it may be fetched, UTC.
    pub until: String,
    /// Length of the archive.
    pub bytes: u64,
    /// Hash of the archive.
    pub archive: ContentHash,
    /// Who asked for it.
    pub requested_by: Person,
    /// Who approved it.
    pub approved_by: Person,
    /// Why.
    pub reason: String,
}

/// How a grant ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrantEnded {
    /// The last byte was handed out.
    Fetched,
    /// Its time is over.
    Expired,
    /// Somebody took it back, or it was never whole.
    Withdrawn,
}
