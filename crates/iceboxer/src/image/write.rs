//! Writing an image.

use std::fs::File;
use std::io::BufWriter;
use std::rc::Rc;

use backhand::compression::{CompressionOptions, Compressor, Zstd};
use backhand::{BackhandError, FilesystemCompressor, FilesystemWriter};
use cli::Task;
use formats::ContentHash;
use history::{HostHistory, Redactions, Snapshot};

use super::contents::{MANIFESTS, Placed, Placer, SNAPSHOTS, What, manifest_path, own, snapshot_path};
use super::source::{Source, Wanted};
use super::survey::manifest_error;
use super::{BLOCK_BYTES, ImageError};

/// Between the writer's own 3, which is fast, and 15, which saves another tenth and takes twenty times as long.
const LEVEL: u32 = 6;
/// Permissions of the image's root: the true modes of all files in it, setuid among them, are for its owner only.
const ROOT_MODE: u16 = 0o700;
const FOLDER_MODE: u16 = 0o755;
const MANIFEST_MODE: u16 = 0o444;
const BUFFER_BYTES: usize = 1024 * 1024;

/// Writes the image of `snapshots` (oldest first) into an empty file and brings it to the disk; of what is `gone`, zeros. `task` advances with the
/// bytes of files read.
///
/// # Errors
/// The history is not what its manifests say, or the disk is full. What was written by then is worthless.
pub fn write(
    (history, gone): (&HostHistory, &Redactions),
    snapshots: &[Snapshot],
    created: u32,
    to: &File,
    task: &Task,
) -> Result<(), ImageError> {
    let mut image = new_writer(created).map_err(ImageError::from_writer)?;
    // In the order of paths: an insertion anywhere but at the end would move all that follows.
    push_folder(&mut image, MANIFESTS.as_ref(), created)?;
    for snapshot in snapshots {
        let manifest = history.open_manifest_bytes(snapshot)?;
        let path = manifest_path(snapshot.name.as_str());
        image.push_file(manifest, path, own(MANIFEST_MODE, created)).map_err(ImageError::from_writer)?;
    }
    push_folder(&mut image, SNAPSHOTS.as_ref(), created)?;
    let mut placer = Placer::new();
    for snapshot in snapshots {
        push_folder(&mut image, &snapshot_path(snapshot.name.as_str()), created)?;
        placer.begin(snapshot.name.as_str());
        let tree = Rc::new(history.tree(snapshot)?);
        for entry in history.open_manifest(snapshot)? {
            let entry = entry.map_err(|source| manifest_error(snapshot, source))?;
            if let Some(placed) = placer.place(&entry) {
                let gone = |content: &ContentHash| gone.of(content, snapshot.sequence).is_some();
                push(&mut image, placed, (&tree, &gone), task).map_err(ImageError::from_writer)?;
            }
        }
    }
    let (_, bytes) =
        image.write(BufWriter::with_capacity(BUFFER_BYTES, to)).map_err(ImageError::from_writer)?;
    // A duplicate at the very end may have left bytes beyond the image.
    to.set_len(bytes).map_err(ImageError::disk("cut"))?;
    to.sync_all().map_err(ImageError::disk("bring to disk"))
}

fn new_writer<'a, 'b, 'c>(created: u32) -> Result<FilesystemWriter<'a, 'b, 'c>, BackhandError> {
    let mut image = FilesystemWriter::default();
    let options = CompressionOptions::Zstd(Zstd { compression_level: LEVEL });
    image.set_compressor(FilesystemCompressor::new(Compressor::Zstd, Some(options))?);
    image.set_block_size(BLOCK_BYTES);
    image.set_time(created);
    image.set_root_mode(ROOT_MODE);
    Ok(image)
}

fn push_folder(
    image: &mut FilesystemWriter<'_, '_, '_>,
    path: &std::path::Path,
    created: u32,
) -> Result<(), ImageError> {
    image.push_dir(path, own(FOLDER_MODE, created)).map_err(ImageError::from_writer)
}

fn push<'t>(
    image: &mut FilesystemWriter<'_, '_, 't>,
    placed: Placed,
    (tree, is_redacted): (&Rc<history::Tree>, &dyn Fn(&ContentHash) -> bool),
    task: &'t Task,
) -> Result<(), BackhandError> {
    let Placed { path, header, what } = placed;
    match what {
        What::Folder => image.push_dir(path, header),
        What::File { size, content, source } => {
            let wanted = if is_redacted(&content) { Wanted::Zeros } else { Wanted::Content(content) };
            image.push_file(Source::new(tree, source, size, wanted, task), path, header)
        }
        What::Symlink(target) => image.push_symlink(target, path, header),
        What::Fifo => image.push_fifo(path, header),
        What::CharDevice(number) => image.push_char_device(number, path, header),
        What::BlockDevice(number) => image.push_block_device(number, path, header),
    }
}
