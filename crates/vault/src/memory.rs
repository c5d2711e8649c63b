//! A vault in memory, for tests.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use formats::ContentHash;

use crate::object::unversioned;
use crate::stamp::rounded_up;
use crate::{
    Content, Inspection, Lock, Names, ObjectFolder, ObjectName, ObjectRef, Outcome, Probe, Result, Thawed,
    Vault, VaultError, Wish,
};

/// A vault that is gone with its process.
#[derive(Debug, Default)]
pub struct MemoryVault {
    objects: Mutex<BTreeMap<ObjectName, (Lock, Vec<u8>)>>,
}

impl MemoryVault {
    fn objects(&self) -> MutexGuard<'_, BTreeMap<ObjectName, (Lock, Vec<u8>)>> {
        // Every change is one insert: what a panicked thread left is whole.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vault for MemoryVault {
    fn clock(&self) -> Result<DateTime<Utc>> {
        Ok(Utc::now())
    }

    fn put(&self, name: &ObjectName, content: Content<'_>, retain_until: DateTime<Utc>) -> Result<Lock> {
        let mut objects = self.objects();
        if objects.contains_key(name) {
            return Err(VaultError::Exists { object: name.clone() });
        }
        let now = Utc::now();
        let retain_until = rounded_up(retain_until);
        if retain_until <= now {
            let why = "that date has passed";
            return Err(VaultError::LockRefused { object: name.clone(), asked: retain_until, why });
        }
        let wrong = |what, source| VaultError::Content { object: name.clone(), what, source };
        let mut bytes = Vec::new();
        let limit = content.bytes.saturating_add(1);
        content
            .reader
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(|source| wrong("the bytes to be stored could not be read", Some(source)))?;
        if bytes.len() as u64 != content.bytes || ContentHash::of(&bytes) != content.hash {
            return Err(wrong("the bytes to be stored are not those announced", None));
        }
        let lock = Lock {
            object: name.clone(),
            version: None,
            bytes: content.bytes,
            hash: content.hash,
            stored: now,
            retain_until,
        };
        objects.insert(name.clone(), (lock.clone(), bytes));
        Ok(lock)
    }

    fn list(&self, folder: &ObjectFolder) -> Result<Names<'_>> {
        let names: Vec<_> =
            self.objects().keys().filter(|name| name.is_in(folder)).cloned().map(Ok).collect();
        Ok(Box::new(names.into_iter()))
    }

    fn fetch(&self, object: &ObjectRef) -> Result<Box<dyn Read + Send>> {
        match self.objects().get(unversioned(object)?) {
            Some((_, bytes)) => Ok(Box::new(Cursor::new(bytes.clone()))),
            None => Err(VaultError::Missing { object: object.name.clone() }),
        }
    }

    fn thaw(&self, object: &ObjectRef, _wish: Wish) -> Result<Thawed> {
        self.lock(object).map(|_| Thawed::Ready { until: None })
    }

    fn lock(&self, object: &ObjectRef) -> Result<Lock> {
        match self.objects().get(unversioned(object)?) {
            Some((lock, _)) => Ok(lock.clone()),
            None => Err(VaultError::Missing { object: object.name.clone() }),
        }
    }

    fn extend_lock(&self, object: &ObjectRef, retain_until: DateTime<Utc>) -> Result<Lock> {
        let name = unversioned(object)?;
        let retain_until = rounded_up(retain_until);
        let mut objects = self.objects();
        let (lock, _) = objects.get_mut(name).ok_or_else(|| VaultError::Missing { object: name.clone() })?;
        if retain_until < lock.retain_until {
            let why = "it is locked for longer";
            return Err(VaultError::LockRefused { object: name.clone(), asked: retain_until, why });
        }
        lock.retain_until = retain_until;
        Ok(lock.clone())
    }

    fn end_stale_puts(&self, _before: DateTime<Utc>) -> Result<u64> {
        Ok(0)
    }

    fn prove_lock(&self, canary: &Lock) -> Result<Vec<Probe>> {
        self.lock(&canary.object_ref())?;
        let why = "whatever runs in this process can change its memory";
        Ok(vec![Probe { call: "write to memory", outcome: Outcome::ByAgreement { why } }])
    }

    fn inspect(&self) -> Inspection {
        Inspection::Memory
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_vault_keeps_the_contract() {
        crate::conformance::conforms(|| (MemoryVault::default(), ()));
    }
}
