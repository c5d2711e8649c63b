//! How the ice of each host stands, as iceboxer publishes it for whoever looks after the hosts. Document: docs/formats/standing.md.

use serde::{Deserialize, Serialize};

use super::ice_id::IceId;
use super::record::{Record, RecordVersion};
use crate::id::HostId;

/// Longest standing.
pub const STANDING_BYTES: usize = 32 * 1024 * 1024;

/// What the ledger and the drill records came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingRecord {
    /// `firn.standing/1.0`.
    pub format: RecordVersion,
    /// When it was written, UTC.
    pub written: String,
    /// Names of the vaults that the settings name, sorted.
    pub vaults: Vec<String>,
    /// Whether there were drill records to be read. If not, that nothing is proved says nothing.
    pub drills: DrillsKnown,
    /// One for each host and vault that the ledger names, sorted by both.
    pub ices: Vec<StandingIce>,
}

/// Whether drill records were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrillsKnown {
    /// They were read.
    Read,
    /// The settings name no folder of them, or it could not be read.
    Unknown,
}

/// The newest ice of one host in one vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingIce {
    /// Whose.
    pub host: HostId,
    /// Where.
    pub vault: String,
    /// Which.
    pub ice: IceId,
    /// The newest snapshot in it.
    pub snapshot: String,
    /// When it was made, UTC.
    pub stored: String,
    /// Locked at least until then, UTC.
    pub retain_until: String,
    /// Whether a drill has found damage in it.
    pub damage: Damage,
    /// The newest ice that is proved; none if none is.
    pub proved: Option<StandingProved>,
}

/// Whether a drill has found damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Damage {
    /// No drill has found any.
    None,
    /// One has, in it or in a segment that it shares.
    Found,
}

/// Ice that a drill has proved, and no later one has found damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingProved {
    /// Which.
    pub ice: IceId,
    /// The newest snapshot in it.
    pub snapshot: String,
    /// When the last drill that proved it ended, UTC.
    pub drilled: String,
    /// Locked at least until then, UTC.
    pub retain_until: String,
}

impl Record for StandingRecord {
    const NAME: &'static str = "firn.standing";
    const LONGEST_BYTES: usize = STANDING_BYTES;
}
