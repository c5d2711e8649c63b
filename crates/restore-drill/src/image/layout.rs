//! Where things are in an image (docs/formats/ice.md), and the way from one to the next.

use formats::RelPath;
use formats::records::ice::IceSnapshot;
use restore::Differences;

use super::reader::{ImageError, ImageReader};
use super::talk::Kind;

const MANIFESTS: &str = "manifests";
const SNAPSHOTS: &str = "snapshots";

/// Path of a snapshot's manifest.
pub(crate) fn manifest_path(snapshot: &IceSnapshot) -> Vec<u8> {
    format!("{MANIFESTS}/{}.manifest", snapshot.name).into_bytes()
}

/// Path of a snapshot, or of a name in it.
pub(crate) fn snapshot_path(snapshot: &IceSnapshot, within: Option<&RelPath>) -> Vec<u8> {
    let mut bytes = format!("{SNAPSHOTS}/{}", snapshot.name).into_bytes();
    if let Some(within) = within {
        bytes.push(b'/');
        bytes.extend_from_slice(within.as_bytes());
    }
    bytes
}

/// Passes the folder of all manifests.
pub(crate) fn pass_manifests(
    image: &mut ImageReader,
    differences: &mut Differences,
) -> Result<(), ImageError> {
    pass_folder(image, MANIFESTS.as_bytes(), differences)
}

/// Passes the folder of all snapshots.
pub(crate) fn pass_snapshots(
    image: &mut ImageReader,
    differences: &mut Differences,
) -> Result<(), ImageError> {
    pass_folder(image, SNAPSHOTS.as_bytes(), differences)
}

/// Passes the folder of one snapshot: the next name is the first in it.
pub(crate) fn pass_snapshot(
    image: &mut ImageReader,
    snapshot: &IceSnapshot,
    differences: &mut Differences,
) -> Result<(), ImageError> {
    pass_folder(image, &snapshot_path(snapshot, None), differences)
}

/// Goes on to the name `path`; false if it is not there. What comes before has no place in an image: each is a difference.
pub(crate) fn reach(
    image: &mut ImageReader,
    path: &[u8],
    differences: &mut Differences,
) -> Result<bool, ImageError> {
    let path = RelPath::new(path).or(Err(ImageError::Path))?;
    while let Some(node) = image.peek()? {
        if node.path >= path {
            return Ok(node.path == path);
        }
        differences.add(node.path.as_bytes(), "it has no place in an image");
        image.take()?;
    }
    Ok(false)
}

/// Goes on to the end. Nothing should come.
pub(crate) fn reach_end(image: &mut ImageReader, differences: &mut Differences) -> Result<(), ImageError> {
    while let Some(node) = image.take()? {
        differences.add(node.path.as_bytes(), "it has no place in an image");
    }
    Ok(())
}

fn pass_folder(
    image: &mut ImageReader,
    path: &[u8],
    differences: &mut Differences,
) -> Result<(), ImageError> {
    if reach(image, path, differences)? && image.take()?.is_some_and(|node| node.kind == Kind::Folder) {
        return Ok(());
    }
    differences.add(path, "the image lacks this folder");
    Ok(())
}
