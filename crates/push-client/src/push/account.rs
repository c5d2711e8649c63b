//! What a push did, counted as it goes: there after a failure too.

use std::time::Duration;

use super::phases::{Phase, Phases};
use super::session::Warning;

/// Most paths that are named; all are counted.
const NAMED_MAX: usize = 1_000;

/// What is counted. The names are those of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Entries of the new manifest.
    Entries,
    /// Entries taken over from the base without a look inside.
    Unchanged,
    /// Files read.
    ReadFiles,
    /// Bytes read from them.
    ReadBytes,
    /// Contents sent.
    SentContents,
    /// Bytes of the push file that were sent.
    SentBytes,
    /// Differences from the base.
    Changes,
    /// Names that were gone when they were looked at.
    Vanished,
    /// Mount points that were not crossed.
    OtherFileSystems,
    /// Names that the settings exclude, and folders whose content a tag file excludes.
    Excluded,
    /// Untouched files that were read again.
    Reread,
    /// Of them, those with another content.
    SilentChanges,
    /// Contents that were offered before they were sent.
    OfferedContents,
    /// Of them, those that the server had.
    HadContents,
}

impl Count {
    /// All of them.
    pub const ALL: [Count; 14] = [
        Count::Entries,
        Count::Unchanged,
        Count::ReadFiles,
        Count::ReadBytes,
        Count::SentContents,
        Count::SentBytes,
        Count::Changes,
        Count::Vanished,
        Count::OtherFileSystems,
        Count::Excluded,
        Count::Reread,
        Count::SilentChanges,
        Count::OfferedContents,
        Count::HadContents,
    ];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Count::Entries => "entries",
            Count::Unchanged => "unchanged",
            Count::ReadFiles => "read_files",
            Count::ReadBytes => "read_bytes",
            Count::SentContents => "sent_contents",
            Count::SentBytes => "sent_bytes",
            Count::Changes => "changes",
            Count::Vanished => "vanished",
            Count::OtherFileSystems => "other_file_systems",
            Count::Excluded => "excluded",
            Count::Reread => "reread",
            Count::SilentChanges => "silent_changes",
            Count::OfferedContents => "offered_contents",
            Count::HadContents => "had_contents",
        }
    }
}

/// The counts, and the paths that were left out.
#[derive(Debug, Default)]
pub struct Account {
    counts: [u64; Count::ALL.len()],
    /// The first of the paths that were left out, and why.
    pub left_out: Vec<(Vec<u8>, String)>,
    /// How many were left out in all.
    pub left_out_count: u64,
    phases: Phases,
    /// What the server has warned of.
    pub warnings: Vec<Warning>,
    /// When a new try makes sense, if the server refused this one.
    pub retry_seconds: Option<u32>,
}

impl Account {
    /// Adds to a count.
    pub fn add(&mut self, count: Count, by: u64) {
        if let Some(number) = self.counts.get_mut(count as usize) {
            *number = number.saturating_add(by);
        }
    }

    /// A count so far.
    pub fn get(&self, count: Count) -> u64 {
        self.counts.get(count as usize).copied().unwrap_or_default()
    }

    /// From now on time counts for `phase`; for none if there is none.
    pub fn enter(&mut self, phase: Option<Phase>) {
        self.phases.enter(phase);
    }

    /// The time a phase took, as far as it has ended.
    pub fn spent(&self, phase: Phase) -> Duration {
        self.phases.spent(phase)
    }

    /// Names a path that is not, or not wholly, in the push.
    pub fn leave_out(&mut self, path: &[u8], why: String) {
        self.left_out_count = self.left_out_count.saturating_add(1);
        if self.left_out.len() < NAMED_MAX {
            self.left_out.push((path.to_vec(), why));
        }
    }
}
