//! Objects and their locks: nothing counts before the vault itself has said what it holds and until when.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use formats::ContentHash;
use formats::records::ice::Image;
use formats::records::ledger::LedgerReceipt;
use vault::stamp::utc_text;
use vault::{Content, Lock, ObjectName, ObjectRef, VaultError};

use super::error::OTHER_OBJECT;
use super::{Job, StoreError, Target};
use crate::settings::RETENTION_DAYS_MIN;

impl Job<'_> {
    /// The lock of an object that the vault holds as it was noted; none if it holds nothing under this name.
    pub(super) fn stored_before(
        &self,
        object: &ObjectName,
        noted: Option<&Image>,
    ) -> Result<Option<Lock>, StoreError> {
        let Some(noted) = noted else { return Ok(None) };
        let found = match self.target.vault.lock(&object.into()) {
            // Killed before a lock that the provider had lost was set again.
            Err(VaultError::LockMissing { .. }) => {
                self.target.vault.extend_lock(&object.into(), self.retain_until()?)
            }
            found => found,
        };
        match found {
            Ok(lock) if lock.bytes == noted.bytes && lock.hash == noted.hash => Ok(Some(lock)),
            Ok(_) => Err(self.target.lock_error(object.as_str(), OTHER_OBJECT)),
            Err(VaultError::Missing { .. }) => Ok(None),
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
        object: &ObjectRef,
        bytes: u64,
        hash: ContentHash,
        until: DateTime<Utc>,
    ) -> Result<LedgerReceipt, StoreError> {
        let mut lock = self.target.vault.lock(object).map_err(self.vault_error())?;
        if lock.retain_until < until {
            lock = self.target.vault.extend_lock(&lock.object_ref(), until).map_err(self.vault_error())?;
        }
        self.compare(&object.name, &lock, bytes, hash, until)?;
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
            return Err(self.target.lock_error(object.as_str(), OTHER_OBJECT));
        }
        if lock.retain_until < until {
            return Err(self.target.lock_error(object.as_str(), "it is locked for less than was asked"));
        }
        Ok(())
    }

    pub(super) fn retain_until(&self) -> Result<DateTime<Utc>, StoreError> {
        until_of(self.target)
    }

    pub(super) fn vault_error(&self) -> impl FnOnce(VaultError) -> StoreError + use<> {
        let vault = self.target.name.clone();
        move |source| StoreError::Vault { vault, source }
    }
}

/// Until when new ice is locked there, by the vault's own clock.
pub(super) fn until_of(target: &Target) -> Result<DateTime<Utc>, StoreError> {
    let now =
        target.vault.clock().map_err(|source| StoreError::Vault { vault: target.name.clone(), source })?;
    Ok(target.lock_date(now))
}

impl Target {
    /// The end of the last day of the retention, counted from `now`: runs on one day ask for one date, and no rule of a bucket finds a day missing.
    pub(crate) fn lock_date(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let days = self.retention_days.max(RETENTION_DAYS_MIN);
        let last =
            now.date_naive().checked_add_days(Days::new(u64::from(days) + 1)).unwrap_or(NaiveDate::MAX);
        last.and_time(NaiveTime::MIN).and_utc()
    }

    pub(super) fn lock_error(&self, object: &str, what: &'static str) -> StoreError {
        StoreError::Lock { vault: self.name.clone(), object: object.to_owned(), what }
    }
}

pub(super) fn receipt(lock: &Lock) -> LedgerReceipt {
    LedgerReceipt {
        object: lock.object.to_string(),
        version: lock.version.as_ref().map(ToString::to_string),
        bytes: lock.bytes,
        retain_until: utc_text(&lock.retain_until),
    }
}
