//! What an image shows of one name of a manifest, for whoever restores it.

use std::io::Read;

use formats::records::ice::IceRecord;
use formats::{ContentHash, Kind};
use restore::{Held, Trouble};

use crate::image::hold::{holds, is_same};
use crate::image::{ImageReader, Kind as SeenKind};

/// One name. The image stands where its content can be read.
pub(crate) struct InImage<'a> {
    /// None if the image lacks it.
    pub(crate) seen: Option<&'a SeenKind>,
    pub(crate) image: &'a mut ImageReader,
    /// What the ice's record says of it.
    pub(crate) record: &'a IceRecord,
    /// Of the snapshot that is restored.
    pub(crate) sequence: u64,
}

impl Held for InImage<'_> {
    fn differs(&self, kind: &Kind) -> Option<&'static str> {
        match self.seen {
            Some(seen) if is_same(kind, seen) => None,
            Some(_) => Some("it is of another kind, size, target or number in the image"),
            None if holds(kind) => Some("it is missing in the image"),
            None => None,
        }
    }

    fn content(&mut self, expected: &ContentHash) -> Result<Box<dyn Read + '_>, Trouble> {
        if self.record.is_redacted(expected, self.sequence) {
            return Err(Trouble::LeftOut("it was redacted before the ice was made".to_owned()));
        }
        Ok(Box::new(self.image.content()))
    }
}
