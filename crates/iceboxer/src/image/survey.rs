//! The manifests read once, before anything is written.

use std::collections::{BTreeMap, HashSet};
use std::io;

use formats::records::ice::{IceRedacted, IceSnapshot};
use history::{HostHistory, Redactions, Snapshot};

use super::contents::{Placer, What};
use super::{BLOCK_BYTES, ImageError};

/// Room that one name takes in an image, at most on average.
const NAME_BYTES: u64 = 512;

/// What the manifests of an image come to.
#[derive(Debug, Clone)]
pub(crate) struct Survey {
    /// The snapshots, oldest first.
    pub(crate) snapshots: Vec<IceSnapshot>,
    /// Bytes of all files, each as often as it has names: what is read and compressed.
    pub(crate) file_bytes: u64,
    /// The image is not larger than this.
    pub(crate) image_bytes_max: u64,
    /// Names that only the manifest holds.
    pub(crate) left_out: u64,
    /// Contents that were redacted from one of the snapshots, by hash.
    pub(crate) redacted: Vec<IceRedacted>,
}

/// Reads all manifests, and refuses one that is not the one the log names.
pub(crate) fn survey(
    history: &HostHistory,
    snapshots: &[Snapshot],
    gone: &Redactions,
) -> Result<Survey, ImageError> {
    let mut placer = Placer::new();
    let mut survey = Survey {
        snapshots: Vec::new(),
        file_bytes: 0,
        image_bytes_max: 1024 * 1024,
        left_out: 0,
        redacted: Vec::new(),
    };
    let mut redacted = BTreeMap::new();
    let mut large = HashSet::new();
    for snapshot in snapshots {
        placer.begin(snapshot.name.as_str());
        let mut manifest = history.open_manifest(snapshot).map_err(|error| missing(error, snapshot))?;
        for entry in &mut manifest {
            let entry = entry.map_err(|source| manifest_error(snapshot, source))?;
            survey.add(NAME_BYTES + 2 * entry.path.as_bytes().len() as u64);
            match placer.place(&entry).map(|placed| placed.what) {
                None => survey.left_out += 1,
                Some(What::File { size, content, .. }) => {
                    if let Some(one) = gone.of(&content, snapshot.sequence) {
                        redacted.insert(content, one.through);
                    }
                    survey.file_bytes = survey.file_bytes.saturating_add(size);
                    // Only files of a block and more are stored once however often they occur.
                    if size < u64::from(BLOCK_BYTES) || large.insert(content) {
                        survey.add(size);
                    }
                }
                Some(_) => {}
            }
        }
        if manifest.summary().is_none_or(|summary| summary.root != snapshot.root) {
            return Err(ImageError::Root { name: snapshot.name.to_string() });
        }
        let bytes = io::copy(&mut history.open_manifest_bytes(snapshot)?, &mut io::sink());
        survey.add(bytes.map_err(ImageError::disk("read a manifest for"))?);
        survey.snapshots.push(IceSnapshot {
            name: snapshot.name.to_string(),
            sequence: snapshot.sequence,
            root: snapshot.root,
            entries: snapshot.entries,
        });
    }
    survey.redacted =
        redacted.into_iter().map(|(content, through)| IceRedacted { content, through }).collect();
    Ok(survey)
}

impl Survey {
    fn add(&mut self, bytes: u64) {
        self.image_bytes_max = self.image_bytes_max.saturating_add(bytes);
    }
}

fn missing(error: history::Error, snapshot: &Snapshot) -> ImageError {
    match error {
        history::Error::Folder(source) if source.is_not_found() => {
            ImageError::NoManifest { name: snapshot.name.to_string() }
        }
        other => ImageError::History(other),
    }
}

pub(super) fn manifest_error(snapshot: &Snapshot, source: formats::manifest::ManifestError) -> ImageError {
    history::Error::Manifest { name: snapshot.name.to_string(), source }.into()
}
