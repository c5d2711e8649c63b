//! Where an image is not what it should be: counted, and the first of them named.

use cli::{Exit, Failure, shown};

/// Differences that are named; beyond, they are only counted.
const NAMED_MAX: usize = 100;

/// Where the image is not what its manifest says.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    /// How many there are in all.
    pub(crate) total: u64,
    /// The first of them: where, and what.
    pub(crate) named: Vec<(Vec<u8>, String)>,
}

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

impl Differences {
    /// Adds one.
    pub(crate) fn add(&mut self, path: &[u8], what: impl Into<String>) {
        self.total += 1;
        if self.named.len() < NAMED_MAX {
            self.named.push((path.to_vec(), what.into()));
        }
    }

    /// An error if there are any.
    pub(crate) fn none(&self) -> Result<(), ImageDiffers> {
        match self.named.first() {
            None => Ok(()),
            Some((path, what)) => {
                Err(ImageDiffers { total: self.total, path: path.clone(), what: what.clone() })
            }
        }
    }
}
