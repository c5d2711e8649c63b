//! Which inodes were met under an earlier name.

use std::collections::HashMap;

use formats::RelPath;

use super::Facts;

/// The first path of each inode that has more names than were met so far. An inode is forgotten when all its names were met.
#[derive(Debug, Default)]
pub struct Links {
    open: HashMap<(u64, u64), (RelPath, u32)>,
}

impl Links {
    /// The first path of this inode, if it was met before.
    pub fn first(&mut self, facts: &Facts) -> Option<RelPath> {
        let key = (facts.stamp.device, facts.stamp.inode);
        let (path, left) = self.open.get_mut(&key)?;
        *left = left.saturating_sub(1);
        let path = path.clone();
        if *left == 0 {
            self.open.remove(&key);
        }
        Some(path)
    }

    /// Remembers the first path of an inode that has more names.
    pub fn remember(&mut self, facts: &Facts, path: &RelPath) {
        if facts.links > 1 {
            let key = (facts.stamp.device, facts.stamp.inode);
            self.open.insert(key, (path.clone(), facts.links - 1));
        }
    }
}
