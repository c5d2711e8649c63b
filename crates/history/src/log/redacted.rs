//! Contents that were redacted: gone from all snapshots that there were then. A later snapshot can have one again, if its host pushed it anew.

use std::collections::BTreeMap;

use formats::ContentHash;
use formats::records::log::LogLine;
use formats::records::redaction::{REDACTED, Redaction};

use super::state::Log;
use crate::error::LogDefect;

/// A content that was redacted, the last time if it was more than once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redacted {
    /// Its length.
    pub size: u64,
    /// Sequence of the newest snapshot that it is gone from: it is gone from all older ones, too.
    pub through: u64,
    /// When, by the server's clock.
    pub time: String,
    /// Line of the log that says so.
    pub line: u64,
}

/// All contents that were redacted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redactions(BTreeMap<ContentHash, Redacted>);

impl Redactions {
    /// The redaction by which this content is gone from the snapshot with this sequence; none if it should be there.
    #[must_use]
    pub fn of(&self, content: &ContentHash, sequence: u64) -> Option<&Redacted> {
        self.0.get(content).filter(|redacted| sequence <= redacted.through)
    }

    /// All of them, by hash.
    pub fn iter(&self) -> impl Iterator<Item = (&ContentHash, &Redacted)> {
        self.0.iter()
    }

    /// The newest line that redacts; 0 if there is none.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.0.values().map(|one| one.line).max().unwrap_or(0)
    }

    /// Whether nothing ever was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Log {
    /// What was redacted.
    #[must_use]
    pub fn redacted(&self) -> &Redactions {
        &self.redactions
    }

    /// No file of the snapshot with this sequence is to be taken for this content: it was lost, or redacted.
    #[must_use]
    pub fn lacks(&self, content: &ContentHash, sequence: u64) -> bool {
        self.rotten.contains_key(content) || self.redactions.of(content, sequence).is_some()
    }

    pub(super) fn redact(&mut self, line: &LogLine, redaction: &Redaction) -> Result<(), LogDefect> {
        let contents = &redaction.contents;
        if contents.is_empty() || contents.len() > REDACTED || contents.iter().any(|one| one.size == 0) {
            return Err(LogDefect::Snapshot("redacts nothing, or too much"));
        }
        if self.next_sequence() == 1 || self.hold().is_some() {
            return Err(LogDefect::Snapshot("redacts what is not there, or is on hold"));
        }
        let through = self.next_sequence() - 1;
        for one in contents {
            let (time, line) = (line.time.clone(), line.line);
            self.redactions.0.insert(one.content, Redacted { size: one.size, through, time, line });
            // It is not wanted back.
            self.rotten.remove(&one.content);
        }
        Ok(())
    }
}
