//! The contents that the base of this jail has, as the snapshotter has listed them: looked into where a hash must lie, and never read as a whole.

use std::fs::File;
use std::io::Error;
use std::os::unix::fs::FileExt;

use durable::{Dir, Name};
use formats::holdings::Head;
use formats::session::{Had, Offer};
use formats::{ContentHash, Root};

const HOLDINGS: Name<'static> = Name::literal("holdings");

/// An open list. Once open it stays the same, whatever the snapshotter puts in its place.
#[derive(Debug)]
pub(crate) struct Holdings {
    file: File,
    head: Head,
}

impl Holdings {
    /// The list of the contents under this root; none if there is none that is whole, of this root, and of at most so many entries.
    pub(crate) fn open(state: &Dir, root: Root, entries_max: u64) -> Option<Self> {
        let file = state.open_read(HOLDINGS).ok()?;
        let bytes = file.metadata().ok()?.len();
        let head = Head::read(bytes, |to, offset| file.read_exact_at(to, offset))?;
        (head.root == root && head.count <= entries_max).then_some(Self { file, head })
    }

    /// Which of the offered contents are there. None, if the list cannot be read.
    pub(crate) fn answer(&self, offer: &Offer) -> Had {
        Had::answer(offer, |content| self.has(content)).unwrap_or_else(|_: Error| Had::none(offer))
    }

    fn has(&self, content: &ContentHash) -> Result<bool, Error> {
        self.head.has(content, |to, offset| self.file.read_exact_at(to, offset))
    }
}
