//! Until when an archive is locked: by its age alone, as the vault's Vault Lock says, for all archives alike.

use chrono::{DateTime, TimeDelta, Utc};

use super::index::Archive;
use super::policy::kept_days;
use super::store::Store;
use crate::s3::fault::Fault;
use crate::stamp::rounded_up;
use crate::{Lock, ObjectName, ObjectRef, Result, VaultError};

/// What the vault's lock is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum VaultLock {
    /// Nobody deletes an archive before it is so many days old, and nobody can change that.
    Keeps(u32),
    /// There is none that keeps anything, for this reason.
    Nothing(&'static str),
}

impl Store {
    pub(super) async fn vault_lock(&self) -> std::result::Result<VaultLock, Fault> {
        let call = self.client.get_vault_lock().account_id("-").vault_name(&self.vault);
        let found = match call.send().await.map_err(Fault::from) {
            Err(fault) if fault.status == Some(404) => {
                return Ok(VaultLock::Nothing("the vault has no Vault Lock"));
            }
            found => found?,
        };
        if found.state() != Some("Locked") {
            return Ok(VaultLock::Nothing("its Vault Lock is not complete, and can still be given up"));
        }
        Ok(match kept_days(found.policy().unwrap_or_default(), &self.vault) {
            Some(days) => VaultLock::Keeps(days),
            None => VaultLock::Nothing("its Vault Lock does not keep everybody from deleting young archives"),
        })
    }

    /// For how long every archive is kept.
    pub(super) async fn kept(&self, name: &ObjectName) -> Result<TimeDelta> {
        let lock = self.vault_lock().await;
        match lock
            .map_err(|fault| fault.into_error("read the lock of", &self.vault, "glacier:GetVaultLock"))?
        {
            VaultLock::Keeps(days) => Ok(TimeDelta::days(i64::from(days))),
            VaultLock::Nothing(why) => Err(VaultError::LockMissing { object: name.clone(), why }),
        }
    }

    /// Whether the archive is there cannot be asked: that its deletion is denied to everybody, without end before its age, is what says so.
    pub(super) async fn lock(&self, object: &ObjectRef) -> Result<Lock> {
        self.known().await?;
        let archive = self.index.archive(object)?;
        Ok(lock_of(&archive, self.kept(&object.name).await?))
    }

    pub(super) async fn extend(&self, object: &ObjectRef, until: DateTime<Utc>) -> Result<Lock> {
        let lock = self.lock(object).await?;
        let until = rounded_up(until);
        if until == lock.retain_until {
            return Ok(lock);
        }
        let why = if until < lock.retain_until {
            "it is locked for longer"
        } else {
            "a Vault Lock goes by an archive's age, which nobody can change: put it again instead"
        };
        Err(VaultError::LockRefused { object: object.name.clone(), asked: until, why })
    }
}

pub(super) fn lock_of(archive: &Archive, kept: TimeDelta) -> Lock {
    let until = archive.stored.checked_add_signed(kept);
    Lock {
        object: archive.name.clone(),
        version: Some(archive.id.clone()),
        bytes: archive.bytes,
        hash: archive.hash,
        stored: archive.stored,
        retain_until: until.unwrap_or(archive.stored),
    }
}
