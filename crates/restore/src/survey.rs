//! What a manifest tells before anything is made.

use formats::{Entry, Kind};

use crate::{Leaders, Selection};

/// What one reading of a manifest gathers. It counts only if the manifest proves good at its end.
#[derive(Debug)]
pub struct Survey {
    pub(crate) selection: Selection,
    pub(crate) leaders: Leaders,
    /// Sizes of the files that are asked for.
    pub bytes: u64,
    /// True if something is there by the path that is asked for.
    pub found: bool,
}

impl Survey {
    /// Of what `selection` asks for.
    #[must_use]
    pub fn new(selection: Selection) -> Self {
        let found = selection == Selection::All;
        Survey { selection, leaders: Leaders::default(), bytes: 0, found }
    }

    /// What is asked for.
    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Takes note of the next entry.
    pub fn gather(&mut self, entry: &Entry) {
        self.leaders.gather(entry);
        self.found |= matches!(&self.selection, Selection::Beneath(path) if *path == entry.path);
        if let Some(Kind::File { size, .. }) = entry.node().map(|node| &node.kind)
            && self.selection.holds(&entry.path)
        {
            self.bytes = self.bytes.saturating_add(*size);
        }
    }
}
