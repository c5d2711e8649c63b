//! Hard-link groups: what their first members are, and where each group first got a name in the restored tree.

use std::collections::HashMap;

use formats::{Body, Entry, Node, RelPath};

/// The groups of one snapshot. Memory grows with the number of files that have several names.
#[derive(Debug, Default)]
pub struct Leaders(HashMap<RelPath, Leader>);

#[derive(Debug)]
struct Leader {
    node: Node,
    at: Option<(RelPath, u64)>,
}

impl Leaders {
    /// Takes note of a first member. Of all in the manifest, also those that are not asked for: their metadata holds for the group.
    pub fn gather(&mut self, entry: &Entry) {
        if let Body::Node(node) = &entry.body
            && node.meta.links > 1
        {
            self.0.insert(entry.path.clone(), Leader { node: node.clone(), at: None });
        }
    }

    /// The inode that a link to `first` shares.
    pub fn node(&self, first: &RelPath) -> Option<&Node> {
        self.0.get(first).map(|leader| &leader.node)
    }

    /// Where the group of `first` has a name already, and the inode that it is.
    pub(crate) fn at(&self, first: &RelPath) -> Option<&(RelPath, u64)> {
        self.0.get(first)?.at.as_ref()
    }

    /// `entry` is restored, as a file of its own, which is `inode`: later names link to it.
    pub(crate) fn placed(&mut self, entry: &Entry, inode: u64) {
        if let Some(leader) = self.0.get_mut(first(entry)) {
            leader.at = Some((entry.path.clone(), inode));
        }
    }
}

/// The first member of the group that `entry` is in.
pub(crate) fn first(entry: &Entry) -> &RelPath {
    match &entry.body {
        Body::Node(_) => &entry.path,
        Body::Link(first) => first,
    }
}
