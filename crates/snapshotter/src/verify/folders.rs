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
    names: BTreeSet<Vec<u8>>,
}

impl Folders {
    /// A folder begins, with all its names.
    pub(super) fn enter(&mut self, path: &[u8], names: Vec<Vec<u8>>) {
        self.open.push(Folder { path: path.to_vec(), names: names.into_iter().collect() });
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

    /// The deepest folder has this name, and an entry claims it.
    pub(super) fn claim(&mut self, name: &[u8]) -> bool {
        self.open.last_mut().is_some_and(|folder| folder.names.remove(name))
    }

    /// The walk is over.
    pub(super) fn finish(&mut self, extra: &mut dyn FnMut(&[u8])) {
        while !self.open.is_empty() {
            self.close(extra);
        }
    }

    fn close(&mut self, extra: &mut dyn FnMut(&[u8])) {
        let Some(folder) = self.open.pop() else { return };
        for name in folder.names {
            let mut path = folder.path.clone();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(&name);
            extra(&path);
        }
    }
}
