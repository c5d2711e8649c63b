//! Files that were read, by inode: one with many names is read once.

use std::collections::HashMap;

use durable::Stat;

const SECOND_NANOS: i64 = 1_000_000_000;

/// A file that was read. What is pruned or mended meanwhile gives its number to another file, and a redaction takes its content, but that was written
/// later: nobody sets the time of a file in a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Inode {
    number: u64,
    /// Last, in nanoseconds since 1970.
    written: i64,
}

impl Inode {
    fn of(stat: &Stat) -> Self {
        let written = stat.mtime_seconds.saturating_mul(SECOND_NANOS).saturating_add(stat.mtime_nanos.into());
        Self { number: stat.inode, written }
    }
}

/// What was found of each. All that has names in a history's trees is in one file system; of what should lie in another, nothing is remembered.
#[derive(Debug)]
pub(super) struct Inodes<T> {
    device: Option<u64>,
    found: HashMap<Inode, T>,
}

impl<T: Copy> Inodes<T> {
    /// None yet.
    pub(super) fn new() -> Self {
        Self { device: None, found: HashMap::new() }
    }

    /// What was found of this one; none if it was not read, or was written since.
    pub(super) fn get(&self, stat: &Stat) -> Option<T> {
        self.found.get(&Inode::of(stat)).filter(|_| self.device == Some(stat.device)).copied()
    }

    /// Remembers what was found of it.
    pub(super) fn add(&mut self, stat: &Stat, found: T) {
        if *self.device.get_or_insert(stat.device) == stat.device {
            self.found.insert(Inode::of(stat), found);
        }
    }
}

#[cfg(test)]
mod tests {
    use durable::{Dir, Name};
    use formats::ContentHash;

    use super::*;

    #[test]
    fn a_file_with_the_number_of_one_that_is_gone_is_another_and_a_new_name_makes_no_other() {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::write(scratch.path().join("file"), "x").unwrap();
        let dir = Dir::open_root(scratch.path()).unwrap();
        let look = || dir.stat(Name::literal("file")).unwrap();
        let before = look();
        let mut inodes = Inodes::new();
        inodes.add(&before, 1);
        std::fs::hard_link(scratch.path().join("file"), scratch.path().join("name")).unwrap();
        assert_eq!(inodes.get(&look()), Some(1));
        for other in [
            Stat { mtime_nanos: before.mtime_nanos ^ 1, ..before },
            Stat { mtime_seconds: before.mtime_seconds + 1, ..before },
            Stat { mtime_seconds: i64::MAX, ..before },
            Stat { device: before.device + 1, ..before },
        ] {
            assert_eq!(inodes.get(&other), None);
        }
        // Its number may be that of another file here.
        inodes.add(&Stat { device: before.device + 1, ..before }, 2);
        assert_eq!(inodes.get(&before), Some(1));
    }

    #[test]
    fn a_million_files_take_no_more_than_a_hundred_megabytes() {
        // A table has room for twice as many after it has grown, and a byte more for each.
        let each = size_of::<(Inode, ContentHash)>() + 1;
        assert!((each << 21) < 105 << 20, "{each}");
    }
}
