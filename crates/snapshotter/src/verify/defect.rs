//! What is not as it should be, named one by one and counted.

use cli::{Exit, Failed, Run};
use formats::HostId;
use history::Snapshot;

use crate::trouble::Trouble;

/// Most defects that the report names; the count tells how many there are.
const NAMED_MAX: usize = 1_000;

/// Which kind of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// A log or a manifest.
    Record,
    /// The files of a snapshot.
    Files,
}

/// All that was found.
#[derive(Debug, Default)]
pub(super) struct Defects {
    count: u64,
    files: u64,
    named: Vec<serde_json::Value>,
}

impl Defects {
    /// One more. Bytes from outside are in `text` as `cli::shown` gives them.
    pub(super) fn add(
        &mut self,
        run: &mut Run,
        what: What,
        host: &HostId,
        snapshot: Option<&Snapshot>,
        text: &str,
    ) {
        self.count += 1;
        self.files += u64::from(what == What::Files);
        let place = match snapshot {
            Some(snapshot) => format!("{host}/{}", snapshot.name),
            None => host.to_string(),
        };
        run.line(&format!("{place}: {text}"));
        if self.named.len() < NAMED_MAX {
            self.named.push(serde_json::json!({ "where": place, "what": text }));
        }
    }

    /// How many there are so far.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The end: fine, or how bad it is.
    pub(super) fn end(self, run: &mut Run) -> Result<Exit, Failed> {
        run.report().count("defects", self.count);
        run.report().detail("defects", self.named);
        match (self.count, self.files) {
            (0, _) => {
                run.line("no defects");
                Ok(Exit::WHOLE)
            }
            (count, 0) => Err(Trouble::Defects { count, exit: Exit::DAMAGED }.into()),
            (count, _) => Err(Trouble::Defects { count, exit: Exit::SNAPSHOT_DIFFERS }.into()),
        }
    }
}
