//! The full, sorted list of one state of one host: streaming writer and reader, and the rules that make a list a manifest.

use std::collections::HashSet;
use std::io::{self, Read, Write};

use crate::cursor::{Cursor, Malformed};
use crate::entry::{Body, Entry, Kind};
use crate::id::Root;
use crate::limits::ENTRY_BYTES;
use crate::path::{PathDigest, RelPath};
use crate::version::{Version, VersionError};

/// First bytes of a manifest file.
pub const MAGIC: &[u8; 8] = b"firn.man";
/// The version that is written; 1.x, which has no flags, is read too.
pub const VERSION: Version = Version { major: 2, minor: 0 };
/// What stands before each entry.
const LENGTH_BYTES: usize = 4;
const ROOT_PREFIX: &[u8] = b"firn manifest root 1\n";
/// What BLAKE3 can hash side by side on any processor, and a whole branch of its tree. Of a line alone it hashes one block after the other.
const STRETCH_BYTES: usize = 16 * 1024;

/// What a whole manifest comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// BLAKE3 over the entries.
    pub root: Root,
    /// Their number.
    pub entries: u64,
}

/// Why a manifest cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The stream below failed.
    #[error("manifest stream")]
    Io(#[source] io::Error),
    /// What it is kept in or comes through cannot be turned into its bytes.
    #[error("what it is brought out of is damaged")]
    Squeezed(#[source] io::Error),
    /// The file is of another version.
    #[error("manifest version")]
    Version(#[from] VersionError),
    /// The bytes are no manifest.
    #[error("manifest entry {number}")]
    Malformed {
        /// Which entry, from 1.
        number: u64,
        /// What is wrong with it.
        source: Malformed,
    },
    /// The list breaks a rule between entries.
    #[error("manifest entry {number} ({path}): {rule}")]
    Rule {
        /// Which entry, from 1.
        number: u64,
        /// Its path.
        path: RelPath,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// The end is missing or does not fit what came before.
    #[error("manifest end: {0}")]
    End(&'static str),
}

/// The system never says `InvalidData`: that is who expands what was squeezed, or who takes it out of an image.
impl From<io::Error> for ManifestError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData => ManifestError::Squeezed(error),
            _ => ManifestError::Io(error),
        }
    }
}

/// The root, line by line.
#[derive(Debug)]
struct RootHasher {
    hasher: blake3::Hasher,
    /// What it has not got yet: less than a stretch.
    held: Vec<u8>,
}

impl RootHasher {
    fn new() -> Self {
        let mut new = Self { hasher: blake3::Hasher::new(), held: Vec::with_capacity(STRETCH_BYTES) };
        new.update(ROOT_PREFIX);
        new
    }

    fn update(&mut self, mut bytes: &[u8]) {
        while let Some((now, later)) = bytes.split_at_checked(STRETCH_BYTES - self.held.len()) {
            self.held.extend_from_slice(now);
            self.hasher.update(&self.held);
            self.held.clear();
            bytes = later;
        }
        self.held.extend_from_slice(bytes);
    }

    /// Of all lines so far, to the last byte.
    fn root(&self) -> Root {
        Root::from_bytes(*self.hasher.clone().update(&self.held).finalize().as_bytes())
    }
}

/// Checks the rules between entries and sums up the root, entry by entry.
#[derive(Debug)]
struct Checker {
    hasher: RootHasher,
    entries: u64,
    last: Option<RelPath>,
    folders: Vec<Box<[u8]>>,
    /// First members of hard-link groups. Digests: a hostile host sends tens of millions of them, each as long as a path may be.
    leaders: HashSet<PathDigest>,
}

impl Default for Checker {
    fn default() -> Self {
        let hasher = RootHasher::new();
        Self { hasher, entries: 0, last: None, folders: Vec::new(), leaders: HashSet::new() }
    }
}

impl Checker {
    /// Takes the next entry, whose encoding is `encoded`; fails if it may not follow what came before, and then changes nothing.
    fn take(&mut self, entry: &Entry, encoded: &[u8]) -> Result<(), ManifestError> {
        let number = self.entries + 1;
        if let Err(rule) = self.rules(entry) {
            return Err(ManifestError::Rule { number, path: entry.path.clone(), rule });
        }
        self.entries = number;
        let length = u32::try_from(encoded.len()).unwrap_or(u32::MAX);
        self.hasher.update(&length.to_le_bytes());
        self.hasher.update(encoded);
        self.last = Some(entry.path.clone());
        Ok(())
    }

    /// Number of entries taken so far.
    fn entries(&self) -> u64 {
        self.entries
    }

    /// Root and number of all that was taken.
    fn summary(&self) -> Summary {
        Summary { root: self.hasher.root(), entries: self.entries }
    }

    fn rules(&mut self, entry: &Entry) -> Result<(), &'static str> {
        if self.last.as_ref().is_some_and(|last| *last >= entry.path) {
            return Err("paths must ascend");
        }
        // Sorted order means that the open folders are a stack: whatever is not above this path is done.
        let parent = entry.path.parent();
        let is_above = |folder: &[u8], parent: &[u8]| {
            parent.strip_prefix(folder).is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
        };
        let nearest = self.folders.iter().rposition(|folder| parent.is_some_and(|p| is_above(folder, p)));
        if parent != nearest.and_then(|nearest| self.folders.get(nearest)).map(|folder| &**folder) {
            return Err("its folder is not in the manifest");
        }
        let open = nearest.map_or(0, |nearest| nearest + 1);
        match &entry.body {
            Body::Link(first) if !self.leaders.contains(&first.digest()) => {
                return Err("links to no first member");
            }
            Body::Link(_) => self.folders.truncate(open),
            Body::Node(node) => {
                self.folders.truncate(open);
                if matches!(node.kind, Kind::Folder) {
                    self.folders.push(entry.path.as_bytes().into());
                } else if node.meta.links > 1 && !self.leaders.insert(entry.path.digest()) {
                    // Paths ascend, so it is another path: who looks one of the two up by its digest must not find the other.
                    return Err("its digest is that of another first member");
                }
            }
        }
        Ok(())
    }
}

/// Writes a manifest, entry by entry, in order: the head, each entry and the end by one call each, so that whoever cuts what is written into blocks
/// can leave them whole.
#[derive(Debug)]
pub struct ManifestWriter<W: Write> {
    to: W,
    checker: Checker,
    /// The entry that was written last, and its length before it.
    buffer: Vec<u8>,
}

impl<W: Write> ManifestWriter<W> {
    /// Writes the head.
    pub fn new(mut to: W) -> Result<Self, ManifestError> {
        let mut head = MAGIC.to_vec();
        VERSION.encode(&mut head);
        to.write_all(&head)?;
        Ok(Self { to, checker: Checker::default(), buffer: Vec::new() })
    }

    /// Length of the line of the entry that was written last.
    pub fn line_bytes(&self) -> u64 {
        self.buffer.len() as u64
    }

    /// Writes the next entry; refuses one that may not come here.
    pub fn push(&mut self, entry: &Entry) -> Result<(), ManifestError> {
        self.buffer.clear();
        self.buffer.extend_from_slice(&[0; LENGTH_BYTES]);
        entry
            .encode(&mut self.buffer)
            .map_err(|source| ManifestError::Malformed { number: self.checker.entries() + 1, source })?;
        if let Some((length, encoded)) = self.buffer.split_first_chunk_mut::<LENGTH_BYTES>() {
            self.checker.take(entry, encoded)?;
            *length = u32::try_from(encoded.len()).unwrap_or(u32::MAX).to_le_bytes();
        }
        self.to.write_all(&self.buffer)?;
        Ok(())
    }

    /// Writes the end; gives back what it wrote to, so that the caller can make it durable.
    pub fn finish(mut self) -> Result<(Summary, W), ManifestError> {
        let summary = self.checker.summary();
        let mut end = 0u32.to_le_bytes().to_vec();
        end.extend_from_slice(&summary.entries.to_le_bytes());
        end.extend_from_slice(summary.root.as_bytes());
        self.to.write_all(&end)?;
        self.to.flush()?;
        Ok((summary, self.to))
    }
}

/// Reads a manifest, entry by entry. Nothing read counts until the iterator has ended without an error: only then are number and root proved.
#[derive(Debug)]
pub struct ManifestReader<R: Read> {
    from: R,
    version: Version,
    checker: Checker,
    buffer: Vec<u8>,
    end: Option<Summary>,
    failed: bool,
}

impl<R: Read> ManifestReader<R> {
    /// Reads the head. Give it a buffered reader.
    pub fn new(mut from: R) -> Result<Self, ManifestError> {
        let mut head = [0u8; 12];
        from.read_exact(&mut head).map_err(short("head is cut short"))?;
        let mut cursor = Cursor::new(&head);
        if cursor.bytes(8, "magic").ok() != Some(MAGIC.as_slice()) {
            return Err(ManifestError::End("not a manifest"));
        }
        let version =
            Version::decode(&mut cursor).map_err(|source| ManifestError::Malformed { number: 0, source })?;
        if version.major != Version::ONE.major {
            VERSION.check("manifest", version)?;
        }
        Ok(Self { from, version, checker: Checker::default(), buffer: Vec::new(), end: None, failed: false })
    }

    /// Of the file.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Number and root, proved, once the iterator has ended; none before or after an error.
    pub fn summary(&self) -> Option<Summary> {
        self.end
    }

    fn step(&mut self) -> Result<Option<Entry>, ManifestError> {
        let mut length = [0u8; 4];
        self.from.read_exact(&mut length).map_err(short("cut short"))?;
        let length = u32::from_le_bytes(length) as usize;
        if length == 0 {
            return self.finish().map(|()| None);
        }
        let number = self.checker.entries() + 1;
        if length > ENTRY_BYTES {
            return Err(ManifestError::Malformed { number, source: Malformed { what: "entry: too long" } });
        }
        self.buffer.resize(length, 0);
        self.from.read_exact(&mut self.buffer).map_err(short("cut short"))?;
        let entry =
            Entry::decode(&self.buffer).map_err(|source| ManifestError::Malformed { number, source })?;
        let has_flags = entry.node().is_some_and(|node| node.meta.flags().is_some());
        if has_flags && self.version.major == Version::ONE.major {
            return Err(ManifestError::Malformed { number, source: Malformed { what: "flags" } });
        }
        self.checker.take(&entry, &self.buffer)?;
        Ok(Some(entry))
    }

    fn finish(&mut self) -> Result<(), ManifestError> {
        let mut end = [0u8; 40];
        self.from.read_exact(&mut end).map_err(short("cut short"))?;
        let summary = self.checker.summary();
        let mut cursor = Cursor::new(&end);
        if cursor.u64("number").ok() != Some(summary.entries) {
            return Err(ManifestError::End("number of entries differs"));
        }
        if cursor.rest() != summary.root.as_bytes() {
            return Err(ManifestError::End("root differs"));
        }
        if self.from.read(&mut [0u8; 1])? != 0 {
            return Err(ManifestError::End("bytes after the end"));
        }
        self.end = Some(summary);
        Ok(())
    }
}

fn short(what: &'static str) -> impl Fn(io::Error) -> ManifestError {
    move |error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ManifestError::End(what),
        _ => error.into(),
    }
}

impl<R: Read> Iterator for ManifestReader<R> {
    type Item = Result<Entry, ManifestError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.end.is_some() {
            return None;
        }
        let step = self.step();
        self.failed = step.is_err();
        step.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Meta, Mtime, Node};

    fn first(path: &str) -> Entry {
        let mtime = Mtime { seconds: 0, nanos: 0 };
        let meta = Meta { mode: 0o644, owner: 0, group: 0, mtime, links: 2, attributes: Vec::new() };
        let path = RelPath::new(path.as_bytes()).unwrap();
        Entry { path, body: Body::Node(Node { meta, kind: Kind::Fifo }) }
    }

    #[test]
    fn the_root_is_the_hash_of_all_bytes_however_they_come() {
        let bytes: Vec<u8> = (0..STRETCH_BYTES as u32 * 3).map(|n| (n % 251) as u8).collect();
        for length in [0, 1, STRETCH_BYTES - ROOT_PREFIX.len(), STRETCH_BYTES, bytes.len()] {
            let bytes = &bytes[..length];
            let whole = [ROOT_PREFIX, bytes].concat();
            for piece in [1, 7, 1_000, STRETCH_BYTES - 1, STRETCH_BYTES, bytes.len().max(1)] {
                let mut hasher = RootHasher::new();
                for piece in bytes.chunks(piece) {
                    hasher.update(piece);
                    assert!(hasher.held.len() < STRETCH_BYTES);
                }
                assert_eq!(hasher.root().as_bytes(), blake3::hash(&whole).as_bytes(), "{length} by {piece}");
            }
        }
    }

    /// Nobody can make two such paths; here one of them is made up.
    #[test]
    fn of_two_first_members_with_one_digest_the_second_is_refused() {
        let mut writer = ManifestWriter::new(Vec::new()).unwrap();
        writer.push(&first("a")).unwrap();
        writer.checker.leaders.insert(first("b").path.digest());
        let refused = writer.push(&first("b"));
        assert!(matches!(refused, Err(ManifestError::Rule { number: 2, .. })), "{refused:?}");
        writer.push(&first("c")).unwrap();
    }
}
