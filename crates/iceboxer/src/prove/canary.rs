//! The object that attempts are made on.

use chrono::{DateTime, Utc};
use formats::ContentHash;
use vault::{Content, Lock, ObjectName, Result, VaultError};

use crate::store::Target;

/// How many canaries of a month may be spoiled.
const SPOILED_MAX: u32 = 100;

/// The month's canary, locked for as long as new ice would be; put if there is none. One that was spoiled, by an attempt that was not refused, is left for the
/// next.
pub(super) fn canary(target: &Target) -> Result<Lock> {
    let now = target.vault.clock()?;
    let until = target.lock_date(now);
    let mut number = 0;
    loop {
        let name = name(now, number)?;
        match locked(target, &name, until) {
            Err(VaultError::LockMissing { .. } | VaultError::Altered { .. }) if number < SPOILED_MAX => {
                number += 1;
            }
            answer => return answer,
        }
    }
}

fn name(now: DateTime<Utc>, number: u32) -> Result<ObjectName> {
    let month = now.format("%Y-%m");
    let text = if number == 0 { format!("canary/{month}") } else { format!("canary/{month}.{number}") };
    text.parse().map_err(|error| VaultError::Unreachable {
        step: format!("name {text}"),
        source: std::io::Error::other(error),
    })
}

fn locked(target: &Target, name: &ObjectName, until: DateTime<Utc>) -> Result<Lock> {
    let text = format!("{name}: put by Firn, to see whether it can be removed. It holds nothing.\n");
    let (bytes, hash) = (text.len() as u64, ContentHash::of(text.as_bytes()));
    let lock = match target.vault.lock(&name.into()) {
        // Its lock cannot be moved; one that has not run out is enough to see whether it holds.
        Ok(lock) if !target.vault.can_extend() && lock.retain_until > target.vault.clock()? => lock,
        // Only what the first look shows is spoiled: that a lock cannot be had now is the vault's fault.
        Ok(lock) => {
            let extended = target.vault.extend_lock(&lock.object_ref(), until.max(lock.retain_until));
            extended.map_err(|error| refused(error, until))?
        }
        Err(VaultError::Missing { .. }) => {
            let content = Content { bytes, hash, reader: &mut text.as_bytes() };
            return target.vault.put(name, content, until).map_err(|error| refused(error, until));
        }
        Err(error) => return Err(error),
    };
    if (lock.bytes, lock.hash) != (bytes, hash) {
        return Err(VaultError::Altered {
            object: name.clone(),
            why: "it is not the canary that was put there",
        });
    }
    Ok(lock)
}

fn refused(error: VaultError, asked: DateTime<Utc>) -> VaultError {
    match error {
        VaultError::LockMissing { object, why } => VaultError::LockRefused { object, asked, why },
        error => error,
    }
}
