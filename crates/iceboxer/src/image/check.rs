//! Reading an image back: every name, its metadata, and every byte of every file, against the manifests.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use std::os::unix::ffi::OsStrExt;

use backhand::{FilesystemReader, InnerNode, Node, SquashfsFileReader};
use cli::{Task, shown};
use formats::ContentHash;
use history::{HostHistory, Redactions, Snapshot};

use super::ImageError;
use super::contents::{MANIFESTS, Placed, Placer, SNAPSHOTS, What, manifest_path, snapshot_path};
use super::survey::manifest_error;
use crate::seal::hash_of;

/// The image reader keeps every small file it ever unpacked; after this many bytes of them it is opened anew.
const KEPT_BYTES_MAX: u64 = 256 * 1024 * 1024;
const BUFFER_BYTES: usize = 256 * 1024;

/// The image reader waits on one thread of the pool for another: with a pool of one, as on a machine with one core, it reads every file as empty.
fn two_threads_at_least() {
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).max(2);
    // Refused if the pool is there already, which an earlier call made the same way.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
}

/// Compares the image in `file` with the manifests of `snapshots`; of what is `gone`, it must have zeros. `task` advances with the bytes of files
/// compared.
///
/// # Errors
/// Anything missing, different or too much.
pub fn check(
    (history, gone): (&HostHistory, &Redactions),
    snapshots: &[Snapshot],
    file: &File,
    task: &Task,
) -> Result<(), ImageError> {
    two_threads_at_least();
    let mut cursor = Cursor::open(file)?;
    cursor.folder(Path::new("/"))?;
    cursor.folder(Path::new(MANIFESTS))?;
    for snapshot in snapshots {
        let (size, content) = hash_all(history.open_manifest_bytes(snapshot)?)
            .map_err(ImageError::disk("read a manifest to compare with"))?;
        cursor.file(&manifest_path(snapshot.name.as_str()), size, content)?;
    }
    cursor.folder(Path::new(SNAPSHOTS))?;
    let mut placer = Placer::new();
    for snapshot in snapshots {
        cursor.folder(&snapshot_path(snapshot.name.as_str()))?;
        placer.begin(snapshot.name.as_str());
        let mut manifest = history.open_manifest(snapshot)?;
        for entry in &mut manifest {
            let entry = entry.map_err(|source| manifest_error(snapshot, source))?;
            if let Some(placed) = placer.place(&entry) {
                let is_redacted = |content: &ContentHash| gone.of(content, snapshot.sequence).is_some();
                task.advance(cursor.compare(&placed, &is_redacted)?);
            }
        }
        if manifest.summary().is_none_or(|summary| summary.root != snapshot.root) {
            return Err(ImageError::Root { name: snapshot.name.to_string() });
        }
    }
    cursor.end()
}

/// Walks the names of an image in order.
struct Cursor<'f> {
    file: &'f File,
    reader: FilesystemReader<'static>,
    place: usize,
    kept_bytes: u64,
}

impl<'f> Cursor<'f> {
    fn open(file: &'f File) -> Result<Self, ImageError> {
        Ok(Self { file, reader: open(file)?, place: 0, kept_bytes: 0 })
    }

    /// The next name, which must be `path`.
    fn next(&mut self, path: &Path) -> Result<&Node<SquashfsFileReader>, ImageError> {
        if self.kept_bytes > KEPT_BYTES_MAX {
            self.reader = open(self.file)?;
            self.kept_bytes = 0;
        }
        let found = self.reader.root.nodes.get(self.place).ok_or_else(|| differs(path, "it is missing"))?;
        if found.fullpath != path {
            let what = if found.fullpath.as_path() < path {
                "it comes after a name that should not be there"
            } else {
                "it is missing"
            };
            return Err(differs(path, what));
        }
        self.place += 1;
        Ok(found)
    }

    /// A folder of Firn's own.
    fn folder(&mut self, path: &Path) -> Result<(), ImageError> {
        match self.next(path)?.inner {
            InnerNode::Dir(_) => Ok(()),
            _ => Err(differs(path, "kind")),
        }
    }

    /// A file of Firn's own.
    fn file(&mut self, path: &Path, size: u64, content: ContentHash) -> Result<(), ImageError> {
        match &self.next(path)?.inner {
            InnerNode::File(_) => self.content(path, size, content),
            _ => Err(differs(path, "kind")),
        }
    }

    /// The next name against what should be there; gives back the bytes of content compared.
    fn compare(
        &mut self,
        expected: &Placed,
        is_redacted: &dyn Fn(&ContentHash) -> bool,
    ) -> Result<u64, ImageError> {
        let path = &expected.path;
        let found = self.next(path)?;
        if found.header != expected.header {
            return Err(differs(path, "owner, mode or time"));
        }
        let same = match (&found.inner, &expected.what) {
            (InnerNode::Dir(_), What::Folder) | (InnerNode::NamedPipe, What::Fifo) => true,
            (InnerNode::Symlink(found), What::Symlink(target)) => {
                found.link.as_os_str().as_bytes() == target.as_os_str().as_bytes()
            }
            (InnerNode::CharacterDevice(found), What::CharDevice(number)) => found.device_number == *number,
            (InnerNode::BlockDevice(found), What::BlockDevice(number)) => found.device_number == *number,
            (InnerNode::File(_), What::File { size, content, .. }) => {
                let content = if is_redacted(content) { zeros(*size) } else { *content };
                self.content(path, *size, content)?;
                return Ok(*size);
            }
            _ => return Err(differs(path, "kind")),
        };
        if same { Ok(0) } else { Err(differs(path, "target or device number")) }
    }

    /// The content of the file that [`Cursor::next`] has just given.
    fn content(&mut self, path: &Path, size: u64, content: ContentHash) -> Result<(), ImageError> {
        let Some(InnerNode::File(file)) =
            self.place.checked_sub(1).and_then(|at| self.reader.root.nodes.get(at)).map(|node| &node.inner)
        else {
            return Err(differs(path, "kind"));
        };
        let reader = self.reader.file(file).reader_checked().map_err(ImageError::Unreadable)?;
        // One byte more than expected is enough to know.
        let (found, hash) = hash_all(reader.take(size.saturating_add(1)))
            .map_err(|_| differs(path, "its content cannot be unpacked"))?;
        if found != size || hash != content {
            return Err(differs(path, "content"));
        }
        if size < u64::from(super::BLOCK_BYTES) {
            self.kept_bytes += size;
        }
        Ok(())
    }

    fn end(&self) -> Result<(), ImageError> {
        match self.reader.root.nodes.get(self.place) {
            None => Ok(()),
            Some(node) => Err(differs(&node.fullpath, "it should not be there")),
        }
    }
}

/// The hash of so many zeros.
fn zeros(size: u64) -> ContentHash {
    let mut hasher = blake3::Hasher::new();
    // Neither reading zeros nor hashing them can fail.
    let _ = std::io::copy(&mut std::io::repeat(0).take(size), &mut hasher);
    hash_of(&hasher)
}

fn open(file: &File) -> Result<FilesystemReader<'static>, ImageError> {
    let mut file = file.try_clone().map_err(ImageError::disk("open"))?;
    file.rewind().map_err(ImageError::disk("read"))?;
    FilesystemReader::from_reader(BufReader::with_capacity(BUFFER_BYTES, file))
        .map_err(ImageError::Unreadable)
}

fn hash_all(mut from: impl Read) -> std::io::Result<(u64, ContentHash)> {
    let mut hasher = blake3::Hasher::new();
    let bytes = std::io::copy(&mut from, &mut hasher)?;
    Ok((bytes, hash_of(&hasher)))
}

fn differs(path: &Path, what: &'static str) -> ImageError {
    ImageError::Differs { path: shown(path.as_os_str().as_bytes()), what }
}
