//! Where the base has the contents that a push names under another path and does not bring.
//!
//! There can be as many of them as a push has entries, each under a path as long as a path may be. So the paths are in a file, and only the start of
//! the hash and a number stay in memory, about 40 bytes for each content that the changes name.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;

use durable::{Dir, Name};
use formats::entry::Entry;
use formats::{Change, RelPath};

use super::base::content_of;
use super::fault::Fault;
use super::room::Room;
use super::shelves::{Content, FILE_MODE};

const MOVED: Name<'static> = Name::literal("moved");
const WRITE_BYTES: usize = 256 * 1024;
const HASH_BYTES: usize = 32;
/// A hash, a size and the length of a path.
const HEAD_BYTES: usize = HASH_BYTES + 8 + 2;
const DOING: &str = "keeping where contents lie in the base";

/// Enough of a hash to find its record, which has all of it.
type Start = [u8; 16];

/// The records, and where each of them is.
#[derive(Debug)]
pub(super) struct Moved {
    records: File,
    places: HashMap<Start, u64>,
}

impl Moved {
    /// Finds what `changes` can ask for among the entries of the base; of several paths the first. Keeps its records in this folder.
    pub(super) fn locate(
        changes: impl Iterator<Item = Result<Change, Fault>>,
        entries: impl Iterator<Item = Result<Entry, Fault>>,
        dir: &Dir,
        room: &Room<'_>,
    ) -> Result<Self, Fault> {
        const NOWHERE: u64 = u64::MAX;
        let mut places = HashMap::new();
        for change in changes {
            if let Change::Put(entry) = change?
                && let Some(content) = content_of(&entry)
            {
                places.insert(start(content), NOWHERE);
            }
        }
        let records = dir.create_new(MOVED, FILE_MODE)?;
        // Whoever tries again after a fault finds no name in the way, and the same fault.
        dir.unlink(MOVED)?;
        let mut records = BufWriter::with_capacity(WRITE_BYTES, records);
        let mut end = 0;
        for entry in entries {
            let entry = entry?;
            let Some(content) = content_of(&entry) else { continue };
            let Some(place) = places.get_mut(&start(content)).filter(|place| **place == NOWHERE) else {
                continue;
            };
            *place = end;
            let bytes = write(&mut records, content, &entry.path).map_err(Fault::stream(DOING))?;
            room.bytes(bytes)?;
            end += bytes;
        }
        places.retain(|_, place| *place != NOWHERE);
        places.shrink_to_fit();
        let records = records.into_inner().map_err(|error| Fault::stream(DOING)(error.into_error()))?;
        Ok(Self { records, places })
    }

    /// Where the base has a file of this content, if it does.
    pub(super) fn find(&self, content: Content) -> Result<Option<RelPath>, Fault> {
        let Some(place) = self.places.get(&start(content)) else { return Ok(None) };
        self.read(content, *place).map_err(Fault::stream(DOING))
    }

    /// The path of this record, if it is of this content and not only of one whose hash begins the same.
    fn read(&self, content: Content, place: u64) -> io::Result<Option<RelPath>> {
        let mut head = [0; HEAD_BYTES];
        self.records.read_exact_at(&mut head, place)?;
        let (named, length) = head.split_at(HEAD_BYTES - 2);
        if *named != name(content) {
            return Ok(None);
        }
        let length = length.iter().rev().fold(0, |length, byte| length << 8 | usize::from(*byte));
        let mut path = vec![0; length];
        self.records.read_exact_at(&mut path, place + HEAD_BYTES as u64)?;
        RelPath::new(&path).map(Some).map_err(io::Error::other)
    }
}

fn start(content: Content) -> Start {
    let (start, _) = content.hash.as_bytes().split_first_chunk().unwrap_or((&[0; 16], &[]));
    *start
}

/// Hash and size, as they stand in a record.
fn name(content: Content) -> [u8; HEAD_BYTES - 2] {
    let mut name = [0; HEAD_BYTES - 2];
    let (hash, size) = name.split_at_mut(HASH_BYTES);
    hash.copy_from_slice(content.hash.as_bytes());
    size.copy_from_slice(&content.size.to_le_bytes());
    name
}

/// Tells how long the record is.
fn write(to: &mut impl Write, content: Content, path: &RelPath) -> io::Result<u64> {
    let path = path.as_bytes();
    let length = u16::try_from(path.len()).map_err(io::Error::other)?;
    to.write_all(&name(content))?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(path)?;
    Ok((HEAD_BYTES + path.len()) as u64)
}

#[cfg(test)]
mod tests {
    use formats::ContentHash;
    use formats::entry::{Body, Kind, Meta, Mtime, Node};

    use super::*;

    fn content(n: u8, size: u64) -> Content {
        Content { hash: ContentHash::of(&[n]), size }
    }

    fn entry(path: &str, Content { hash, size }: Content) -> Entry {
        let mtime = Mtime { seconds: 0, nanos: 0 };
        let meta = Meta { mode: 0o644, owner: 0, group: 0, mtime, links: 1, attributes: Vec::new() };
        let kind = Kind::File { size, content: hash };
        Entry { path: RelPath::new(path.as_bytes()).unwrap(), body: Body::Node(Node { meta, kind }) }
    }

    fn found(wanted: &[Content], base: &[(&str, Content)]) -> Vec<Option<String>> {
        let scratch = tempfile::tempdir().unwrap();
        let dir = Dir::open_root(scratch.path()).unwrap();
        let room = Room::new(&dir, 0).unwrap();
        let changes = wanted.iter().map(|content| Ok(Change::Put(entry("new", *content))));
        let entries = base.iter().map(|(path, content)| Ok(entry(path, *content)));
        let moved = Moved::locate(changes, entries, &dir, &room).unwrap();
        wanted.iter().map(|content| moved.find(*content).unwrap().map(|path| path.to_string())).collect()
    }

    #[test]
    fn a_content_is_found_at_the_first_path_that_has_it() {
        let (a, b, c) = (content(1, 5), content(2, 6), content(3, 7));
        let long = vec!["d".repeat(200); 100].join("/");
        let base = [("a", c), ("b", a), (&*long, b), ("z", a)];
        assert_eq!(found(&[a, b, content(4, 1)], &base), [Some("b".to_owned()), Some(long.clone()), None]);
    }

    #[test]
    fn what_only_begins_like_a_content_is_not_it() {
        let real = content(1, 5);
        let mut hash = *real.hash.as_bytes();
        hash[31] ^= 1;
        let alike = Content { hash: ContentHash::from_bytes(hash), ..real };
        let longer = Content { size: 6, ..real };
        assert_eq!(start(alike), start(real));
        for lie in [alike, longer] {
            assert_eq!(found(&[lie], &[("a", real)]), [None]);
            assert_eq!(found(&[lie, real], &[("a", real)]), [None, Some("a".to_owned())]);
        }
    }
}
