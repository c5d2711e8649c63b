//! A manifest and the names of its snapshot in the image, side by side: both ascend, so one walk meets every name of either once.

use std::fs::File;
use std::io::BufReader;
use std::iter::Peekable;

use cli::Failed;
use formats::{Entry, ManifestReader, RelPath};
use restore::Selection;

use crate::image::layout::snapshot_path;
use crate::image::{ImageReader, Manifest, Node};

/// One name.
#[derive(Debug)]
pub(crate) enum Pair {
    /// In the manifest and in the image. The content can be read from the image before the next pair is asked for.
    Both(Entry, Node),
    /// In the manifest only.
    Missing(Entry),
    /// In the image only; its path within the snapshot.
    Unknown(RelPath),
}

/// The walk over one snapshot.
pub(crate) struct Pairs<'a> {
    manifest: &'a Manifest,
    selection: Selection,
    entries: Peekable<ManifestReader<BufReader<File>>>,
    folder: Vec<u8>,
}

impl<'a> Pairs<'a> {
    /// The image must stand before the first name of the snapshot, and be read by nobody else until the walk has ended.
    pub(crate) fn begin(manifest: &'a Manifest, selection: Selection) -> Result<Self, Failed> {
        let mut folder = snapshot_path(&manifest.snapshot, None);
        folder.push(b'/');
        Ok(Pairs { manifest, selection, entries: manifest.entries()?.peekable(), folder })
    }

    /// The next pair; none at the end of the snapshot.
    pub(crate) fn next(&mut self, image: &mut ImageReader) -> Result<Option<Pair>, Failed> {
        let entry = self.peek_entry()?;
        let path = match image.peek()? {
            Some(node) => self.within(node),
            None => None,
        };
        let image_first = match (&entry, &path) {
            (None, None) => return Ok(None),
            (Some(entry), Some(path)) if *entry == *path => {
                let (entry, node) = (self.take_entry()?, image.take()?);
                return Ok(entry.zip(node).map(|(entry, node)| Pair::Both(entry, node)));
            }
            (Some(entry), Some(path)) => path < entry,
            (None, Some(_)) => true,
            (Some(_), None) => false,
        };
        if image_first {
            image.take()?;
            Ok(path.map(Pair::Unknown))
        } else {
            Ok(self.take_entry()?.map(Pair::Missing))
        }
    }

    /// The path of a name within this snapshot; none for a name after it.
    fn within(&self, node: &Node) -> Option<RelPath> {
        let path = node.path.as_bytes().strip_prefix(self.folder.as_slice())?;
        RelPath::new(path).ok()
    }

    /// The path of the next entry that is asked for.
    fn peek_entry(&mut self) -> Result<Option<RelPath>, Failed> {
        loop {
            match self.entries.peek() {
                Some(Ok(entry)) if self.selection.holds(&entry.path) => return Ok(Some(entry.path.clone())),
                None => return Ok(None),
                // Passed over, or its error taken.
                Some(_) => self.take_entry()?,
            };
        }
    }

    fn take_entry(&mut self) -> Result<Option<Entry>, Failed> {
        let entry = self.entries.next().transpose();
        Ok(entry.map_err(|source| self.manifest.lost(source))?)
    }
}
