//! Which names the folders of a tree have that no entry has claimed yet.

use std::collections::BTreeSet;

/// The folders above the place where a walk in manifest order is.
#[derive(Debug, Default)]
pub(super) struct Folders {
    open: Vec<Folder>,
}

#[derive(Debug)]
struct Folder {
    path: Vec<u8>,
    /// None if it is not looked into.
    names: Option<BTreeSet<Vec<u8>>>,
}

/// Whether a folder has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    There,
    Missing,
    /// Nobody has looked.
    Unlisted,
}

impl Folders {
    /// A folder begins, with all its names; none if it is not looked into.
    pub(super) fn enter(&mut self, path: &[u8], names: Option<Vec<Vec<u8>>>) {
        let names = names.map(|names| names.into_iter().collect());
        self.open.push(Folder { path: path.to_vec(), names });
    }

    /// Leaves the folders that are not above `path` and tells what was left over in them.
    pub(super) fn leave(&mut self, path: &[u8], extra: &mut dyn FnMut(&[u8])) {
        while let Some(folder) = self.open.last() {
            let rest = path.strip_prefix(folder.path.as_slice());
            let above = folder.path.is_empty() || rest.is_some_and(|rest| rest.first() == Some(&b'/'));
            if above {
                return;
            }
            self.close(extra);
        }
    }

    /// Whether the deepest folder has this name; an entry claims it.
    pub(super) fn claim(&mut self, name: &[u8]) -> Claim {
        match self.open.last_mut().map(|folder| folder.names.as_mut()) {
            Some(None) => Claim::Unlisted,
            Some(Some(names)) => {
                if names.remove(name) {
                    Claim::There
                } else {
                    Claim::Missing
                }
            }
            None => Claim::Missing,
        }
    }

    /// The walk is over.
    pub(super) fn finish(&mut self, extra: &mut dyn FnMut(&[u8])) {
        while !self.open.is_empty() {
            self.close(extra);
        }
    }

    fn close(&mut self, extra: &mut dyn FnMut(&[u8])) {
        let Some(folder) = self.open.pop() else { return };
        for name in folder.names.unwrap_or_default() {
            let mut path = folder.path.clone();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(&name);
            extra(&path);
        }
    }
}
