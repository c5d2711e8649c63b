//! What a history is charged with, and what its budget still has.

use formats::Admission;
use formats::limits::FLAT_ENTRY_BYTES;
use history::{Log, Snapshot};

/// What one snapshot takes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    /// Bytes of content that are new, and of copies where an inode could bear no more names.
    pub(crate) new_bytes: u64,
    /// Its entries: each costs a name in a folder and a line in a manifest, besides its content.
    pub(crate) entries: u64,
    /// By how much these are longer than usual ([`formats::Entry::long_bytes`]).
    pub(crate) long_entry_bytes: u64,
}

impl Cost {
    /// What it is charged with.
    pub(crate) fn bytes(self) -> u64 {
        let flat_bytes = self.entries.saturating_mul(FLAT_ENTRY_BYTES);
        self.new_bytes.saturating_add(flat_bytes).saturating_add(self.long_entry_bytes)
    }

    fn of_snapshot(snapshot: &Snapshot) -> Self {
        let Snapshot { new_bytes, entries, long_entry_bytes, .. } = *snapshot;
        Self { new_bytes, entries, long_entry_bytes }
    }
}

/// What a push in which nothing had changed is charged with: its line of the log, which stays for good.
const UNCHANGED_BYTES: u64 = 512;

/// What all snapshots together are charged with: their names, and each content as long as one of them has it; and the pushes that are none.
pub(crate) fn of_log(log: &Log) -> u64 {
    // Contents are counted once for all of them.
    let others = |snapshot: &Snapshot| Cost { new_bytes: 0, ..Cost::of_snapshot(snapshot) }.bytes();
    let unchanged = (log.unchanged_pushes().len() as u64).saturating_mul(UNCHANGED_BYTES);
    let start = log.content_bytes().saturating_add(unchanged);
    log.snapshots().iter().fold(start, |sum, snapshot| sum.saturating_add(others(snapshot)))
}

/// What one more snapshot may cost; none if there is no budget.
pub(crate) fn left(log: &Log, admission: &Admission) -> Option<u64> {
    let budget = Some(admission.history_bytes).filter(|bytes| *bytes < u64::MAX)?;
    Some(budget.saturating_sub(of_log(log)))
}
