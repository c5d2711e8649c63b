//! What root tells the process that works on the history, and what that answers.

use formats::ContentHash;
use formats::records::grant::Person;
use formats::records::redaction::{IceBefore, RedactedContent, RedactionRecord};
use serde::{Deserialize, Serialize};

/// What to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// Tell what is meant.
    Find(Wanted),
    /// Erase it.
    Erase(Box<Erasure>),
}

/// What is meant.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Wanted {
    /// All contents that a path without slashes at its ends has in these snapshots; in all if none is named.
    Path { path: Vec<u8>, when: Vec<String> },
    /// These. Each must be there.
    Contents(Vec<ContentHash>),
    /// What was asked for, and by which path, as it is shown. What no snapshot names any more is passed over.
    Asked { path: Option<String>, contents: Vec<ContentHash> },
}

/// What was approved.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Erasure {
    pub(super) asked: RedactionRecord,
    pub(super) approved_by: Person,
    pub(super) ices: Option<u64>,
    pub(super) ice: Vec<IceBefore>,
    pub(super) extent: Extent,
}

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Extent {
    /// Everything is asked, nothing changed.
    OnlyLook,
    /// To the end.
    Erase,
}

/// What was found.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Found {
    pub(super) hits: Vec<Hit>,
    /// The snapshots that have one of them, oldest first.
    pub(super) snapshots: Vec<String>,
    /// Contents that were asked for, and that no snapshot names any more.
    pub(super) absent: u64,
}

/// One content, and where it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Hit {
    #[serde(flatten)]
    pub(super) content: RedactedContent,
    /// Names, over all snapshots.
    pub(super) names: u64,
    /// Snapshots that these names are in.
    pub(super) snapshots: u64,
    /// The first and the last of them.
    pub(super) first: String,
    pub(super) last: String,
    /// Some of the paths, as they are shown, and how many names have others.
    pub(super) paths: Vec<String>,
    pub(super) more: u64,
    /// Names that are not beneath the path that was asked for, and some of them.
    pub(super) elsewhere: u64,
    pub(super) other_paths: Vec<String>,
    pub(super) other_more: u64,
    /// When it was redacted before, if it was.
    pub(super) redacted: Option<String>,
}

/// What was done.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Erased {
    /// The line of the log; none if that was there already.
    pub(super) line: Option<u64>,
    pub(super) names: u64,
    pub(super) snapshots: u64,
    /// Files that were overwritten, or made anew of zeros, by this run.
    pub(super) files: u64,
    /// Bytes of them.
    pub(super) bytes: u64,
    /// Files that were zeros already.
    pub(super) blank: u64,
    /// Contents that never were anything but zeros, and stay.
    pub(super) zeros: u64,
    /// Something of the host's is on its way.
    pub(super) is_pushing: bool,
}
