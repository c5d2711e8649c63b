//! Names of contents that the log calls redacted: zeros of the right length, and nothing else, are as it should be.

use std::collections::BTreeSet;
use std::fs::File;

use cli::Run;
use durable::Stat;
use formats::{ContentHash, HostId};
use history::{Redactions, is_blank};

use super::inode::Inodes;

/// What was found of what was redacted.
#[derive(Debug)]
pub(super) struct Blanks {
    redactions: Redactions,
    /// Whether each is zeros.
    blank: Inodes<bool>,
    names: u64,
    contents: BTreeSet<ContentHash>,
}

impl Blanks {
    /// Of this log; nothing found yet.
    pub(super) fn new(redactions: &Redactions) -> Self {
        let redactions = redactions.clone();
        Self { redactions, blank: Inodes::new(), names: 0, contents: BTreeSet::new() }
    }

    /// The log has more of them.
    pub(super) fn judge_by(&mut self, redactions: &Redactions) {
        self.redactions = redactions.clone();
    }

    /// Whether this content is gone from the snapshot with this sequence, by the log. Remembers it.
    pub(super) fn names(&mut self, content: &ContentHash, sequence: u64) -> bool {
        let is_one = self.redactions.of(content, sequence).is_some();
        if is_one {
            self.contents.insert(*content);
        }
        is_one
    }

    /// Looks at one such name; tells what is wrong with it.
    pub(super) fn look(&mut self, file: durable::Result<File>, stat: &Stat, size: u64) -> Result<(), String> {
        self.names += 1;
        let is_good = match self.blank.get(stat) {
            Some(is_good) => is_good && stat.size == size,
            None => {
                let unread =
                    |error: &dyn std::fmt::Display| format!("was redacted, and cannot be read: {error}");
                let file = file.map_err(|error| unread(&error))?;
                // It may be another one by now.
                let stat = Stat::of(&file).map_err(|error| unread(&error))?;
                let is_good = is_blank(&file, size).map_err(|error| unread(&error))?;
                self.blank.add(&stat, is_good);
                is_good
            }
        };
        if is_good {
            Ok(())
        } else {
            Err("was redacted, and is not zeros: the redaction was not finished".to_owned())
        }
    }

    /// How many there are.
    pub(super) fn told(&self, run: &mut Run, host: &HostId) {
        if self.names > 0 {
            let contents = self.contents.len();
            run.line(&format!(
                "{host}: {} names of {contents} contents are redacted, by its log",
                self.names
            ));
            run.report().count("redacted_names", self.names);
            run.report().count("redacted_contents", contents as u64);
        }
    }
}
