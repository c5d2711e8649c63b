//! Contents that a history has lost, until they are healed.

use std::collections::BTreeMap;

use formats::ContentHash;
use formats::records::log::{Event, LogLine};

use super::state::Log;

/// A content that names of this history should have and do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotten {
    /// Its length.
    pub size: u64,
    /// Names without it, over all snapshots, when it was noted.
    pub names: u64,
    /// Since when that is known, by the server's clock.
    pub time: String,
}

impl Log {
    /// What is lost and not healed yet.
    #[must_use]
    pub fn rotten(&self) -> &BTreeMap<ContentHash, Rotten> {
        &self.rotten
    }

    pub(super) fn rot(&mut self, line: &LogLine) {
        match &line.event {
            Event::Rot { content, size, names, .. } => {
                let time = line.time.clone();
                self.rotten.insert(*content, Rotten { size: *size, names: *names, time });
            }
            Event::Healed { content, .. } => {
                self.rotten.remove(content);
            }
            _ => {}
        }
    }
}
