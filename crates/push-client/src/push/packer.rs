//! Packs records into blocks, and hands full blocks to the sender.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use formats::change::Change;
use formats::cursor::Malformed;
use formats::limits::BLOCK_BYTES;
use formats::push::{COPY_BYTES, DATA_HEAD_BYTES, END_BYTES, FROM_HEAD_BYTES, Record};
use formats::session::Offer;
use formats::{ContentHash, RelPath};

use crate::state::Content;

/// Blocks that wait for the sender.
const WAITING_MAX: usize = 8;
/// Contents of short files that are noted together as not sent.
const UNSENT_TOGETHER: usize = 256;
/// A data record is not begun for less than this, unless its content is shorter.
const DATA_BYTES_MIN: usize = 1_024;

/// What the sender gets.
#[derive(Debug)]
pub(super) enum Parcel {
    /// A block of content records.
    Contents {
        block: Vec<u8>,
        /// Contents of files that end in this block.
        closed: Vec<Content>,
        /// The last content goes on in the next block.
        open: bool,
    },
    /// A block of changes.
    Entries { block: Vec<u8> },
    /// Contents that the lender may have.
    Offer(Offer),
    /// Contents that were read and are not sent: base or lender has them.
    Unsent(Vec<Content>),
}

/// The sender has ended; it knows why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SenderGone;

/// The sender's end.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) parcels: Receiver<Parcel>,
    pub(super) used: SyncSender<Vec<u8>>,
    progress: Arc<AtomicU64>,
}

impl Outlet {
    /// A parcel was sent. A sign of life is none: it goes out just because nothing else does.
    pub(super) fn count(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }
}

/// One block in the making. Memory is bounded by the blocks that wait.
#[derive(Debug)]
pub(super) struct Packer {
    block: Vec<u8>,
    closed: Vec<Content>,
    unsent: Vec<Content>,
    open: bool,
    /// The block before this one ended within a content.
    is_tail: bool,
    parcels: SyncSender<Parcel>,
    used: Receiver<Vec<u8>>,
    progress: Arc<AtomicU64>,
}

impl Packer {
    /// A packer, and where its blocks come out.
    pub(super) fn new() -> (Self, Outlet) {
        let (parcels, incoming) = sync_channel(WAITING_MAX);
        let (used, reusable) = sync_channel(WAITING_MAX + 2);
        let block = Vec::with_capacity(BLOCK_BYTES);
        let progress = Arc::new(AtomicU64::new(0));
        let outlet = Outlet { parcels: incoming, used, progress: Arc::clone(&progress) };
        (
            Self {
                block,
                closed: Vec::new(),
                unsent: Vec::new(),
                open: false,
                is_tail: false,
                parcels,
                used: reusable,
                progress,
            },
            outlet,
        )
    }

    /// Offers contents, between two blocks.
    pub(super) fn offer(&mut self, offer: Offer) -> Result<(), SenderGone> {
        self.hand_over(Parcel::Offer(offer))
    }

    /// Has it noted that this content was read and need not be sent, so that it is not read again after a cut.
    pub(super) fn note_unsent(&mut self, content: Content) -> Result<(), SenderGone> {
        self.unsent.push(content);
        let is_due = self.unsent.len() == UNSENT_TOGETHER || content.size > BLOCK_BYTES as u64;
        if is_due { self.hand_over_unsent() } else { Ok(()) }
    }

    fn hand_over_unsent(&mut self) -> Result<(), SenderGone> {
        let unsent = std::mem::take(&mut self.unsent);
        self.hand_over(Parcel::Unsent(unsent))
    }

    /// Another number than before if something was sent since.
    pub(super) fn progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// More of the open content.
    pub(super) fn data(&mut self, mut bytes: &[u8]) -> Result<(), SenderGone> {
        while !bytes.is_empty() {
            self.make_room(DATA_HEAD_BYTES + bytes.len().min(DATA_BYTES_MIN))?;
            let room = BLOCK_BYTES - self.block.len() - DATA_HEAD_BYTES;
            let (now, later) = bytes.split_at(bytes.len().min(room));
            Record::Data(now).encode(&mut self.block);
            self.open = true;
            bytes = later;
        }
        Ok(())
    }

    /// Opens a content that has copies of this file of the base.
    pub(super) fn from(&mut self, path: RelPath) -> Result<(), SenderGone> {
        self.make_room(FROM_HEAD_BYTES + path.as_bytes().len())?;
        Record::From(path).encode(&mut self.block);
        self.open = true;
        Ok(())
    }

    /// More of the open content, which the base has.
    pub(super) fn copy(&mut self, offset: u64, length: u64) -> Result<(), SenderGone> {
        self.make_room(COPY_BYTES)?;
        Record::Copy { offset, length }.encode(&mut self.block);
        Ok(())
    }

    /// Closes the open content. `content` is noted in the journal, if it is that of a file that held still.
    pub(super) fn end(
        &mut self,
        size: u64,
        hash: ContentHash,
        content: Option<Content>,
    ) -> Result<(), SenderGone> {
        self.make_room(END_BYTES)?;
        Record::End { size, hash }.encode(&mut self.block);
        self.open = false;
        self.closed.extend(content);
        Ok(())
    }

    /// Forgets the open content.
    pub(super) fn drop_open(&mut self) -> Result<(), SenderGone> {
        if self.open {
            self.make_room(1)?;
            Record::Drop.encode(&mut self.block);
            self.open = false;
        }
        Ok(())
    }

    /// Sends what is packed. After the last content.
    pub(super) fn flush(&mut self) -> Result<(), SenderGone> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = self.next_block();
        let closed = std::mem::take(&mut self.closed);
        self.is_tail = self.open;
        self.hand_over(Parcel::Contents { block, closed, open: self.open })
    }

    /// Between two contents, before nothing may be packed for long: sends the rest of one that has begun to go out. Within a content no sign of life
    /// can be sent.
    pub(super) fn flush_tail(&mut self) -> Result<(), SenderGone> {
        if self.is_tail { self.flush() } else { Ok(()) }
    }

    /// Adds a change; after [`Packer::flush`].
    pub(super) fn change(&mut self, change: &Change) -> Result<(), ChangeFailed> {
        let before = self.block.len();
        change.encode(&mut self.block)?;
        if self.block.len() > BLOCK_BYTES {
            let over = self.block.split_off(before);
            self.flush_changes()?;
            self.block.extend_from_slice(&over);
        }
        Ok(())
    }

    /// Sends the changes that are packed.
    pub(super) fn flush_changes(&mut self) -> Result<(), SenderGone> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = self.next_block();
        self.hand_over(Parcel::Entries { block })
    }

    fn make_room(&mut self, bytes: usize) -> Result<(), SenderGone> {
        if self.block.len() + bytes > BLOCK_BYTES { self.flush() } else { Ok(()) }
    }

    fn next_block(&mut self) -> Vec<u8> {
        let mut empty = self.used.try_recv().unwrap_or_else(|_| Vec::with_capacity(BLOCK_BYTES));
        empty.clear();
        std::mem::replace(&mut self.block, empty)
    }

    fn hand_over(&mut self, parcel: Parcel) -> Result<(), SenderGone> {
        self.parcels.send(parcel).map_err(|_| SenderGone)
    }
}

/// Why a change could not be packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChangeFailed {
    SenderGone,
    Malformed(Malformed),
}

impl From<SenderGone> for ChangeFailed {
    fn from(SenderGone: SenderGone) -> Self {
        ChangeFailed::SenderGone
    }
}

impl From<Malformed> for ChangeFailed {
    fn from(malformed: Malformed) -> Self {
        ChangeFailed::Malformed(malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::cursor::Cursor;

    /// What the sender would get, as (size, hash) of each content.
    fn contents(outlet: &Outlet) -> Vec<(u64, ContentHash)> {
        let mut open: Vec<u8> = Vec::new();
        let mut found = Vec::new();
        while let Ok(Parcel::Contents { block, open: goes_on, .. }) = outlet.parcels.try_recv() {
            assert!((1..=BLOCK_BYTES).contains(&block.len()));
            let mut from = Cursor::new(&block);
            while !from.is_empty() {
                match Record::decode(&mut from).unwrap() {
                    Record::Data(data) => open.extend_from_slice(data),
                    Record::End { size, hash } => {
                        assert_eq!((open.len() as u64, ContentHash::of(&open)), (size, hash));
                        found.push((size, hash));
                        open.clear();
                    }
                    Record::Drop => open.clear(),
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(goes_on, !open.is_empty());
        }
        found
    }

    #[test]
    fn contents_of_every_length_around_a_block_come_out_whole() {
        let whole: Vec<u8> = (0..3 * BLOCK_BYTES).map(|n| (n % 251) as u8).collect();
        for length in
            [0, 1, 100, BLOCK_BYTES - 60, BLOCK_BYTES - 46, BLOCK_BYTES - 5, BLOCK_BYTES, 3 * BLOCK_BYTES]
        {
            for before in [0, 1, BLOCK_BYTES - 1_100, BLOCK_BYTES - 60] {
                let (mut packer, outlet) = Packer::new();
                let mut expected = Vec::new();
                for length in [before, length] {
                    let bytes = &whole[..length];
                    let hash = ContentHash::of(bytes);
                    packer.data(bytes).unwrap();
                    packer.end(length as u64, hash, None).unwrap();
                    expected.push((length as u64, hash));
                }
                packer.flush().unwrap();
                assert_eq!(contents(&outlet), expected, "{before} then {length}");
            }
        }
    }

    #[test]
    fn a_dropped_content_leaves_nothing() {
        let (mut packer, outlet) = Packer::new();
        packer.data(b"half a file").unwrap();
        packer.drop_open().unwrap();
        packer.drop_open().unwrap();
        packer.data(b"whole").unwrap();
        packer.end(5, ContentHash::of(b"whole"), None).unwrap();
        packer.flush().unwrap();
        assert_eq!(contents(&outlet), [(5, ContentHash::of(b"whole"))]);
    }

    #[test]
    fn a_sender_that_is_gone_is_told_at_the_next_block() {
        let (mut packer, outlet) = Packer::new();
        drop(outlet);
        assert_eq!(packer.data(&vec![0; 2 * BLOCK_BYTES]), Err(SenderGone));
    }
}
