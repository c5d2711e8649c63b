//! Contents that the base has, under whatever name: what was only renamed, moved or copied is named in the push and not sent.

use std::collections::{HashMap, HashSet};

use formats::{Body, ContentHash, Kind, Node};

use super::contents::Expected;
use crate::state::{Base, Known};
use crate::walk::Facts;

/// What is kept of a hash: so much that nobody makes a file that is taken for another.
const SHORT_BYTES: usize = 16;
/// Most contents that are remembered, 16 bytes each. What is beyond is sent when it moves.
const REMEMBERED_MAX: usize = 2_000_000;
/// Most files that are known by their inode.
const INODES_MAX: usize = 200_000;

type Short = [u8; SHORT_BYTES];

/// The base's contents, read when the first is asked for: a push in which nothing is new never asks.
#[derive(Debug)]
pub(super) struct Elsewhere {
    unread: Option<Base>,
    /// Sorted.
    contents: Vec<Short>,
    /// Files of more than `long_bytes`, by device and inode: those are sent while they are read, so their hash would come too late.
    long: HashMap<(u64, u64), Expected>,
    long_bytes: u64,
    wanted: HashSet<ContentHash>,
}

impl Elsewhere {
    /// Of this base, without the contents that the server wants again.
    pub(super) fn new(base: Option<Base>, wanted: HashSet<ContentHash>, long_bytes: u64) -> Self {
        Self { unread: base, contents: Vec::new(), long: HashMap::new(), long_bytes, wanted }
    }

    /// The base has this content.
    pub(super) fn has(&mut self, hash: &ContentHash) -> bool {
        self.read();
        self.contents.binary_search(&short(hash)).is_ok()
    }

    /// The content of a long file that is still the inode it was, whatever its name is now.
    pub(super) fn of_inode(&mut self, facts: &Facts) -> Option<Expected> {
        self.read();
        self.long.get(&(facts.stamp.device, facts.stamp.inode)).copied()
    }

    fn read(&mut self) {
        let Some(mut base) = self.unread.take() else { return };
        // It was checked as a whole when the push began: what cannot be read now is sent as if it were new.
        while let Ok(Some(known)) = base.take_next() {
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
        self.contents.push(short(content));
        if *size > self.long_bytes && self.long.len() < INODES_MAX {
            let expected = Expected { size: *size, mtime: meta.mtime, hash: *content };
            self.long.insert((known.stamp.device, known.stamp.inode), expected);
        }
    }
}

fn short(hash: &ContentHash) -> Short {
    let mut short = [0; SHORT_BYTES];
    short.iter_mut().zip(hash.as_bytes()).for_each(|(to, from)| *to = *from);
    short
}
