//! Contents that the base has, under whatever name: what was only renamed, moved or copied is named in the push and not sent.

use std::collections::{HashMap, HashSet};

use formats::{Body, ContentHash, Kind, Node, RelPath};

use super::contents::LONG_BYTES;
use super::reading::Expected;
use crate::state::{Base, Known, Short, shortened};
use crate::walk::Facts;

/// Most contents that are remembered, 16 bytes each. What is beyond is sent when it moves.
const REMEMBERED_MAX: usize = 2_000_000;
/// Most long files that are known by themselves.
const LONG_MAX: usize = 100_000;

/// The base's contents, read when the first is asked for: a push in which nothing is new never asks.
#[derive(Debug)]
pub(super) struct Elsewhere {
    unread: Option<Base>,
    /// Sorted.
    contents: Vec<Short>,
    /// Long files: those are sent while they are read, so their hash would come too late.
    long: Vec<Lent>,
    by_inode: HashMap<(u64, u64), usize>,
    by_length: HashMap<u64, usize>,
    wanted: HashSet<ContentHash>,
}

/// A long file of the base.
#[derive(Debug, Clone)]
pub(super) struct Lent {
    pub(super) path: RelPath,
    pub(super) expected: Expected,
}

impl Elsewhere {
    /// Of this base, without the contents that the server wants again.
    pub(super) fn new(base: Option<Base>, wanted: HashSet<ContentHash>) -> Self {
        Self {
            unread: base,
            contents: Vec::new(),
            long: Vec::new(),
            by_inode: HashMap::new(),
            by_length: HashMap::new(),
            wanted,
        }
    }

    /// The server asks for this content, whatever it has.
    pub(super) fn is_wanted(&self, hash: &ContentHash) -> bool {
        self.wanted.contains(hash)
    }

    /// The base has this content.
    pub(super) fn has(&mut self, hash: &ContentHash) -> bool {
        self.read();
        self.contents.binary_search(&shortened(hash.as_bytes())).is_ok()
    }

    /// What a long file was, if it still is the inode it was, whatever its name is now.
    pub(super) fn of_inode(&mut self, facts: &Facts) -> Option<&Lent> {
        self.read();
        let place = self.by_inode.get(&(facts.stamp.device, facts.stamp.inode))?;
        self.long.get(*place)
    }

    /// A long file of this length: what is new may be a copy of it.
    pub(super) fn of_length(&mut self, bytes: u64) -> Option<&Lent> {
        self.read();
        self.long.get(*self.by_length.get(&bytes)?)
    }

    fn read(&mut self) {
        let Some(mut base) = self.unread.take() else { return };
        // It was checked as a whole when the push began: what cannot be read now is sent as if it were new.
        while let Ok(Some(known)) = base.take_before(None) {
            if self.contents.len() == REMEMBERED_MAX {
                break;
            }
            self.note(&known);
        }
        self.contents.sort_unstable();
        self.contents.dedup();
    }

    fn note(&mut self, known: &Known) {
        let Body::Node(Node { meta, kind: Kind::File { size, content } }) = &known.entry.body else { return };
        if self.wanted.contains(content) {
            return;
        }
        self.contents.push(shortened(content.as_bytes()));
        if *size > LONG_BYTES && self.long.len() < LONG_MAX {
            self.by_inode.insert((known.stamp.device, known.stamp.inode), self.long.len());
            self.by_length.insert(*size, self.long.len());
            let expected = Expected { size: *size, mtime: meta.mtime, hash: *content };
            self.long.push(Lent { path: known.entry.path.clone(), expected });
        }
    }
}
