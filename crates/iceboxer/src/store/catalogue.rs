//! Step 4: the catalogue and the record.

use chrono::{DateTime, Utc};
use formats::ContentHash;
use formats::records::Record;
use formats::records::ice::{IceRecord, Image};
use vault::{Content, Lock};

use super::{Job, StoreError, object_name};
use crate::seal::{check_recipients, seal_signed};
use crate::staging::{Progress, StagingError};

impl Job<'_> {
    /// The record, signed by this server and sealed; gives back the bytes put. It is signed by the vault's clock: a wrong one here must not
    /// make a signature that nobody takes.
    pub(super) fn put_catalogue(
        &self,
        progress: &mut Progress,
        record: &IceRecord,
        until: DateTime<Utc>,
        locks: &mut Vec<Lock>,
    ) -> Result<u64, StoreError> {
        let object = object_name(&record.ice.catalogue_object())?;
        if let Some(lock) = self.stored_before(&object, progress.catalogue.as_ref())? {
            locks.push(self.locked(&lock.object_ref(), lock.bytes, lock.hash, until)?);
            return Ok(0);
        }
        let line = line(record)?;
        let now = self.target.vault.clock().map_err(self.vault_error())?;
        let mut sealed = Vec::new();
        let done = seal_signed(&line, &mut sealed, self.recipients, self.signer.pair(), now.into())?;
        check_recipients(&mut sealed.as_slice(), self.recipients)?;
        let (bytes, hash) = (done.bytes, done.hash);
        progress.catalogue = Some(Image { bytes, hash });
        self.staging.save_progress(&self.target.name, progress)?;
        let lock = self.put(&object, Content { bytes, hash, reader: &mut sealed.as_slice() }, until)?;
        locks.push(lock);
        Ok(bytes)
    }

    /// The ice record, last of all; gives back the bytes put.
    pub(super) fn put_record(
        &self,
        record: &IceRecord,
        until: DateTime<Utc>,
        locks: &mut Vec<Lock>,
    ) -> Result<u64, StoreError> {
        let line = line(record)?;
        let (bytes, hash) = (line.len() as u64, ContentHash::of(&line));
        let object = object_name(&record.ice.record_object())?;
        // A run that was killed before the ledger line finds the record where it put it.
        if let Some(lock) = self.stored_before(&object, Some(&Image { bytes, hash }))? {
            locks.push(self.locked(&lock.object_ref(), bytes, hash, until)?);
            return Ok(0);
        }
        let lock = self.put(&object, Content { bytes, hash, reader: &mut line.as_slice() }, until)?;
        locks.push(lock);
        Ok(bytes)
    }
}

fn line(record: &IceRecord) -> Result<Vec<u8>, StoreError> {
    record.to_line().map_err(|error| StoreError::Staging(StagingError::from(error)))
}
