//! The history of hosts: where it lies, what is in it, and how to read it without trusting it.
//!
//! ```text
//! <history>/<host>/log                        hash-chained, one JSON object a line: the truth about what exists
//! <history>/<host>/manifests/<name>.manifest  one for each snapshot, squeezed ([`Stored`])
//! <history>/<host>/<name>/tree/...            the files, hard-linked from snapshot to snapshot
//! <history>/<host>/.building/                 what an ingest is working on; nobody reads it
//! <history>/<host>/.prune/                    plans of what a prune may remove
//! <history>/<host>/.trash/                    what was pruned, on its way out; nobody reads it
//! <history>/<host>/.rot/                      files that are not what they should be, out of the trees until they are healed
//! <history>/<host>/.lock                      held by the one who writes
//! ```
//!
//! [`History`] finds hosts. [`HostHistory`] is one host's folder, held open: its [`Log`], the manifests and [`Tree`]s of its [`Snapshot`]s.
//! [`LogAppender`] adds to the log. A snapshot exists if and only if its `ingest` line is in the log, and no
//! `prune` line names it.
//!
//! Whoever reads files of a snapshot locks it ([`HostHistory::read_lock`]): a lock on its folder, which a prune takes alone before it removes it.
//! The log and manifests need none: the one only grows, the others are read through a descriptor.
//!
//! This crate writes nothing but log lines, squeezes what it is given ([`Squeezer`]), and never removes anything. Documents:
//! docs/formats/snapshot-log.md, docs/formats/squeezed-manifest.md.

mod blank;
mod error;
mod host;
pub mod layout;
mod log;
mod name;
mod root;
mod snapshot;
mod stored;
mod tree;

pub use blank::is_blank;
pub use error::{Error, LogDefect, Result};
pub use host::{Grown, HostHistory, Reading, Removing, Writing};
pub use log::append::LogAppender;
pub use log::kept::{Held, OpenGrant, Pruned, Verified};
pub use log::reader::{LogReader, RawLine};
pub use log::redacted::{Redacted, Redactions};
pub use log::rot::Rotten;
pub use log::state::{Answered, Log, RaisedAlarm, RejectedPush};
pub use log::unchanged::{AcceptedPush, UnchangedPush};
pub use name::{NameError, SnapshotName};
pub use root::History;
pub use snapshot::Snapshot;
pub use stored::{Blocks, Expander, Manifest, ManifestBytes, Squeezer, Stored, read_manifest};
pub use tree::Tree;
