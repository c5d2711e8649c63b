//! The object that attempts are made on.

use chrono::{DateTime, Utc};
use formats::ContentHash;
use vault::{Content, Lock, ObjectName, Result, VaultError};

use crate::store::Target;

/// The month's canary, locked for as long as new ice would be; put if there is none.
pub(super) fn of_month(target: &Target) -> Result<Lock> {
    let now = target.vault.clock()?;
    let (name, until) = (named(&month(now))?, target.lock_date(now));
    let lock = match target.vault.lock(&(&name).into()) {
        // Only what the first look shows is spoiled: that a lock cannot be had now is the vault's fault.
        Ok(lock) => match target.vault.extend_lock(&lock.object_ref(), until.max(lock.retain_until)) {
            // Its lock cannot be moved; one that has not run out is enough to see whether it holds.
            Err(VaultError::LockRefused { .. }) if lock.retain_until > target.vault.clock()? => lock,
            extended => extended.map_err(|error| refused(error, until))?,
        },
        // What is not known yet is for the put to find out.
        Err(VaultError::Missing { .. } | VaultError::Inventory { .. }) => return put(target, &name, until),
        Err(error) => return Err(error),
    };
    let text = text(&name);
    if (lock.bytes, lock.hash) != (text.len() as u64, ContentHash::of(text.as_bytes())) {
        let why = "it is not the canary that was put there";
        return Err(VaultError::Altered { object: name, why });
    }
    Ok(lock)
}

/// Another, under a name that nobody could know and spoil before.
pub(super) fn another(target: &Target) -> Result<Lock> {
    let now = target.vault.clock()?;
    let name = named(&format!("{}.{}", month(now), vault::mark()?))?;
    put(target, &name, target.lock_date(now))
}

/// Whether an attempt before has spoiled a canary, or a thief, who can put what is none under a name that he knows.
pub(super) fn is_spoiled(error: &VaultError) -> bool {
    matches!(error, VaultError::LockMissing { .. } | VaultError::Altered { .. })
}

fn month(now: DateTime<Utc>) -> String {
    format!("canary/{}", now.format("%Y-%m"))
}

fn named(text: &str) -> Result<ObjectName> {
    text.parse().map_err(|error| VaultError::Unreachable {
        step: format!("name {text}"),
        source: std::io::Error::other(error),
    })
}

fn text(name: &ObjectName) -> String {
    format!("{name}: put by Firn, to see whether it can be removed. It holds nothing.\n")
}

fn put(target: &Target, name: &ObjectName, until: DateTime<Utc>) -> Result<Lock> {
    let text = text(name);
    let (bytes, hash) = (text.len() as u64, ContentHash::of(text.as_bytes()));
    let content = Content { bytes, hash, reader: &mut text.as_bytes() };
    target.vault.put(name, content, until).map_err(|error| refused(error, until))
}

fn refused(error: VaultError, asked: DateTime<Utc>) -> VaultError {
    match error {
        VaultError::LockMissing { object, why } => VaultError::LockRefused { object, asked, why },
        error => error,
    }
}
