//! Bringing a staged image into one vault: cut, seal, put, read the locks back, and last the record that makes it an ice.
//!
//! What was redacted since the image was made leaves no more: the log is asked before each put.
//!
//! The order, so that a run may be killed anywhere:
//!
//! 1. The id is chosen so that its folder in the vault is empty, and noted in the staging folder.
//! 2. Segment by segment ([`segments`]), several at once: one whose content the vault [has already](known) is not put, but its lock extended;
//!    any other is sealed into a file, noted with its hash, then put. A restarted run keeps what the vault holds with the noted hash, and seals
//!    the rest anew. An object that is not the noted one spoils the folder: what lies there is left, and the next id is taken.
//! 3. The record is noted: from here on it stays as it is. All locks are read back and, where the date has moved on meanwhile, extended. In a
//!    vault that extends none, each must last for the retention from when its object was stored.
//! 4. The catalogue, which is the record signed and sealed, is put; then the ice record. From here on the ice counts.
//! 5. The caller writes the ledger line.

mod attempt;
mod busy;
mod catalogue;
mod error;
mod extend;
mod known;
mod locks;
mod segments;

use std::fs::File;

use chrono::{DateTime, Utc};
use cli::{Failed, Monitor};
use formats::records::Record;
use formats::records::ice::{IceRecord, Segment, segment_lengths};
use formats::records::ice_id::{IceId, IceIdError};
use formats::records::ledger::LedgerReceipt;
use history::HostHistory;
use signing::Signer;
use vault::{ObjectName, ObjectRef, Vault};

use crate::certificate::Recipient;
use crate::staging::{HostStaging, Progress, StagedImage};

use self::busy::Timing;
use self::locks::receipt;
use self::segments::Placed;

pub use self::error::StoreError;
pub(crate) use self::extend::{Extended, Extension, extend};
pub use self::known::KnownSegments;

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
    /// When the first of its locks ends.
    pub(crate) retain_until: DateTime<Utc>,
    pub(crate) receipts: Vec<LedgerReceipt>,
    /// Bytes put by this run.
    pub(crate) put_bytes: u64,
    pub(crate) timing: Timing,
}

/// An image on its way into one vault.
pub(crate) struct Job<'a> {
    /// What the image was made of.
    pub(crate) history: &'a HostHistory,
    pub(crate) staged: &'a StagedImage,
    pub(crate) image: &'a File,
    pub(crate) staging: &'a HostStaging,
    pub(crate) recipients: &'a [Recipient],
    pub(crate) signer: &'a Signer,
    pub(crate) target: &'a Target,
    /// What the vault has already of this host, for these recipients.
    pub(crate) known: &'a KnownSegments,
    /// How many segments are sealed at once.
    pub(crate) workers: usize,
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
                    let why = Failed::from(error).chain();
                    self.monitor.warn(&format!(
                        "vault {vault}: {ice} cannot be completed, and is begun again under another id: {why}"
                    ));
                    self.staging.drop_progress(&self.target.name)?;
                }
                answer => return answer,
            }
        }
    }

    /// Steps 2 to 4.
    fn store_as(&self, mut progress: Progress) -> Result<Stored, StoreError> {
        let (mut put_bytes, mut timing) = (0, Timing::default());
        let noted = progress.record.take();
        let is_noted = noted.is_some();
        let record = match noted {
            Some(record) => record,
            None => {
                let segments = self.place(progress)?;
                (progress, timing) = (segments.progress, segments.timing);
                put_bytes += segments.placed.iter().map(|segment| segment.put_bytes).sum::<u64>();
                self.record(&progress, &segments.placed)?
            }
        };
        progress.record = Some(record.clone());
        self.staging.save_progress(&self.target.name, &progress)?;
        let until = self.retain_until()?;
        let mut locks = Vec::with_capacity(record.segments.len() + 2);
        for segment in &record.segments {
            let object = object_ref(&segment.object, segment.version.as_deref())?;
            match self.locked(&object, segment.bytes, segment.hash, until) {
                // The record stays as it is, and so cannot name another: the whole is begun again.
                Err(error) if error.is_lost() => {
                    return Err(self.target.lock_error(&segment.object, error::LOST));
                }
                Ok(lock) if is_noted => {
                    self.require_keys_of_now(&lock)?;
                    locks.push(lock);
                }
                answer => locks.push(answer?),
            }
        }
        put_bytes += self.put_catalogue(&mut progress, &record, until, &mut locks)?;
        put_bytes += self.put_record(&record, until, &mut locks)?;
        let retain_until = locks.iter().map(|lock| lock.retain_until).min().unwrap_or(until);
        let receipts = locks.iter().map(receipt).collect();
        Ok(Stored { record, retain_until, receipts, put_bytes, timing })
    }

    fn record(&self, progress: &Progress, placed: &[Placed]) -> Result<IceRecord, StoreError> {
        let staged = self.staged;
        let lengths = segment_lengths(staged.image.bytes, staged.segment_bytes);
        let segments = lengths.zip(&staged.plain).zip(placed).map(|((plain_bytes, plain_hash), placed)| {
            let lock = &placed.lock;
            Segment {
                object: lock.object.to_string(),
                version: lock.version.as_ref().map(ToString::to_string),
                plain_bytes,
                plain_hash: *plain_hash,
                bytes: lock.bytes,
                hash: lock.hash,
            }
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
            redact_line: staged.redact_line,
            redacted: staged.redacted.clone(),
        };
        // What a reader would refuse must not be written.
        record.check().map_err(StoreError::Record)?;
        Ok(record)
    }
}

fn object_name(text: &str) -> Result<ObjectName, StoreError> {
    text.parse().map_err(|_| StoreError::Id(IceIdError::Ice))
}

fn object_ref(name: &str, version: Option<&str>) -> Result<ObjectRef, StoreError> {
    let version = version.map(str::parse).transpose().map_err(|_| StoreError::Id(IceIdError::Ice))?;
    Ok(ObjectRef { name: object_name(name)?, version })
}
