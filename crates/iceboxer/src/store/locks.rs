//! Objects and their locks: nothing counts before the vault itself has said what it holds and until when.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use formats::ContentHash;
use formats::records::ice::Image;
use formats::records::ledger::LedgerReceipt;
use vault::stamp::utc_text;
use vault::{Content, Lock, ObjectName, ObjectRef, VaultError};

use super::error::{OTHER_KEY, OTHER_OBJECT, SHORT, TOO_SHORT};
use super::{Job, StoreError, Target};
use crate::settings::RETENTION_DAYS_MIN;

impl Job<'_> {
    /// The lock of an object that the vault holds as an earlier run noted it; none if it holds nothing under this name.
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
            Ok(lock) if lock.bytes == noted.bytes && lock.hash == noted.hash => {
                self.require_keys_of_now(&lock)?;
                Ok(Some(lock))
            }
            Ok(_) => Err(self.target.lock_error(object.as_str(), OTHER_OBJECT)),
            // What is not known yet is for the put to find out.
            Err(VaultError::Missing { .. } | VaultError::Inventory { .. }) => Ok(None),
            Err(error) => Err(self.vault_error()(error)),
        }
    }

    /// Refuses what an earlier run stored when a certificate had another key: an ice to a key that was lost would be none.
    pub(super) fn require_keys_of_now(&self, lock: &Lock) -> Result<(), StoreError> {
        match self.is_to_keys_of_now(lock) {
            true => Ok(()),
            false => Err(self.target.lock_error(lock.object.as_str(), OTHER_KEY)),
        }
    }

    /// Puts an object and compares what the vault then says about it. Putting an image takes hours, and nothing is locked meanwhile: before each
    /// object the log is asked whether the image may still leave.
    pub(super) fn put(
        &self,
        object: &ObjectName,
        content: Content<'_>,
        until: DateTime<Utc>,
    ) -> Result<Lock, StoreError> {
        let (bytes, hash) = (content.bytes, content.hash);
        if self.history.log()?.redacted().line() > self.staged.redact_line {
            return Err(StoreError::Redacted { host: self.staged.host.clone() });
        }
        let lock = self.target.vault.put(object, content, until).map_err(self.vault_error())?;
        self.compare(object, &lock, bytes, hash, until)?;
        Ok(lock)
    }

    /// Step 3 for one object: its lock as the vault has it now, at least until `until` where it can be made as long.
    pub(super) fn locked(
        &self,
        object: &ObjectRef,
        bytes: u64,
        hash: ContentHash,
        until: DateTime<Utc>,
    ) -> Result<Lock, StoreError> {
        let lock = self.target.vault.lock(object).map_err(self.vault_error())?;
        if lock.bytes != bytes || lock.hash != hash {
            return Err(self.target.lock_error(object.name.as_str(), OTHER_OBJECT));
        }
        if lock.retain_until >= until { Ok(lock) } else { self.longer(lock, until) }
    }

    /// The lock, moved to `until`. Where nobody can move it, it is long enough if it lasts for the retention counted from when its object was stored:
    /// else what was begun on one day could not be completed on the next. One that is not even that long is as good as none.
    fn longer(&self, lock: Lock, until: DateTime<Utc>) -> Result<Lock, StoreError> {
        let vault = &self.target.vault;
        let now = vault.clock().map_err(self.vault_error())?;
        let is_enough = lock.retain_until >= self.target.lock_date(lock.stored) && lock.retain_until > now;
        let object = lock.object_ref();
        if vault.can_extend() {
            match vault.extend_lock(&object, until) {
                Ok(longer) if longer.retain_until >= until => return Ok(longer),
                Ok(_) => return Err(self.target.lock_error(object.name.as_str(), SHORT)),
                Err(error @ VaultError::Denied { .. }) if !is_enough => {
                    return Err(self.vault_error()(error));
                }
                Err(error) if is_refusal(&error) => self.monitor.detail(&error.to_string()),
                Err(error) => return Err(self.vault_error()(error)),
            }
        }
        if is_enough { Ok(lock) } else { Err(self.target.lock_error(object.name.as_str(), TOO_SHORT)) }
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
            return Err(self.target.lock_error(object.as_str(), SHORT));
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

/// This lock is as long as it will ever be; anything else may pass.
pub(super) fn is_refusal(error: &VaultError) -> bool {
    matches!(error, VaultError::LockRefused { .. } | VaultError::Denied { .. })
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
