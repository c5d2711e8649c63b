//! What is sent of the new manifest: its differences from the base.

use std::fs::File;
use std::io::BufReader;

use formats::change::diff;
use formats::manifest::ManifestError;
use formats::{ManifestReader, Root, Summary};

use super::error::PushError;
use super::packer::{ChangeFailed, Packer};
use crate::state::StateFolder;

const BUFFER_BYTES: usize = 256 * 1024;

/// Packs the changes that turn the base into the new manifest, tells how many, and what the new manifest comes to.
pub(super) fn send_changes(
    state: &StateFolder,
    base: Option<Root>,
    new: Root,
    manifest: File,
    packer: &mut Packer,
) -> Result<u64, PushError> {
    if base == Some(new) {
        return Ok(0);
    }
    let base = base.map(|root| read(state.manifest(root)?)).transpose()?;
    let new = read(manifest)?;
    let mut count = 0;
    for change in diff(base.into_iter().flatten(), new) {
        packer.change(&change?).map_err(|failed| match failed {
            ChangeFailed::SenderGone => PushError::SenderGone,
            ChangeFailed::Malformed(malformed) => PushError::Frame(malformed),
        })?;
        count += 1;
    }
    packer.flush_changes().map_err(|_| PushError::SenderGone)?;
    Ok(count)
}

/// Root and number of entries of a kept manifest, read to its end.
pub(super) fn summary(state: &StateFolder, root: Root) -> Result<Summary, PushError> {
    let mut reader = read(state.manifest(root)?)?;
    for entry in &mut reader {
        entry?;
    }
    reader
        .summary()
        .filter(|summary| summary.root == root)
        .ok_or(PushError::Manifest(ManifestError::End("root")))
}

fn read(file: File) -> Result<ManifestReader<BufReader<File>>, PushError> {
    Ok(ManifestReader::new(BufReader::with_capacity(BUFFER_BYTES, file))?)
}
