//! How the last run went, and the last one that was accepted: for `status`, and for an estimate of the next.

use std::collections::BTreeMap;

use cli::Exit;
use durable::{Dir, Name};
use serde::{Deserialize, Serialize};

use super::StateError;

const FILE: Name<'static> = Name::literal("runs");
const FORMAT: &str = "firn.runs/1.0";
const FORMAT_MAJOR: &str = "firn.runs/1.";
/// Longest file, in bytes.
const BYTES_MAX: u64 = 64 * 1024;

/// The file `runs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Runs {
    format: String,
    /// The last that was begun, whatever came of it.
    pub last: RunRecord,
    /// The last whose push was accepted while it waited.
    pub accepted: Option<RunRecord>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// When it began, seconds since 1970.
    pub started: i64,
    /// How long it took.
    pub seconds: f64,
    /// What it ended with.
    pub exit: u8,
    /// As in the report.
    pub counts: BTreeMap<String, u64>,
}

impl RunRecord {
    /// A count; 0 if it is not there.
    pub fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or_default()
    }
}

impl Runs {
    /// What is known after `last`, which was accepted or not, and of what was known `before`.
    pub fn after(last: RunRecord, accepted: bool, before: Option<Runs>) -> Self {
        let accepted = if accepted { Some(last.clone()) } else { before.and_then(|runs| runs.accepted) };
        Self { format: FORMAT.to_owned(), last, accepted }
    }

    /// When the last run started that walked to its end: accepted, or sealed and not yet judged.
    pub fn walked(&self) -> Option<i64> {
        let walked = [Exit::WHOLE, Exit::LEFT_OUT, Exit::PENDING].map(Exit::code).contains(&self.last.exit);
        if walked { Some(self.last.started) } else { self.accepted.as_ref().map(|run| run.started) }
    }

    /// What the folder knows; nothing if the file is not there or cannot be read: it is told, and decides nothing.
    pub(super) fn load(dir: &Dir) -> Result<Option<Self>, StateError> {
        let Some(bytes) = super::folder::read_small(dir, FILE, BYTES_MAX)? else { return Ok(None) };
        let read = serde_json::from_slice::<Self>(&bytes).ok();
        Ok(read.filter(|runs| runs.format.starts_with(FORMAT_MAJOR)))
    }

    pub(super) fn save(&self, dir: &Dir) -> Result<(), StateError> {
        let mut line = serde_json::to_vec(self)
            .map_err(|error| StateError::File { name: "runs".to_owned(), source: error.into() })?;
        line.push(b'\n');
        Ok(dir.write_whole(FILE, &line, 0o600)?)
    }
}
