//! What a prune of one host's history may remove, once it has waited; the server's key signs it. Document: docs/formats/prune-plan.md.

use serde::{Deserialize, Serialize};

use super::record::{Record, RecordVersion};
use crate::id::{ContentHash, HostId, Root};
use crate::version::Version;

/// Most snapshots in one plan.
pub const PLANNED: usize = 10_000;
/// Longest plan.
pub const PLAN_BYTES: usize = 4 * 1024 * 1024;

/// Of plans that are signed.
const SECOND: Version = Version { major: 2, minor: 0 };

/// One plan. Nothing is removed that no plan names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrunePlan {
    /// `firn.prune-plan/2.0`; one of 1.0 was not signed, and names nothing any more.
    pub format: RecordVersion,
    /// Whose history.
    pub host: HostId,
    /// When it was made, UTC.
    pub written: String,
    /// Number of lines of the log that it was made of.
    pub line: u64,
    /// Hash of the last of them.
    pub log_head: ContentHash,
    /// How many snapshots there were.
    pub snapshots: u64,
    /// Number of lines of the log when something was found that stays odd until a person has looked: `written` to `snapshots` are then those of the
    /// last plan before. Absent if nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubted_line: Option<u64>,
    /// Why it names none, if that has a reason.
    pub refused: Option<String>,
    /// What may be removed, oldest first; empty once it is carried out or withdrawn.
    pub remove: Vec<PlannedSnapshot>,
}

/// A snapshot that no rule keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedSnapshot {
    /// Its name.
    pub name: String,
    /// Its sequence.
    pub sequence: u64,
    /// Root of its manifest.
    pub root: Root,
}

impl Record for PrunePlan {
    const NAME: &'static str = "firn.prune-plan";
    const VERSION: Version = SECOND;
    const READS: &'static [Version] = &[Version::ONE, SECOND];
    const LONGEST_BYTES: usize = PLAN_BYTES;
}
