//! Every byte layout of Firn, and nothing else.
//!
//! A host's files become [entries](entry); sorted, they are a [manifest], which the history keeps [squeezed]. The difference between two manifests is a
//! list of [changes](change).
//! A [push file](push) carries contents and changes; a [session] is the talk around it; [published] is what a jail tells its host,
//! and [admission] when that host may push; [holdings] are the contents that its base has.
//! The JSON records (snapshot log, ice record, ledger, drill record, report) live in `records`.
//!
//! This crate opens nothing, asks no clock and prints nothing: readers and writers work on what the caller hands them. Every length from outside
//! is checked against [limits] before memory is taken, and no input can panic. The documents are in `docs/formats/`.

pub mod admission;
pub mod attempt;
pub mod change;
mod content_record;
pub mod cursor;
pub mod entry;
pub mod flags;
pub mod frame;
pub mod glance;
pub mod glob;
pub mod holdings;
pub mod id;
pub mod limits;
pub mod manifest;
pub mod pages;
pub mod path;
pub mod published;
pub mod push;
#[cfg(feature = "records")]
pub mod records;
pub mod schedule;
pub mod session;
pub mod squeezed;
mod tally;
pub mod version;

pub use admission::{Admission, OpenHours};
pub use change::Change;
pub use entry::{Attribute, Body, Entry, Kind, Meta, Mtime, Node, Tag};
pub use flags::Flags;
pub use id::{ACCOUNT_PREFIX, ContentHash, HostId, InstallationId, PushId, Root};
pub use manifest::{ManifestReader, ManifestWriter, Summary};
pub use path::{PathDigest, RelPath};
pub use version::Version;
