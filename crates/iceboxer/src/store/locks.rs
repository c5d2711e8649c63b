//! Objects and their locks: nothing counts before the vault itself has said what it holds and until when.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use formats::ContentHash;
use formats::records::ice::Image;
use formats::records::ledger::LedgerReceipt;
use vault::stamp::utc_text;
use vault::{Content, Lock, ObjectName, VaultError};

use super::error::OTHER_OBJECT;
use super::{Job, StoreError};
use crate::settings::RETENTION_DAYS_MIN;

impl Job<'_> {
    /// True if the vault holds the segment as it was noted; false if it holds nothing under this name.
    pub(super) fn stored_before(
        &self,
        object: &ObjectName,
        noted: Option<&Image>,
    ) -> Result<bool, StoreError> {
        let Some(noted) = noted else { return Ok(false) };
        match self.target.vault.lock(&object.into()) {
            Ok(lock) if lock.bytes == noted.bytes && lock.hash == noted.hash => Ok(true),
            Ok(_) => Err(self.lock_error(object, OTHER_OBJECT)),
            Err(VaultError::Missing { .. }) => Ok(false),
            Err(error) => Err(self.vault_error()(error)),
        }
    }

    /// Puts an object and compares what the vault then says about it.
    pub(super) fn put(
        &self,
        object: &ObjectName,
        content: Content<'_>,
        until: DateTime<Utc>,
    ) -> Result<Lock, StoreError> {
        let (bytes, hash) = (content.bytes, content.hash);
        let lock = self.target.vault.put(object, content, until).map_err(self.vault_error())?;
        self.compare(object, &lock, bytes, hash, until)?;
        Ok(lock)
    }

    /// Step 3 for one object: its lock as the vault has it now, at least until `until`.
    pub(super) fn locked(
        &self,
        object: &ObjectName,
        bytes: u64,
        hash: ContentHash,
        until: DateTime<Utc>,
    ) -> Result<LedgerReceipt, StoreError> {
        let mut lock = self.target.vault.lock(&object.into()).map_err(self.vault_error())?;
        if lock.retain_until < until {
            lock = self.target.vault.extend_lock(&lock.object_ref(), until).map_err(self.vault_error())?;
        }
        self.compare(object, &lock, bytes, hash, until)?;
        Ok(receipt(&lock))
    }

    fn compare(
        &self,
        object: &ObjectName,
        lock: &Lock,
        bytes: u64,
        hash: ContentHash,
        until: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        if lock.bytes != bytes || lock.hash != hash {
            return Err(self.lock_error(object, OTHER_OBJECT));
        }
        if lock.retain_until < until {
            return Err(self.lock_error(object, "it is locked for less than was asked"));
        }
        Ok(())
    }

    /// The end of the last day of the retention, by the vault's own clock: runs on one day ask for one date.
    pub(super) fn retain_until(&self) -> Result<DateTime<Utc>, StoreError> {
        let today = self.target.vault.clock().map_err(self.vault_error())?.date_naive();
        let days = self.target.retention_days.max(RETENTION_DAYS_MIN);
        let last = today.checked_add_days(Days::new(u64::from(days) + 1)).unwrap_or(NaiveDate::MAX);
        Ok(last.and_time(NaiveTime::MIN).and_utc())
    }

    pub(super) fn vault_error(&self) -> impl FnOnce(VaultError) -> StoreError + use<> {
        let vault = self.target.name.clone();
        move |source| StoreError::Vault { vault, source }
    }

    fn lock_error(&self, object: &ObjectName, what: &'static str) -> StoreError {
        StoreError::Lock { vault: self.target.name.clone(), object: object.to_string(), what }
    }
}

pub(super) fn receipt(lock: &Lock) -> LedgerReceipt {
    LedgerReceipt {
        object: lock.object.to_string(),
        version: lock.version.as_ref().map(ToString::to_string),
        retain_until: utc_text(&lock.retain_until),
    }
}
