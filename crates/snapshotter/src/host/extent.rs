//! How far a verb goes.

/// Does it, or only says what it would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Do,
    OnlySay,
}

impl Extent {
    /// From `--dry-run`.
    pub(crate) fn new(dry_run: bool) -> Self {
        if dry_run { Extent::OnlySay } else { Extent::Do }
    }
}
