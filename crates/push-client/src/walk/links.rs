//! Which inodes were met under an earlier name.

use std::collections::HashMap;

use formats::RelPath;

use super::{Facts, Stamp};

/// The first path of each inode that has more names than were met so far. An inode is forgotten when all its names were met.
#[derive(Debug, Default)]
pub struct Links {
    open: HashMap<(u64, u64), First>,
}

#[derive(Debug)]
struct First {
    path: RelPath,
    /// Names that were not met so far.
    left: u32,
    stamp: Stamp,
}

impl Links {
    /// The first path of this inode, if it was met before.
    pub fn first(&mut self, facts: &Facts) -> Option<RelPath> {
        let key = (facts.stamp.device, facts.stamp.inode);
        // Touched between the two looks, it may be another file under the number of one that is gone.
        let first = self.open.get_mut(&key).filter(|first| first.stamp == facts.stamp)?;
        first.left = first.left.saturating_sub(1);
        let path = first.path.clone();
        if first.left == 0 {
            self.open.remove(&key);
        }
        Some(path)
    }

    /// Remembers the first path of an inode that has more names.
    pub fn remember(&mut self, facts: &Facts, path: &RelPath) {
        if facts.links > 1 {
            let key = (facts.stamp.device, facts.stamp.inode);
            let first = First { path: path.clone(), left: facts.links - 1, stamp: facts.stamp };
            self.open.insert(key, first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Freshness;
    use super::*;

    #[test]
    fn the_number_of_a_file_that_is_gone_makes_no_link() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name);
        std::fs::write(at("a"), "x").unwrap();
        std::fs::hard_link(at("a"), at("b")).unwrap();
        let folder = std::fs::File::open(scratch.path()).unwrap();
        let facts = Facts::of_name(&folder, b"a", Freshness::Asked).unwrap();
        let mut links = Links::default();
        links.remember(&facts, &RelPath::new(b"a").unwrap());
        let later = Stamp { ctime_nanos: facts.stamp.ctime_nanos ^ 1, ..facts.stamp };
        assert_eq!(links.first(&Facts { stamp: later, ..facts }), None);
        assert_eq!(links.first(&facts), Some(RelPath::new(b"a").unwrap()));
        assert_eq!(links.first(&facts), None);
    }
}
