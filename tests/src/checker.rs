//! The independent checker: does what lies on a server keep the promises, whatever happened to the programs that wrote it?
//!
//! It shares no code with Firn. The manifest, the log and the trees are read here by parsers of their own, written from
//! `docs/formats/` alone, so that a mistake in crate `formats` cannot hide itself. What it holds is listed as [`Invariant`]; the program
//! `invariant-check` tells it of any folder.
//!
//! - [`history`]: every snapshot in the log is complete and equal to its manifest; nothing else counts as committed.
//! - [`item`]: what a manifest says, entry by entry. [`live`]: what a live tree is, in the same words.
//! - [`known`]: what was seen or acknowledged earlier, and must still hold. [`spool`]: a sealed push, read on its own.
//! - [`prints`]: fingerprints of whole folders, down to inodes and times: "nothing has changed here" as a value.

mod access;
pub mod history;
pub mod invariant;
pub mod item;
pub mod known;
pub mod live;
mod log;
pub mod prints;
pub mod spool;
mod squeezed;
mod tree;
mod walk;

use std::fmt;

pub use invariant::Invariant;

/// One broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Which promise.
    pub invariant: Invariant,
    /// Where: a file, a path of a manifest, a line of a log.
    pub place: String,
    /// What is wrong there.
    pub found: String,
}

impl Breach {
    /// One more.
    pub fn new(invariant: Invariant, place: impl Into<String>, found: impl Into<String>) -> Self {
        Self { invariant, place: place.into(), found: found.into() }
    }

    /// A breach at a path of raw bytes.
    pub(crate) fn at(invariant: Invariant, path: &[u8], found: impl Into<String>) -> Self {
        Self::new(invariant, path.escape_ascii().to_string(), found)
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.invariant, self.place, self.found)
    }
}

/// When the checker looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// At any instant, also right after a kill: unfinished work may lie around, but must not count.
    Any,
    /// After a run that ended by itself: nothing unfinished may be left.
    Quiet,
}

/// All breaches as one text, one a line.
#[must_use]
pub fn told(breaches: &[Breach]) -> String {
    breaches.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
