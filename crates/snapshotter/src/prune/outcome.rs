//! What came of one history's prune, as one line of JSON from the confined process to the one that started it.

use history::SnapshotName;
use serde::{Deserialize, Serialize};

use super::judge::{Fate, Guard, Refusal};

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Why nothing at all went, or was planned.
    pub(crate) refused: Option<String>,
    /// What kind of reason that is.
    pub(crate) why: Option<Why>,
    /// What does not exist any more.
    pub(crate) removed: Vec<String>,
    /// What a plan that had waited named, and is kept all the same.
    pub(crate) spared: Vec<Spared>,
    /// Bytes of files that are gone from the disk.
    pub(crate) freed_bytes: u64,
    /// What a later run may remove.
    pub(crate) planned: Vec<String>,
    /// How many snapshots there were when that was planned.
    pub(crate) snapshots: u64,
    /// Why the views of the host are not current.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) views: Option<String>,
}

/// A snapshot that stays, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spared {
    pub(crate) name: String,
    pub(crate) why: String,
}

/// Whether a person wanted it so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Why {
    /// A hold: it is known.
    Held,
    /// Something is odd, or overdue.
    Odd,
    /// The history is not what it should be.
    Damaged,
}

impl Spared {
    pub(super) fn by(guard: &Guard, name: &SnapshotName) -> Self {
        Self { name: name.to_string(), why: guard.to_string() }
    }
}

impl Outcome {
    /// Notes a refusal; what there is without one.
    pub(crate) fn judged(&mut self, fates: Result<Vec<Fate>, Refusal>) -> Option<Vec<Fate>> {
        match fates {
            Ok(fates) => Some(fates),
            Err(refusal) => {
                self.why = Some(match refusal {
                    Refusal::Held { .. } => Why::Held,
                    Refusal::OtherLog { .. } | Refusal::Short { .. } | Refusal::Missing { .. } => {
                        Why::Damaged
                    }
                    _ => Why::Odd,
                });
                self.refused = Some(refusal.to_string());
                None
            }
        }
    }
}
