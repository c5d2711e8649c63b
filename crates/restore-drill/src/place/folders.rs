//! The metadata of folders, after all that is in them: deepest first, as a folder may be closed to its owner, and as every name that is made in
//! it changes its time.

use std::os::fd::AsFd;

use cli::Failed;
use formats::{Entry, Meta, RelPath};

use super::Place;
use super::meta::Handle;
use crate::image::Manifest;

impl Place<'_> {
    /// Walks the manifest once more. Memory grows with the depth of the tree only.
    pub(super) fn settle_folders(&mut self, manifest: &Manifest) -> Result<(), Failed> {
        let mut open: Vec<(RelPath, Meta)> = Vec::new();
        for entry in manifest.entries()? {
            let Entry { path, body } = entry.map_err(|source| manifest.lost(source))?;
            let formats::Body::Node(node) = body else { continue };
            if node.kind != formats::Kind::Folder || !self.selection.holds(&path) {
                continue;
            }
            while let Some((done, meta)) = open.pop_if(|(top, _)| !path.is_within(top)) {
                self.settle_folder(&done, &meta)?;
            }
            open.push((path, node.meta));
        }
        while let Some((done, meta)) = open.pop() {
            self.settle_folder(&done, &meta)?;
        }
        Ok(())
    }

    fn settle_folder(&mut self, path: &RelPath, meta: &Meta) -> Result<(), Failed> {
        let outcome = match self.ground.folder(path) {
            Ok(folder) => self.settle(path, &Handle::Open(folder.as_fd()), meta),
            Err(trouble) => Err(trouble),
        };
        match outcome {
            Err(trouble) => self.note(path, trouble),
            Ok(()) => Ok(()),
        }
    }
}
