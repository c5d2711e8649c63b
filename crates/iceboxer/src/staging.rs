//! Where images are made and wait until every vault has them.
//!
//! ```text
//! <staging>/lock                 held by the one iceboxer that works here
//! <staging>/<host>/image         the image, mode 0600
//! <staging>/<host>/image.json    written after the image was read back and proved: without it the image does not count
//! <staging>/<host>/alone         that the image was asked for once more: nothing in a vault is used again for it
//! <staging>/<host>/to-<vault>.json  what has been sealed for one vault so far
//! <staging>/<host>/sealed-<n>    the segment that worker n has under way
//! ```
//!
//! All of it can be lost at any time: the next run then makes a new image. Contents of files and the names of all files lie here unencrypted
//! while an image waits; the folders are for their owner only.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use cli::{Amount, Exit, Failure};
use durable::{Dir, Lock, Name};
use formats::records::ice::{ICE_RECORD_BYTES, IceRecord, IceRedacted, IceSnapshot, Image};
use formats::records::ice_id::{Fingerprint, IceId};
use formats::records::{Record, RecordError, RecordVersion};
use formats::version::Version;
use formats::{ContentHash, HostId};
use serde::{Deserialize, Serialize};

const LOCK: Name<'static> = Name::literal("lock");
const IMAGE: Name<'static> = Name::literal("image");
const ALONE: Name<'static> = Name::literal("alone");
const IMAGE_RECORD: Name<'static> = Name::literal("image.json");

/// Why the staging folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StagingError {
    /// The system refused something.
    #[error("staging folder")]
    Folder(#[from] durable::Error),
    /// The system refused to make or to read it.
    #[error("staging folder")]
    Io(#[from] io::Error),
    /// A record cannot be written.
    #[error("staging folder")]
    Record(#[from] RecordError),
    /// Another iceboxer works here.
    #[error("another iceboxer is at work in this staging folder")]
    Busy,
    /// The image may become larger than the disk has room for.
    #[error("the image may take {} and the staging folder has room for {}", bytes(*.needed), bytes(*.free))]
    NoRoom {
        /// At most so much is needed.
        needed: u64,
        /// So much is free.
        free: u64,
    },
}

fn bytes(number: u64) -> String {
    Amount::Bytes(None).describe(number)
}

impl Failure for StagingError {
    fn exit(&self) -> Exit {
        match self {
            StagingError::NoRoom { .. } => Exit::NO_STAGING,
            StagingError::Folder(error) if error.is_no_space() => Exit::NO_STAGING,
            StagingError::Io(error) if error.kind() == io::ErrorKind::StorageFull => Exit::NO_STAGING,
            StagingError::Busy => Exit::BUSY,
            StagingError::Folder(_) | StagingError::Io(_) => Exit::MACHINE,
            StagingError::Record(_) => Exit::BUG,
        }
    }

    fn advice(&self) -> Option<String> {
        let advice = match self {
            StagingError::NoRoom { .. } => {
                "free some space, or let `staging` in the settings name a folder on a larger disk"
            }
            StagingError::Busy => "wait until it has ended",
            _ => return None,
        };
        Some(advice.to_owned())
    }
}

/// An image that was read back and proved, and waits to be stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StagedImage {
    pub(crate) format: RecordVersion,
    pub(crate) host: HostId,
    pub(crate) created: String,
    pub(crate) snapshots: Vec<IceSnapshot>,
    pub(crate) image: Image,
    pub(crate) segment_bytes: u64,
    /// BLAKE3 of each segment before sealing.
    pub(crate) plain: Vec<ContentHash>,
    pub(crate) left_out: u64,
    pub(crate) log_head: ContentHash,
    #[serde(default)]
    pub(crate) redact_line: u64,
    #[serde(default)]
    pub(crate) redacted: Vec<IceRedacted>,
}

impl Record for StagedImage {
    const NAME: &'static str = "firn.staged";
    const LONGEST_BYTES: usize = ICE_RECORD_BYTES;
}

/// What has been sealed for one vault. Each thing is noted here before it is sent, so that a restarted run knows it by its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) format: RecordVersion,
    pub(crate) ice: IceId,
    pub(crate) recipients: Vec<Fingerprint>,
    /// Length and BLAKE3 of each segment sealed by now, by its number.
    pub(crate) sealed: BTreeMap<usize, Image>,
    /// The record, once all segments were in the vault: from then on it stays as it is.
    pub(crate) record: Option<IceRecord>,
    /// Length and BLAKE3 of the catalogue.
    pub(crate) catalogue: Option<Image>,
}

impl Record for Progress {
    const NAME: &'static str = "firn.sealing";
    const VERSION: Version = Version { major: 2, minor: 0 };
    const LONGEST_BYTES: usize = 2 * ICE_RECORD_BYTES;
}

/// The staging folder, for one iceboxer at a time.
#[derive(Debug)]
pub(crate) struct Staging {
    dir: Dir,
    _lock: Lock,
}

impl Staging {
    /// Opens the folder, making it if it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self, StagingError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let dir = Dir::open_root(path)?;
        let lock = dir.try_lock(LOCK)?.ok_or(StagingError::Busy)?;
        Ok(Self { dir, _lock: lock })
    }

    pub(crate) fn host(&self, host: &HostId) -> Result<HostStaging, StagingError> {
        let dir = self.dir.make_dir_or_open(Name::new(host.as_str().as_bytes())?, 0o700)?;
        dir.set_mode(0o700)?;
        Ok(HostStaging { dir })
    }

    /// Refuses an image that may not fit.
    pub(crate) fn has_room(&self, needed: u64) -> Result<(), StagingError> {
        let free = self.dir.free_bytes()?;
        if needed > free { Err(StagingError::NoRoom { needed, free }) } else { Ok(()) }
    }
}

/// The folder of one host's image.
#[derive(Debug)]
pub(crate) struct HostStaging {
    dir: Dir,
}

impl HostStaging {
    /// The image that waits; none if there is none, or not a whole one.
    pub(crate) fn load(&self) -> Result<Option<(StagedImage, File)>, StagingError> {
        let Some(staged) = self.record::<StagedImage>(IMAGE_RECORD)? else { return Ok(None) };
        match self.dir.open_read(IMAGE) {
            Ok(image) if image.metadata()?.len() == staged.image.bytes => Ok(Some((staged, image))),
            Ok(_) => Ok(None),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Begins a new image, where all is cleared.
    pub(crate) fn begin(&self) -> Result<File, StagingError> {
        Ok(self.dir.create_new(IMAGE, 0o600)?)
    }

    /// The image that is made here is to lean on no other ice, whichever run stores it.
    pub(crate) fn set_alone(&self) -> Result<(), StagingError> {
        Ok(self.dir.write_whole(ALONE, b"", 0o600)?)
    }

    /// True if that was said of it.
    pub(crate) fn is_alone(&self) -> Result<bool, StagingError> {
        match self.dir.open_read(ALONE) {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// From now on the image counts.
    pub(crate) fn commit(&self, staged: &StagedImage) -> Result<(), StagingError> {
        self.dir.sync()?;
        Ok(self.dir.write_whole(IMAGE_RECORD, &staged.to_line()?, 0o600)?)
    }

    /// Removes the image and all that belongs to it; the record first, so that half an image never counts.
    pub(crate) fn clear(&self) -> Result<(), StagingError> {
        self.remove(IMAGE_RECORD)?;
        self.dir.sync()?;
        for name in self.dir.names()? {
            self.remove(Name::new(&name)?)?;
        }
        Ok(self.dir.sync()?)
    }

    pub(crate) fn progress(&self, vault: &str) -> Result<Option<Progress>, StagingError> {
        self.record(Name::new(progress_file(vault).as_bytes())?)
    }

    pub(crate) fn save_progress(&self, vault: &str, progress: &Progress) -> Result<(), StagingError> {
        let name = progress_file(vault);
        Ok(self.dir.write_whole(Name::new(name.as_bytes())?, &progress.to_line()?, 0o600)?)
    }

    pub(crate) fn drop_progress(&self, vault: &str) -> Result<(), StagingError> {
        self.remove(Name::new(progress_file(vault).as_bytes())?)?;
        Ok(self.dir.sync()?)
    }

    /// An empty file for the next segment that `worker` seals. Its name is removed at once: it is gone with its descriptor, however this
    /// process ends.
    pub(crate) fn sealed(&self, worker: usize) -> Result<File, StagingError> {
        let name = format!("sealed-{worker}");
        let name = Name::new(name.as_bytes())?;
        self.remove(name)?;
        let file = self.dir.create_new(name, 0o600)?;
        self.remove(name)?;
        Ok(file)
    }

    /// A record; none if it is not there or not readable: then its work is done again.
    fn record<R: Record>(&self, name: Name<'_>) -> Result<Option<R>, StagingError> {
        let file = match self.dir.open_read(name) {
            Ok(file) => file,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut line = Vec::new();
        file.take(R::LONGEST_BYTES as u64 + 1).read_to_end(&mut line)?;
        Ok(R::from_line(&line).ok())
    }

    fn remove(&self, name: Name<'_>) -> Result<(), StagingError> {
        match self.dir.unlink(name) {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// The prefix keeps it apart from the image's record, whatever a vault is called.
fn progress_file(vault: &str) -> String {
    format!("to-{vault}.json")
}
