//! The reserve of free space: looked at again and again while a push is written, so that it is never used up.

use durable::Dir;

use super::crew::Crew;
use super::fault::{Fault, Here};

/// How much may be written between two looks.
const LOOK_EVERY_BYTES: u64 = 16 << 20;
/// How much is worth bringing to the disk at a time. The less, the more often folders that still grow are written.
const SYNC_EVERY_BYTES: u64 = 64 << 20;
/// What a file or folder costs besides its bytes: an inode, a name, a rest of a block.
const NODE_BYTES: u64 = 4096;

/// Watches one file system.
#[derive(Debug)]
pub(crate) struct Room<'a> {
    dir: Dir,
    bell: Option<&'a Crew<'a, ()>>,
    reserve_bytes: u64,
    unseen_bytes: u64,
    unsynced_bytes: u64,
}

impl<'a> Room<'a> {
    /// Fails at once if the reserve is already touched.
    pub(crate) fn new(dir: &Dir, reserve_bytes: u64) -> Result<Self, Fault> {
        let mut room =
            Self { dir: dir.try_clone()?, bell: None, reserve_bytes, unseen_bytes: 0, unsynced_bytes: 0 };
        room.look()?;
        Ok(room)
    }

    /// Tells a worker each time that there is something to be brought to the disk.
    pub(crate) fn ringing(self, worker: &'a Crew<'a, ()>) -> Self {
        Self { bell: Some(worker), ..self }
    }

    /// A file or folder of so many bytes was made.
    pub(crate) fn node(&mut self, bytes: u64) -> Result<(), Fault> {
        self.bytes(bytes.saturating_add(NODE_BYTES))
    }

    /// So many bytes were written.
    pub(crate) fn bytes(&mut self, bytes: u64) -> Result<(), Fault> {
        self.unseen_bytes = self.unseen_bytes.saturating_add(bytes);
        if self.unseen_bytes < LOOK_EVERY_BYTES {
            return Ok(());
        }
        self.unsynced_bytes = self.unsynced_bytes.saturating_add(self.unseen_bytes);
        self.look()?;
        match self.bell {
            Some(bell) if self.unsynced_bytes >= SYNC_EVERY_BYTES => {
                self.unsynced_bytes = 0;
                bell.ring()
            }
            _ => Ok(()),
        }
    }

    fn look(&mut self) -> Result<(), Fault> {
        self.unseen_bytes = 0;
        if self.dir.free_bytes()? < self.reserve_bytes {
            return Err(Fault::Here(Here::NoRoom));
        }
        Ok(())
    }
}
