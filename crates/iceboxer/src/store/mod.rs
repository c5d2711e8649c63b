//! Bringing a staged image into one vault: cut, seal, put, read the locks back, and last the record that makes it an ice.
//!
//! The order, so that a run may be killed anywhere:
//!
//! 1. The id is chosen so that its folder in the vault is empty, and noted in the staging folder.
//! 2. Each segment is sealed into a file, noted with its hash, then put. A restarted run keeps what the vault holds with the noted hash, and seals
//!    the rest anew. An object that is not the noted one spoils the folder: what lies there is left, and the next id is taken.
//! 3. All locks are read back and, where the date has moved on meanwhile, extended.
//! 4. The ice record is put. From here on the ice counts.
//! 5. The caller writes the ledger line.

mod attempt;
mod error;
mod locks;

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::FileExt;

use chrono::{DateTime, Utc};
use cli::{Amount, Monitor};
use formats::ContentHash;
use formats::records::Record;
use formats::records::ice::{IceRecord, Image, Segment, segment_lengths};
use formats::records::ice_id::{IceId, IceIdError};
use formats::records::ledger::LedgerReceipt;
use vault::{Content, ObjectName, Vault};

use self::locks::receipt;
use crate::certificate::Recipient;
use crate::seal::{Sealed, seal};
use crate::staging::{HostStaging, Progress, StagedImage, StagingError};

pub use self::error::StoreError;

/// How often a spoiled folder is left for the next before giving up.
const SPOILED_MAX: u32 = 3;

/// One vault, ready to be used.
pub struct Target {
    /// Its name in the ledger.
    pub name: String,
    /// The vault.
    pub vault: Box<dyn Vault>,
    /// For how many days an object is locked.
    pub retention_days: u32,
}

/// An image that is stored: what the ledger needs to know.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) record: IceRecord,
    pub(crate) retain_until: DateTime<Utc>,
    pub(crate) receipts: Vec<LedgerReceipt>,
    /// Bytes put by this run.
    pub(crate) put_bytes: u64,
}

/// An image on its way into one vault.
pub(crate) struct Job<'a> {
    pub(crate) staged: &'a StagedImage,
    pub(crate) image: &'a File,
    pub(crate) staging: &'a HostStaging,
    pub(crate) recipients: &'a [Recipient],
    pub(crate) target: &'a Target,
    pub(crate) monitor: &'a dyn Monitor,
}

impl Job<'_> {
    /// Stores the image. `is_in_ledger` tells of an id that this vault's ice already has, and which can therefore not be the one under way.
    pub(crate) fn store(&self, is_in_ledger: impl Fn(&IceId) -> bool) -> Result<Stored, StoreError> {
        let mut spoiled = 0;
        loop {
            let progress = self.progress(&is_in_ledger)?;
            let ice = progress.ice.clone();
            match self.store_as(progress) {
                Err(error) if error.is_spoiled() && spoiled < SPOILED_MAX => {
                    spoiled += 1;
                    let vault = &self.target.name;
                    self.monitor.warn(&format!(
                        "vault {vault}: the folder of {ice} holds something that was not put there by this run; beginning again under another id"
                    ));
                    self.staging.drop_progress(&self.target.name)?;
                }
                answer => return answer,
            }
        }
    }

    /// Steps 2 to 4.
    fn store_as(&self, mut progress: Progress) -> Result<Stored, StoreError> {
        let staged = self.staged;
        let mut put_bytes = 0;
        let task = self.monitor.task(
            &format!("{}: to {}", staged.host, self.target.name),
            Amount::Bytes(Some(staged.image.bytes)),
        );
        let mut at = 0;
        for (number, length) in segment_lengths(staged.image.bytes, staged.segment_bytes).enumerate() {
            let object = object_name(&progress.ice.segment_object(number))?;
            match self.stored_before(&object, progress.sealed.get(number))? {
                true => task.advance(length),
                false => {
                    progress.sealed.truncate(number);
                    put_bytes +=
                        self.put_segment(&mut progress, &object, at, length, &|by| task.advance(by))?;
                }
            }
            at += length;
        }
        let record = self.record(&progress)?;
        let retain_until = self.retain_until()?;
        let mut receipts = Vec::with_capacity(record.segments.len() + 1);
        for segment in &record.segments {
            let object = object_name(&segment.object)?;
            receipts.push(self.locked(&object, segment.bytes, segment.hash, retain_until)?);
        }
        put_bytes += self.put_record(&record, retain_until, &mut receipts)?;
        Ok(Stored { record, retain_until, receipts, put_bytes })
    }

    /// Step 2 for one segment; gives back the bytes put.
    fn put_segment(
        &self,
        progress: &mut Progress,
        object: &ObjectName,
        at: u64,
        length: u64,
        advance: &dyn Fn(u64),
    ) -> Result<u64, StoreError> {
        let number = progress.sealed.len();
        let mut file = self.staging.sealed()?;
        let mut piece = Piece { file: self.image, at, rest: length };
        let Sealed { plain_bytes, plain_hash, bytes, hash } =
            seal(&mut piece, &mut file, self.recipients, advance)?;
        if plain_bytes != length || self.staged.plain.get(number) != Some(&plain_hash) {
            return Err(StoreError::ImageChanged);
        }
        progress.sealed.push(Image { bytes, hash });
        self.staging.save_progress(&self.target.name, progress)?;
        file.rewind().map_err(StagingError::from)?;
        self.put(object, Content { bytes, hash, reader: &mut file }, self.retain_until()?)?;
        Ok(bytes)
    }

    /// Step 4; gives back the bytes put.
    fn put_record(
        &self,
        record: &IceRecord,
        until: DateTime<Utc>,
        receipts: &mut Vec<LedgerReceipt>,
    ) -> Result<u64, StoreError> {
        let line = record.to_line().map_err(|error| StoreError::Staging(error.into()))?;
        let (bytes, hash) = (line.len() as u64, ContentHash::of(&line));
        let object = object_name(&record.ice.record_object())?;
        // A run that was killed before the ledger line finds the record where it put it.
        if self.stored_before(&object, Some(&Image { bytes, hash }))? {
            receipts.push(self.locked(&object, bytes, hash, until)?);
            return Ok(0);
        }
        let lock = self.put(&object, Content { bytes, hash, reader: &mut line.as_slice() }, until)?;
        receipts.push(receipt(&lock));
        Ok(bytes)
    }

    fn record(&self, progress: &Progress) -> Result<IceRecord, StoreError> {
        let staged = self.staged;
        let lengths = segment_lengths(staged.image.bytes, staged.segment_bytes);
        let parts = lengths.zip(&staged.plain).zip(&progress.sealed).enumerate();
        let segments = parts.map(|(number, ((plain_bytes, plain_hash), sealed))| Segment {
            object: progress.ice.segment_object(number),
            plain_bytes,
            plain_hash: *plain_hash,
            bytes: sealed.bytes,
            hash: sealed.hash,
        });
        let record = IceRecord {
            format: IceRecord::format(),
            ice: progress.ice.clone(),
            host: staged.host.clone(),
            created: staged.created.clone(),
            snapshots: staged.snapshots.clone(),
            image: staged.image.clone(),
            segment_bytes: staged.segment_bytes,
            segments: segments.collect(),
            recipients: progress.recipients.clone(),
            left_out: staged.left_out,
            log_head: staged.log_head,
        };
        // What a reader would refuse must not be written.
        record.check().map_err(|_| StoreError::ImageChanged)?;
        Ok(record)
    }
}

fn object_name(text: &str) -> Result<ObjectName, StoreError> {
    text.parse().map_err(|_| StoreError::Id(IceIdError::Ice))
}

/// A stretch of a file, read without moving its position.
struct Piece<'f> {
    file: &'f File,
    at: u64,
    rest: u64,
}

impl Read for Piece<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.rest).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read_at(buffer.get_mut(..most).unwrap_or_default(), self.at)?;
        self.at += read as u64;
        self.rest -= read as u64;
        Ok(read)
    }
}
