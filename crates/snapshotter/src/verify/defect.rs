//! What is not as it should be, named one by one and counted.

use cli::{Exit, Failed, Run};
use formats::{ContentHash, HostId};
use history::Snapshot;

use crate::trouble::Trouble;

/// Most defects that the report names, and most bytes of what it says of them; the count tells how many there are.
const NAMED_MAX: usize = 10_000;
const NAMED_BYTES_MAX: usize = 4 << 20;

/// Which kind of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// A log or a manifest.
    Record,
    /// The files of a snapshot.
    Files,
    /// A name does not have this content.
    Content(ContentHash),
    /// The same, and the log says so already.
    Noted(ContentHash),
}

/// All that was found.
#[derive(Debug, Default)]
pub(super) struct Defects {
    count: u64,
    records: u64,
    noted: u64,
    named: Vec<serde_json::Value>,
    named_bytes: usize,
}

/// How many there are so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    /// Nobody has noted these.
    pub(super) new: u64,
    /// Of those: logs and manifests.
    pub(super) records: u64,
}

impl Defects {
    /// One more. Bytes from outside are in `text` as `cli::shown` gives them, and behind the path if it is about one.
    pub(super) fn add(
        &mut self,
        run: &mut Run,
        what: What,
        (host, snapshot): (&HostId, Option<&Snapshot>),
        path: Option<&[u8]>,
        text: &str,
    ) {
        self.count += 1;
        self.records += u64::from(what == What::Record);
        self.noted += u64::from(matches!(what, What::Noted(_)));
        let place = match snapshot {
            Some(snapshot) => format!("{host}/{}", snapshot.name),
            None => host.to_string(),
        };
        let path = path.map(cli::shown);
        let text = path.iter().map(String::as_str).chain([text]).collect::<Vec<_>>().join(" ");
        run.line(&format!("{place}: {text}"));
        self.named_bytes += place.len() + 2 * text.len() + 200;
        if self.named.len() < NAMED_MAX && self.named_bytes < NAMED_BYTES_MAX {
            let mut named = serde_json::json!({ "where": place, "what": text });
            if let (Some(named), Some(path)) = (named.as_object_mut(), path) {
                named.insert("path".to_owned(), path.into());
                if let What::Content(content) | What::Noted(content) = what {
                    named.insert("content".to_owned(), content.to_string().into());
                }
            }
            self.named.push(named);
        }
    }

    /// How many there are so far.
    pub(super) fn counted(&self) -> Counted {
        Counted { new: self.count - self.noted, records: self.records }
    }

    /// The end: fine, or how bad it is.
    pub(super) fn end(self, run: &mut Run) -> Result<Exit, Failed> {
        run.report().count("defects", self.count);
        run.report().detail("defects", self.named);
        match (self.count, self.count - self.records) {
            (0, _) => {
                run.line("no defects");
                Ok(Exit::WHOLE)
            }
            (count, 0) => Err(Trouble::Defects { count, exit: Exit::DAMAGED }.into()),
            (count, _) => Err(Trouble::Defects { count, exit: Exit::SNAPSHOT_DIFFERS }.into()),
        }
    }
}
