//! What a history is charged with, and what its budget still has.

use formats::Admission;
use history::{Log, Snapshot};

/// What an entry costs in every snapshot, besides its content: a name in a folder, a line in a manifest.
const ENTRY_BYTES: u64 = 128;

/// What one snapshot is charged with.
pub(crate) fn of_snapshot(new_bytes: u64, entries: u64) -> u64 {
    new_bytes.saturating_add(entries.saturating_mul(ENTRY_BYTES))
}

/// What all snapshots together are charged with: their names, and each content as long as one of them has it.
pub(crate) fn of_log(log: &Log) -> u64 {
    let names = |sum: u64, snapshot: &Snapshot| sum.saturating_add(of_snapshot(0, snapshot.entries));
    log.snapshots().iter().fold(log.content_bytes(), names)
}

/// What one more snapshot may cost; none if there is no budget.
pub(crate) fn left(log: &Log, admission: &Admission) -> Option<u64> {
    let budget = Some(admission.history_bytes).filter(|bytes| *bytes < u64::MAX)?;
    Some(budget.saturating_sub(of_log(log)))
}
