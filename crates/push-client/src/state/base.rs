//! A state of this host that the server has: its manifest and its stamps, read side by side in the order of the walk.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use formats::manifest::ManifestError;
use formats::{Entry, ManifestReader, RelPath, Root};

use super::stamps::{END_BYTES, HEAD_BYTES, STAMP_BYTES, StampsReader};
use crate::walk::Stamp;

/// Bytes before the first entry of a manifest file, and after the last: docs/formats/manifest.md.
const MANIFEST_HEAD_BYTES: u64 = 12;
const MANIFEST_END_BYTES: u64 = 44;
const ROOT_PREFIX: &[u8] = b"firn manifest root 1\n";
const BUFFER_BYTES: usize = 256 * 1024;

/// A change within this time before the recording push began could go unseen by the clock.
const GRAIN_SECONDS: i64 = 2;

/// Why remembered files are of no use. The push is then whole.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// They could not be read.
    #[error("failed to read it")]
    Io(#[from] io::Error),
    /// They are damaged.
    #[error("{0}")]
    Damaged(&'static str),
    /// The manifest is no manifest.
    #[error("failed to read the manifest")]
    Manifest(#[from] ManifestError),
}

/// What the base had at a path.
#[derive(Debug)]
pub struct Known {
    /// Its entry.
    pub entry: Entry,
    /// When it was last touched, then.
    pub stamp: Stamp,
}

/// The base of a push, read along with the walk.
#[derive(Debug)]
pub struct Base {
    entries: ManifestReader<BufReader<File>>,
    stamps: StampsReader<BufReader<File>>,
    next: Option<Known>,
}

impl Base {
    /// Checks both files as a whole, and begins to read them.
    pub fn open(root: Root, mut manifest: File, mut stamps: File) -> Result<Self, BaseError> {
        let count = check_manifest(root, &mut manifest)?;
        check_stamps(root, count, &mut stamps)?;
        Self::open_checked(manifest, stamps)
    }

    /// Begins to read files that were checked before.
    pub(super) fn open_checked(manifest: File, stamps: File) -> Result<Self, BaseError> {
        let entries = ManifestReader::new(BufReader::with_capacity(BUFFER_BYTES, manifest))?;
        let stamps = StampsReader::new(BufReader::with_capacity(BUFFER_BYTES, stamps))?;
        let mut base = Self { entries, stamps, next: None };
        base.advance()?;
        Ok(base)
    }

    /// What the base has at `path`. Paths must be asked for in ascending order.
    pub fn at(&mut self, path: &RelPath) -> Result<Option<Known>, BaseError> {
        while self.next.as_ref().is_some_and(|known| known.entry.path < *path) {
            self.advance()?;
        }
        if self.next.as_ref().is_some_and(|known| known.entry.path == *path) {
            let known = self.next.take();
            self.advance()?;
            return Ok(known);
        }
        Ok(None)
    }

    /// The next that it has before `path`, or at all if there is none. For a walk that wants to know what it did not meet.
    pub fn take_before(&mut self, path: Option<&RelPath>) -> Result<Option<Known>, BaseError> {
        let is_before = |known: &Known| path.is_none_or(|path| known.entry.path < *path);
        if !self.next.as_ref().is_some_and(is_before) {
            return Ok(None);
        }
        let known = self.next.take();
        self.advance()?;
        Ok(known)
    }

    /// True if what it lacks of inode flags was looked for. Manifests of version 1 could not hold them.
    pub fn knows_flags(&self) -> bool {
        self.entries.version().major >= 2
    }

    /// True if an inode with this stamp was touched so long before the recording push that every later touch shows.
    pub fn is_settled(&self, stamp: &Stamp) -> bool {
        is_settled(stamp, self.stamps.started())
    }

    fn advance(&mut self) -> Result<(), BaseError> {
        self.next = match self.entries.next() {
            Some(entry) => Some(Known { entry: entry?, stamp: self.stamps.next_stamp()? }),
            None => None,
        };
        Ok(())
    }
}

/// True if a touch at `stamp` lies so far before `started` that the clock tells every later one from it.
pub(crate) fn is_settled(stamp: &Stamp, started: i64) -> bool {
    stamp.ctime_seconds < started.saturating_sub(GRAIN_SECONDS)
}

/// Proves the root by the bytes alone; number of entries. The entries themselves are checked as they are read.
fn check_manifest(root: Root, file: &mut File) -> Result<u64, BaseError> {
    let length = file.metadata()?.len();
    let Some(body) = length.checked_sub(MANIFEST_HEAD_BYTES + MANIFEST_END_BYTES) else {
        return Err(BaseError::Damaged("the manifest is cut short"));
    };
    file.seek(SeekFrom::Start(MANIFEST_HEAD_BYTES))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(ROOT_PREFIX);
    hash(file, body, &mut hasher)?;
    if hasher.finalize().as_bytes() != root.as_bytes() {
        return Err(BaseError::Damaged("the manifest is damaged"));
    }
    let (mut stop, mut count, mut of) = ([0u8; 4], [0u8; 8], [0u8; 32]);
    file.read_exact(&mut stop)?;
    file.read_exact(&mut count)?;
    file.read_exact(&mut of)?;
    if stop != [0; 4] || &of != root.as_bytes() {
        return Err(BaseError::Damaged("the end of the manifest is damaged"));
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(u64::from_le_bytes(count))
}

fn check_stamps(root: Root, count: u64, file: &mut File) -> Result<(), BaseError> {
    let length = file.metadata()?.len();
    if count.checked_mul(STAMP_BYTES).and_then(|n| n.checked_add(HEAD_BYTES + END_BYTES)) != Some(length) {
        return Err(BaseError::Damaged("the stamps are not those of the manifest"));
    }
    let mut hasher = blake3::Hasher::new();
    hash(file, length - END_BYTES, &mut hasher)?;
    let (mut of, mut check) = ([0u8; 32], [0u8; 32]);
    file.read_exact(&mut of)?;
    file.read_exact(&mut check)?;
    hasher.update(&of);
    if hasher.finalize().as_bytes() != &check {
        return Err(BaseError::Damaged("the stamps are damaged"));
    }
    if &of != root.as_bytes() {
        return Err(BaseError::Damaged("the stamps are not those of the manifest"));
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(())
}

fn hash(file: &mut File, bytes: u64, hasher: &mut blake3::Hasher) -> io::Result<()> {
    let mut buffer = vec![0u8; BUFFER_BYTES];
    let mut left = bytes;
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(BUFFER_BYTES).min(BUFFER_BYTES);
        let space = buffer.get_mut(..want).unwrap_or_default();
        file.read_exact(space)?;
        hasher.update(space);
        left -= want as u64;
    }
    Ok(())
}
