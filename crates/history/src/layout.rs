//! The fixed names in a host's history.

use durable::Name;

use crate::name::SnapshotName;

/// The snapshot log.
pub const LOG: Name<'static> = Name::literal("log");
/// The folder of manifests.
pub const MANIFESTS: Name<'static> = Name::literal("manifests");
/// The folder in a snapshot's folder that holds the host's files.
pub const TREE: Name<'static> = Name::literal("tree");
/// What an ingest is working on.
pub const BUILDING: Name<'static> = Name::literal(".building");
/// Plans of a prune, and its lock.
pub const PRUNE: Name<'static> = Name::literal(".prune");
/// What was pruned and is not yet removed.
pub const TRASH: Name<'static> = Name::literal(".trash");
/// What lost its content and was taken out of the trees.
pub const ROT: Name<'static> = Name::literal(".rot");
/// What a rolling verify has read of its cycle.
pub const VERIFY: Name<'static> = Name::literal(".verify");
/// Lock of the one who writes.
pub const WRITER: Name<'static> = Name::literal(".lock");

const SUFFIX: &str = ".manifest";

/// The file name of a snapshot's manifest.
#[must_use]
pub fn manifest_file(name: &SnapshotName) -> String {
    format!("{name}{SUFFIX}")
}

/// The snapshot whose manifest has this file name; none if it is no such name.
#[must_use]
pub fn snapshot_of_manifest(file: &[u8]) -> Option<SnapshotName> {
    std::str::from_utf8(file).ok()?.strip_suffix(SUFFIX)?.parse().ok()
}

/// The snapshot whose folder has this name; none if it is no such name.
#[must_use]
pub fn snapshot_of_folder(folder: &[u8]) -> Option<SnapshotName> {
    std::str::from_utf8(folder).ok()?.parse().ok()
}
