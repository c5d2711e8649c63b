//! The end of a run that found where an image is not what its manifest says.

use cli::{Exit, Failure, shown};
use restore::Differences;

/// The end of a run that found differences.
#[derive(Debug, thiserror::Error)]
#[error("the image differs from its manifest in {total} places, first {}: {what}", shown(.path))]
pub(crate) struct ImageDiffers {
    total: u64,
    path: Vec<u8>,
    what: String,
}

impl Failure for ImageDiffers {
    fn exit(&self) -> Exit {
        Exit::IMAGE_DIFFERS
    }
}

/// An error if there are any.
pub(crate) fn none(differences: &Differences) -> Result<(), ImageDiffers> {
    match differences.named.first() {
        None => Ok(()),
        Some((path, what)) => {
            Err(ImageDiffers { total: differences.total, path: path.clone(), what: what.clone() })
        }
    }
}
