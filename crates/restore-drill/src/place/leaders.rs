//! Hard-link groups: what their first members are, and where each group first got a name in the restored tree.

use std::collections::HashMap;

use formats::{Body, Entry, Node, RelPath};

/// The groups of one snapshot. Memory grows with the number of files that have several names.
#[derive(Debug, Default)]
pub(crate) struct Leaders(HashMap<RelPath, Leader>);

#[derive(Debug)]
struct Leader {
    node: Node,
    at: Option<RelPath>,
}

impl Leaders {
    /// Takes note of a first member. Of all in the manifest, also those that are not asked for: their metadata holds for the group.
    pub(crate) fn gather(&mut self, entry: &Entry) {
        if let Some(node) = entry.node().filter(|node| node.meta.links > 1) {
            self.0.insert(entry.path.clone(), Leader { node: node.clone(), at: None });
        }
    }

    /// The inode that a link to `first` shares.
    pub(crate) fn node(&self, first: &RelPath) -> Option<&Node> {
        self.0.get(first).map(|leader| &leader.node)
    }

    /// Where the group of `first` has a name already.
    pub(crate) fn at(&self, first: &RelPath) -> Option<&RelPath> {
        self.0.get(first)?.at.as_ref()
    }

    /// `entry` is restored, as a file of its own: later names link to it.
    pub(crate) fn placed(&mut self, entry: &Entry) {
        let first = match &entry.body {
            Body::Node(_) => &entry.path,
            Body::Link(first) => first,
        };
        if let Some(leader) = self.0.get_mut(first) {
            leader.at = Some(entry.path.clone());
        }
    }
}
