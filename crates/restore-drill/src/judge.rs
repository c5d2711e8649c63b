//! Is the image what its manifests say? Every entry is compared, every content read and hashed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Read};

use cli::{Failed, Task};
use formats::records::drill::{DrilledSnapshot, FromManifest, Supplied};
use formats::records::ice::IceRecord;
use formats::{Body, ContentHash, Entry, Kind, Meta, Node, RelPath, Tag};
use restore::{Differences, Selection};

use crate::image::hold::{clamped, holds, is_same};
use crate::image::{ImageReader, Manifest, Node as Seen};
use crate::pairs::{Pair, Pairs};

/// Numbers of owners that an image holds; those beyond are 0 in it.
const OWNERS_MAX: usize = 2_048;
const BUFFER_BYTES: usize = 1 << 20;

/// What one walk over all snapshots of an image found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// What is not as it should be.
    pub(crate) differences: Differences,
    /// What the manifests supply.
    supplied: BTreeMap<Supplied, u64>,
    /// Of all snapshots.
    pub(crate) owners: Owners,
}

/// Distinct numbers of owners and groups, 0 always among them: must be known of all manifests before the first comparison.
#[derive(Debug)]
pub(crate) struct Owners(HashSet<u32>);

impl Default for Owners {
    fn default() -> Self {
        Owners(HashSet::from([0]))
    }
}

impl Owners {
    /// Adds those of an entry. Beyond what an image holds there is nothing more to know.
    pub(crate) fn gather(&mut self, entry: &Entry) {
        if let Some(node) = entry.node()
            && self.fit()
        {
            self.0.extend([node.meta.owner, node.meta.group]);
        }
    }

    fn fit(&self) -> bool {
        self.0.len() <= OWNERS_MAX
    }
}

impl Findings {
    /// What the manifests supply, for the record.
    pub(crate) fn supplied(&self) -> Vec<FromManifest> {
        self.supplied.iter().map(|(what, count)| FromManifest { what: *what, count: *count }).collect()
    }

    fn supply(&mut self, what: Supplied) {
        *self.supplied.entry(what).or_default() += 1;
    }
}

/// Compares one snapshot. The image must stand before its first name.
pub(crate) fn judge(
    (record, manifest): (&IceRecord, &Manifest),
    image: &mut ImageReader,
    findings: &mut Findings,
    task: &Task,
) -> Result<DrilledSnapshot, Failed> {
    let snapshot = &manifest.snapshot;
    let sequence = snapshot.sequence;
    let is_redacted = |content: &ContentHash| record.is_redacted(content, sequence);
    let (leaders, is_redacted) = (HashMap::new(), &is_redacted);
    let mut judge = Judge { findings, leaders, is_redacted, files: 0, content_bytes: 0 };
    let mut pairs = Pairs::begin(manifest, Selection::All)?;
    let mut entries = 0;
    while let Some(pair) = pairs.next(image)? {
        match pair {
            Pair::Both(entry, seen) => {
                entries += 1;
                judge.compare(&entry, &seen, image);
            }
            Pair::Missing(entry) => {
                entries += 1;
                judge.missing(&entry);
            }
            Pair::Unknown(path) => {
                judge
                    .findings
                    .differences
                    .add(path.as_bytes(), "it is in the image, but not in the manifest");
            }
        }
        task.advance(1);
    }
    Ok(DrilledSnapshot {
        name: snapshot.name.clone(),
        root: snapshot.root,
        entries,
        files: judge.files,
        content_bytes: judge.content_bytes,
    })
}

struct Judge<'a> {
    findings: &'a mut Findings,
    /// First members of hard-link groups, whose metadata holds for all.
    leaders: HashMap<RelPath, Node>,
    /// By the ice's record.
    is_redacted: &'a dyn Fn(&ContentHash) -> bool,
    files: u64,
    content_bytes: u64,
}

impl Judge<'_> {
    fn compare(&mut self, entry: &Entry, seen: &Seen, image: &mut ImageReader) {
        let Some(node) = self.node_of(entry) else { return };
        let mut differ = Vec::new();
        self.compare_meta(&node, seen, &mut differ);
        match (&node.kind, &seen.kind) {
            (expected, found) if !is_same(expected, found) => {
                differ.push(format!("it is {} of another kind, size, target or number", found.word()));
            }
            (Kind::File { size, content }, _) => {
                self.files += 1;
                differ.extend(self.compare_content(*size, content, image));
            }
            _ => {}
        }
        for what in differ {
            self.findings.differences.add(entry.path.as_bytes(), what);
        }
    }

    /// What the image cannot hold is missing by right.
    fn missing(&mut self, entry: &Entry) {
        let Some(node) = self.node_of(entry) else { return };
        match &node.kind {
            kind if holds(kind) => {
                self.findings.differences.add(entry.path.as_bytes(), "it is missing in the image");
            }
            Kind::Symlink { .. } => self.findings.supply(Supplied::LongSymlinks),
            Kind::Socket => self.findings.supply(Supplied::Sockets),
            Kind::CharDevice { .. } | Kind::BlockDevice { .. } => {
                self.findings.supply(Supplied::DeviceNumbers)
            }
            Kind::File { .. } | Kind::Folder | Kind::Fifo => {}
        }
    }

    /// The inode of an entry: its own, or that of the first member of its group.
    fn node_of(&mut self, entry: &Entry) -> Option<Node> {
        match &entry.body {
            Body::Link(first) => {
                self.findings.supply(Supplied::HardLinks);
                self.leaders.get(first).cloned()
            }
            Body::Node(node) => {
                if node.meta.links > 1 {
                    self.leaders.insert(entry.path.clone(), node.clone());
                }
                self.supplied_by(&node.meta);
                Some(node.clone())
            }
        }
    }

    fn supplied_by(&mut self, meta: &Meta) {
        if meta.mtime.nanos != 0 {
            self.findings.supply(Supplied::Nanoseconds);
        }
        if clamped(meta) != meta.mtime.seconds {
            self.findings.supply(Supplied::ClampedMtimes);
        }
        if meta.attributes.iter().any(|attribute| attribute.tag == Tag::Extended) {
            self.findings.supply(Supplied::ExtendedAttributes);
        }
    }

    fn compare_meta(&mut self, node: &Node, seen: &Seen, differ: &mut Vec<String>) {
        let meta = &node.meta;
        let mut beyond = false;
        for (what, expected, found) in [("owner", meta.owner, seen.owner), ("group", meta.group, seen.group)]
        {
            if expected == found {
            } else if found == 0 && !self.findings.owners.fit() {
                beyond = true;
            } else {
                differ.push(format!("its {what} is {found}, and should be {expected}"));
            }
        }
        if beyond {
            self.findings.supply(Supplied::Owners);
        }
        // The mode of a symlink means nothing.
        if meta.mode != seen.mode && !matches!(node.kind, Kind::Symlink { .. }) {
            differ.push(format!("its mode is {:04o}, and should be {:04o}", seen.mode, meta.mode));
        }
        if clamped(meta) != i64::from(seen.mtime) {
            differ.push(format!("its mtime is {}, and should be {}", seen.mtime, clamped(meta)));
        }
    }

    fn compare_content(
        &mut self,
        size: u64,
        expected: &ContentHash,
        image: &mut ImageReader,
    ) -> Option<String> {
        match hash(size, image) {
            Ok(Content { bytes, is_zeros, .. }) if (self.is_redacted)(expected) => {
                self.content_bytes += bytes;
                self.findings.supply(Supplied::Redacted);
                (bytes != size || !is_zeros).then(|| "it was redacted, and is not zeros".to_owned())
            }
            Ok(Content { bytes, hash, .. }) => {
                self.content_bytes += bytes;
                (bytes != size || hash != *expected).then(|| "its content is another".to_owned())
            }
            Err(error) => Some(format!("its content cannot be read: {error}")),
        }
    }
}

/// A content of the image, read to its end.
struct Content {
    bytes: u64,
    hash: ContentHash,
    is_zeros: bool,
}

fn hash(size: u64, image: &mut ImageReader) -> io::Result<Content> {
    let mut hasher = blake3::Hasher::new();
    let (mut bytes, mut is_zeros) = (0, true);
    if size > 0 {
        let mut content = image.content().take(size.saturating_add(1));
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let length = content.read(&mut buffer)?;
            let piece = buffer.get(..length).unwrap_or_default();
            if piece.is_empty() {
                break;
            }
            bytes += length as u64;
            is_zeros = is_zeros && piece.iter().all(|byte| *byte == 0);
            hasher.update(piece);
        }
    }
    Ok(Content { bytes, hash: ContentHash::from_bytes(*hasher.finalize().as_bytes()), is_zeros })
}
