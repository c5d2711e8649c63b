//! What came of one push, as one line of JSON from the confined process to the one that started it.

use serde::{Deserialize, Serialize};

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// What happened.
    pub(crate) end: End,
    /// The push, where known.
    pub(crate) push: Option<String>,
    /// Number and words of the code, of a rejection.
    pub(crate) code: Option<(u16, String)>,
    /// The snapshot that it became, or that it is the same as.
    pub(crate) snapshot: Option<String>,
    /// Its entries.
    pub(crate) entries: u64,
    /// Changes that the push carried.
    pub(crate) changes: u64,
    /// Bytes of content that were new.
    pub(crate) new_bytes: u64,
    /// Copies among them, of contents with more names than an inode can bear.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(crate) copies: u64,
    /// Paths that the client could not read.
    pub(crate) left_out: u64,
    /// Whether it was admitted as an emergency.
    #[serde(default)]
    pub(crate) is_emergency: bool,
    /// Alarms that the push raised.
    pub(crate) alarms: Vec<String>,
    /// Why it could not be compared with what the host had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unmeasured: Option<String>,
    /// What the history was found to have lost.
    pub(crate) lost: Option<String>,
    /// Contents that the history had lost, and has again everywhere.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(crate) healed: u64,
    /// Why what the push brought again could not be put back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unhealed: Option<String>,
    /// Why the views of the host are not current.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) views: Option<String>,
    /// Push files that still wait.
    pub(crate) waiting: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// What happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum End {
    /// Nothing was sealed.
    #[default]
    Idle,
    /// A snapshot was made.
    Accepted,
    /// The push was accepted, and is the same as the newest snapshot.
    Unchanged,
    /// The push was refused.
    Rejected,
    /// The push had its verdict already.
    Repeated,
}

impl End {
    /// Whether the push was accepted by this run.
    pub(crate) fn is_accepted(self) -> bool {
        matches!(self, End::Accepted | End::Unchanged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who takes files for an appliance forgets them when they are safe.
    #[test]
    fn a_push_that_changed_nothing_is_as_safe_as_a_snapshot() {
        let accepted = [End::Idle, End::Accepted, End::Unchanged, End::Rejected, End::Repeated];
        assert_eq!(accepted.map(End::is_accepted), [false, true, true, false, false]);
    }
}
