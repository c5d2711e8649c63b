//! Endings of names: which a host had, and which came in number although it never had them.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use formats::RelPath;
use formats::records::log::Tripped;

/// Most that are remembered; a host with more has no ending that is new.
const HAD_MAX: usize = 65_536;
/// Most new ones that are counted at a time: what is more often than once in so many is never lost.
const NEW_MAX: usize = 1_024;
/// What is longer is no ending.
const BYTES_MAX: usize = 32;

/// All endings of two manifests.
#[derive(Debug, Clone, Default)]
pub(super) struct Endings {
    hasher: RandomState,
    had: HashSet<u64>,
    came: HashMap<Vec<u8>, Came>,
}

#[derive(Debug, Clone, Default)]
struct Came {
    count: u64,
    paths: Vec<RelPath>,
}

/// One that came often.
#[derive(Debug, Clone)]
pub(super) struct Often<'a> {
    pub(super) ending: &'a [u8],
    pub(super) count: u64,
    pub(super) paths: &'a [RelPath],
}

impl Endings {
    /// The host had a file of this path.
    pub(super) fn had(&mut self, path: &RelPath) {
        if let Some(ending) = ending(path)
            && self.had.len() < HAD_MAX
        {
            self.had.insert(self.hasher.hash_one(ending));
        }
    }

    /// The host has a new file of this path. What is known to be no new ending is not counted; of others that is found out later.
    pub(super) fn came(&mut self, path: &RelPath) {
        let Some(ending) = ending(path) else { return };
        if self.is_known(ending) {
            return;
        }
        let is_full = self.came.len() >= NEW_MAX;
        match self.came.entry(ending.to_vec()) {
            Entry::Occupied(known) => known.into_mut().add(path),
            Entry::Vacant(new) if !is_full => new.insert(Came::default()).add(path),
            // Misra and Gries: each takes one of every other with it.
            Entry::Vacant(_) => self.came.retain(|_, came| {
                came.count -= 1;
                came.count > 0
            }),
        }
    }

    /// The one that came most often and that the host never had.
    pub(super) fn most(&self) -> Option<Often<'_>> {
        if self.had.len() >= HAD_MAX {
            return None;
        }
        let new = self.came.iter().filter(|(ending, _)| !self.is_known(ending));
        let (ending, came) = new.max_by_key(|(ending, came)| (came.count, *ending))?;
        Some(Often { ending, count: came.count, paths: &came.paths })
    }

    fn is_known(&self, ending: &[u8]) -> bool {
        self.had.contains(&self.hasher.hash_one(ending))
    }
}

impl Came {
    fn add(&mut self, path: &RelPath) {
        self.count = self.count.saturating_add(1);
        if self.paths.len() < Tripped::PATHS_MAX {
            self.paths.push(path.clone());
        }
    }
}

/// What stands behind the last dot, unless the name begins with that.
fn ending(path: &RelPath) -> Option<&[u8]> {
    let name = path.file_name();
    let dot = name.iter().rposition(|b| *b == b'.').filter(|dot| *dot > 0)?;
    name.get(dot + 1..).filter(|ending| (1..=BYTES_MAX).contains(&ending.len()))
}
