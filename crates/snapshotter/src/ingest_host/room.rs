//! The reserve of free space and of inodes: looked at again and again while a push is written, so that it is never used up.

use std::sync::atomic::{AtomicU64, Ordering};

use durable::Dir;

use super::crew::Crew;
use super::fault::{Fault, Here};

/// How much may be written between two looks.
const LOOK_EVERY_BYTES: u64 = 16 << 20;
/// How much is worth bringing to the disk at a time. The less, the more often folders that still grow are written.
const SYNC_EVERY_BYTES: u64 = 64 << 20;
/// What a file or folder costs besides its bytes: an inode, a name, a rest of a block.
const NODE_BYTES: u64 = 4096;

/// Watches one file system. All who write share it.
#[derive(Debug)]
pub(crate) struct Room<'a> {
    dir: Dir,
    bell: Option<&'a Crew<'a, ()>>,
    reserve_bytes: u64,
    reserve_inodes: u64,
    promised_bytes: AtomicU64,
    promised_inodes: AtomicU64,
    unseen_bytes: AtomicU64,
    unsynced_bytes: AtomicU64,
}

impl<'a> Room<'a> {
    /// Fails at once if the reserve is already touched.
    pub(crate) fn new(dir: &Dir, reserve_bytes: u64) -> Result<Self, Fault> {
        let [promised_bytes, promised_inodes, unseen_bytes, unsynced_bytes] =
            [const { AtomicU64::new(0) }; 4];
        let room = Self {
            dir: dir.try_clone()?,
            bell: None,
            reserve_bytes,
            reserve_inodes: 0,
            promised_bytes,
            promised_inodes,
            unseen_bytes,
            unsynced_bytes,
        };
        room.look()?;
        Ok(room)
    }

    /// Leaves so many inodes, too; fails at once if they are touched already.
    pub(crate) fn leaving_inodes(self, reserve_inodes: u64) -> Result<Self, Fault> {
        let room = Self { reserve_inodes, ..self };
        room.look()?;
        Ok(room)
    }

    /// Tells a worker each time that there is something to be brought to the disk.
    pub(crate) fn ringing(self, worker: &'a Crew<'a, ()>) -> Self {
        Self { bell: Some(worker), ..self }
    }

    /// A file or folder of so many bytes was made.
    pub(crate) fn node(&self, bytes: u64) -> Result<(), Fault> {
        self.bytes(bytes.saturating_add(NODE_BYTES))
    }

    /// A file of so many bytes will be made by a worker. Until then the free space does not show it, however much of that waits.
    pub(crate) fn promise(&self, bytes: u64) -> Result<(), Fault> {
        self.promised_inodes.fetch_add(1, Ordering::Relaxed);
        self.promised_bytes.fetch_add(bytes.saturating_add(NODE_BYTES), Ordering::Relaxed);
        self.node(bytes)
    }

    /// It was made: from now on the free space shows it.
    pub(crate) fn keep_promise(&self, bytes: u64) {
        self.promised_inodes.fetch_sub(1, Ordering::Release);
        self.promised_bytes.fetch_sub(bytes.saturating_add(NODE_BYTES), Ordering::Release);
    }

    /// So many bytes were written, or will be at once.
    pub(crate) fn bytes(&self, bytes: u64) -> Result<(), Fault> {
        let unseen_bytes = self.unseen_bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if unseen_bytes < LOOK_EVERY_BYTES {
            return Ok(());
        }
        // Of several who come here at once, one takes them all; the others look once more.
        let seen_bytes = self.unseen_bytes.swap(0, Ordering::Relaxed);
        let unsynced_bytes = self.unsynced_bytes.fetch_add(seen_bytes, Ordering::Relaxed) + seen_bytes;
        self.look()?;
        match self.bell {
            Some(bell) if unsynced_bytes >= SYNC_EVERY_BYTES => {
                self.unsynced_bytes.store(0, Ordering::Relaxed);
                bell.ring()
            }
            _ => Ok(()),
        }
    }

    #[cfg(test)]
    pub(crate) fn promised_bytes(&self) -> u64 {
        self.promised_bytes.load(Ordering::Relaxed)
    }

    fn look(&self) -> Result<(), Fault> {
        // Read first: what is made in between counts twice, and never not at all.
        let promised_bytes = self.promised_bytes.load(Ordering::Acquire);
        if self.dir.free_bytes()? < self.reserve_bytes.saturating_add(promised_bytes) {
            return Err(Fault::Here(Here::NoRoom));
        }
        let promised_inodes = self.promised_inodes.load(Ordering::Acquire);
        let least_inodes = self.reserve_inodes.saturating_add(promised_inodes);
        if self.dir.free_inodes()?.is_some_and(|free| free < least_inodes) {
            return Err(Fault::Here(Here::NoInodes));
        }
        Ok(())
    }
}
