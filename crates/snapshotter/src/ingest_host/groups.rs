//! The first members of the hard-link groups of one push: what each of them is, for when its inode has as many names as it can bear.
//!
//! There can be tens of millions of them, so only a digest of the path and a number stay in memory, about 40 bytes; the contents are in a file.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::FileExt;

use durable::{Dir, Name};
use formats::{ContentHash, PathDigest, RelPath};

use super::fault::Fault;
use super::shelves::{Content, FILE_MODE};

const GROUPS: Name<'static> = Name::literal("groups");
const HASH_BYTES: usize = 32;
/// A hash and a size.
const RECORD_BYTES: usize = HASH_BYTES + 8;

/// What is known of them.
#[derive(Debug)]
pub(crate) struct Groups {
    records: File,
    /// How many there are. Not how many are found: no record is ever written over.
    count: u64,
    /// The number of each record.
    files: HashMap<PathDigest, u64>,
    /// Those that only the manifest holds.
    unmade: HashSet<PathDigest>,
}

impl Groups {
    /// None yet; keeps its records in this folder.
    pub(crate) fn new(dir: &Dir) -> Result<Self, Fault> {
        let records = dir.create_new(GROUPS, FILE_MODE)?;
        Ok(Self { records, count: 0, files: HashMap::new(), unmade: HashSet::new() })
    }

    /// This first member is a regular file.
    pub(crate) fn file(&mut self, first: &RelPath, content: Content) -> Result<(), Fault> {
        let number = self.count;
        let mut record = [0; RECORD_BYTES];
        let (hash, size) = record.split_at_mut(HASH_BYTES);
        hash.copy_from_slice(content.hash.as_bytes());
        size.copy_from_slice(&content.size.to_le_bytes());
        let written = self.records.write_all_at(&record, number * RECORD_BYTES as u64);
        written.map_err(Fault::stream("keeping a hard link's content"))?;
        self.count += 1;
        self.files.insert(first.digest(), number);
        Ok(())
    }

    /// This one is not made in the tree.
    pub(crate) fn unmade(&mut self, first: &RelPath) {
        self.unmade.insert(first.digest());
    }

    /// It was not.
    pub(crate) fn is_unmade(&self, first: &RelPath) -> bool {
        self.unmade.contains(&first.digest())
    }

    /// The content of this one, if it is a regular file.
    pub(crate) fn content(&self, first: &RelPath) -> Result<Option<Content>, Fault> {
        let Some(number) = self.files.get(&first.digest()) else { return Ok(None) };
        let (mut hash, mut size) = ([0; HASH_BYTES], [0; 8]);
        let place = number * RECORD_BYTES as u64;
        let read = self.records.read_exact_at(&mut hash, place);
        let read = read.and_then(|()| self.records.read_exact_at(&mut size, place + HASH_BYTES as u64));
        read.map_err(Fault::stream("reading a hard link's content"))?;
        Ok(Some(Content { hash: ContentHash::from_bytes(hash), size: u64::from_le_bytes(size) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(n: u8) -> Content {
        Content { hash: ContentHash::of(&[n]), size: u64::from(n) }
    }

    /// No manifest has two first members with one digest. If one had, the others' contents would be theirs all the same.
    #[test]
    fn no_record_of_a_group_is_written_over_by_another_one() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = Dir::open_root(scratch.path()).unwrap();
        let mut groups = Groups::new(&dir).unwrap();
        let path = |name: &str| RelPath::new(name.as_bytes()).unwrap();
        // The same path twice stands for two with the same digest.
        for (name, n) in [("a", 1), ("b", 2), ("b", 3), ("c", 4), ("d", 5)] {
            groups.file(&path(name), content(n)).unwrap();
        }
        for (name, n) in [("a", 1), ("b", 3), ("c", 4), ("d", 5)] {
            assert_eq!(groups.content(&path(name)).unwrap(), Some(content(n)), "{name}");
        }
        assert_eq!(groups.content(&path("e")).unwrap(), None);
    }
}
