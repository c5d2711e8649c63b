//! Snapshots that the log does not name: a log that was cut says of an older snapshot that it is the newest.

use history::{HostHistory, Log, SnapshotName, layout};

use crate::image::ImageError;

/// The snapshots and manifests that lie there; none while an ingest is at work, whose snapshot may be on its way. To be asked before the
/// log is read: what is committed meanwhile must not look like a stranger.
pub(crate) fn present(history: &HostHistory) -> history::Result<Vec<SnapshotName>> {
    let folders = history.dir().names()?;
    let files = match history.dir().open_dir(layout::MANIFESTS).and_then(|dir| dir.names()) {
        Err(error) if error.is_not_found() => Vec::new(),
        answer => answer?,
    };
    if history.dir().open_dir(layout::BUILDING).is_ok() {
        return Ok(Vec::new());
    }
    let folders = folders.iter().filter_map(|name| layout::snapshot_of_folder(name));
    Ok(folders.chain(files.iter().filter_map(|name| layout::snapshot_of_manifest(name))).collect())
}

/// Every snapshot that lies there is in the log.
pub(crate) fn require_none(present: &[SnapshotName], log: &Log) -> Result<(), ImageError> {
    match present.iter().find(|name| log.known(name).is_none()) {
        None => Ok(()),
        Some(name) => Err(ImageError::Stranger { host: log.host().to_owned(), name: name.to_string() }),
    }
}
