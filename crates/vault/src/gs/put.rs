//! Storing one object:
//!
//! 1. no generation of the name exists, by a listing;
//! 2. what the bucket's locked policy does not cover is asked for as a lock of the object's own;
//! 3. the bytes are [sent](super::upload) with `ifGenerationMatch=0`, the lock, and a mark of this put; before the last of them go, their
//!    number and BLAKE3 are those announced;
//! 4. whatever the answer was, the first generation of the name must carry the mark: an answer that was lost is no failure, and a generation
//!    that came before ours is not ours; its length and CRC-32C are those sent;
//! 5. its lock is read back, set again if it is missing or short, and read again.

use chrono::{DateTime, Utc};
use formats::ContentHash;
use serde_json::{Value, json};

use super::GsVault;
use super::fault::Fault;
use super::locks::{lock_of, refused, wanted};
use super::model::Policy;
use super::store::Store;
use crate::content::Incoming;
use crate::label::{self, META_PUT, announced};
use crate::stamp::rounded_up;
use crate::{Content, Lock, ObjectName, Result, VaultError};

pub(super) const CREATE: &str = "storage.objects.create and storage.objects.setRetention";

/// What is to be stored.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) name: ObjectName,
    pub(super) key: String,
    pub(super) bytes: u64,
    hash: ContentHash,
    until: DateTime<Utc>,
    /// No other put has the same.
    mark: String,
    /// The object is to have a lock of its own.
    is_locked_itself: bool,
}

/// How sending ended, when it did not fail for sure.
pub(super) enum Sent {
    /// The provider said so. With the CRC-32C of what was sent.
    Done(String),
    /// It is for the listing to say.
    Unknown(String, Fault),
}

pub(super) fn put(
    vault: &GsVault,
    name: &ObjectName,
    content: Content<'_>,
    until: DateTime<Utc>,
) -> Result<Lock> {
    let store = &vault.store;
    let until = rounded_up(until);
    if vault.wait(store.first_generation(name))?.is_some() {
        return Err(VaultError::Exists { object: name.clone() });
    }
    let now = store.clock_now()?;
    if until <= now {
        let why = "that date has passed";
        return Err(VaultError::LockRefused { object: name.clone(), asked: until, why });
    }
    let policy = match vault.wait(store.policy()) {
        // Who may not look at the bucket can still lock each object.
        Err(VaultError::Denied { .. }) => Policy { locked_for: None, takes_object_locks: true },
        other => other?,
    };
    let is_covered = policy.holds(now).is_some_and(|date| date >= until);
    if !is_covered && !policy.takes_object_locks {
        return Err(refused(name, until));
    }
    let order = Order {
        name: name.clone(),
        key: store.key(name)?,
        bytes: content.bytes,
        hash: content.hash,
        until,
        mark: label::mark()?,
        is_locked_itself: !is_covered,
    };
    let sent = super::upload::send(vault, &order, Incoming::new(name, content))?;
    vault.wait(store.settle(&order, sent))
}

impl Order {
    /// What the object is to be beside its bytes.
    pub(super) fn document(&self, class: &str) -> Value {
        let mut document = json!({
            "name": self.key,
            "contentType": "application/octet-stream",
            "storageClass": class,
            "metadata": label::of(self.bytes, self.hash, &self.mark),
        });
        if let (true, Some(fields)) = (self.is_locked_itself, document.as_object_mut()) {
            fields.insert("retention".to_owned(), wanted(self.until));
        }
        document
    }

    /// The error of a put that surely stored nothing.
    pub(super) fn failed(&self, fault: Fault) -> VaultError {
        if fault.is_taken() {
            return VaultError::Exists { object: self.name.clone() };
        }
        if fault.is_lock_refused() && self.is_locked_itself {
            return refused(&self.name, self.until);
        }
        fault.into_error("store", self.name.as_str(), CREATE)
    }
}

impl Store {
    /// Steps 4 and 5.
    async fn settle(&self, order: &Order, sent: Sent) -> Result<Lock> {
        let name = &order.name;
        let (crc, fault) = match sent {
            Sent::Done(crc) => (crc, None),
            Sent::Unknown(crc, fault) => (crc, Some(fault)),
        };
        let Some(version) = self.first_generation(name).await? else {
            let fault = fault.unwrap_or_else(|| {
                Fault::of_nonsense("the store says that it is stored, and does not list it")
            });
            return Err(fault.into_error("store", name.as_str(), CREATE));
        };
        let object = self.look(name, version).await?;
        if object.metadata.as_ref().and_then(|meta| meta.get(META_PUT)) != Some(&order.mark) {
            return Err(match fault {
                Some(fault) if !fault.is_taken() => fault.into_error("store", name.as_str(), CREATE),
                _ => VaultError::Exists { object: name.clone() },
            });
        }
        let altered = |why| Err(VaultError::Altered { object: name.clone(), why });
        if object.bytes() != Some(order.bytes) {
            return altered("its length is not that of what was sent");
        }
        if object.crc32c.as_ref() != Some(&crc) {
            return altered("its checksum is not that of what was sent");
        }
        if announced(object.metadata.as_ref()) != Some((order.bytes, order.hash)) {
            return altered("its metadata are not those that were sent");
        }
        let until = self.ensure_lock(name, version, &object, order.until).await?;
        lock_of(name, version, &object, until)
    }
}
