//! Storing one object:
//!
//! 1. the name must be free, by a listing of its versions: not every server knows `If-None-Match`;
//! 2. the bytes are sent, in [one call](Store::send_whole) or in [parts](super::parts), with their checksum, the lock, and a mark of this put;
//!    before the call that makes them an object, their number and BLAKE3 are those announced;
//! 3. whatever the answer was, the first version of the name must carry the mark: an answer that was lost is no failure, and a version that
//!    came before ours is not ours;
//! 4. the lock of that version is read back, set again if it is missing or short, and read again.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_s3::types::{ChecksumAlgorithm, ObjectLockMode};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use formats::ContentHash;

use super::S3Vault;
use super::checksum::Crc;

use super::fault::Fault;
use super::locks::{aws_date, lock_of, refused};
use super::store::Store;
use crate::content::Incoming;
use crate::label::{self, META_PUT, announced};
use crate::stamp::rounded_up;
use crate::{Content, Lock, ObjectName, Result, VaultError, VersionId};

/// How often a list is asked that does not show a new object yet, and how long it is waited each time.
const STALE_MAX: u32 = 5;
const STALE_WAIT: Duration = Duration::from_millis(500);

/// What is to be stored.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) name: ObjectName,
    pub(super) key: String,
    pub(super) bytes: u64,
    pub(super) hash: ContentHash,
    pub(super) until: DateTime<Utc>,
    /// No other put has the same.
    pub(super) mark: String,
}

/// How sending ended, when it did not fail for sure.
pub(super) enum Sent {
    /// The provider said so.
    Done(Crc),
    /// It is for the listing to say.
    Unknown(Crc, Fault),
}

pub(super) fn put(
    vault: &S3Vault,
    name: &ObjectName,
    content: Content<'_>,
    until: DateTime<Utc>,
) -> Result<Lock> {
    let store = &vault.store;
    let until = rounded_up(until);
    if vault.wait(store.first_version(name))?.is_some() {
        return Err(VaultError::Exists { object: name.clone() });
    }
    if until <= store.clock_now()? {
        let why = "that date has passed";
        return Err(VaultError::LockRefused { object: name.clone(), asked: until, why });
    }
    let (bytes, hash) = (content.bytes, content.hash);
    let order = Order { name: name.clone(), key: store.key(name)?, bytes, hash, until, mark: label::mark()? };
    let mut incoming = Incoming::new(name, content);
    let sent = if bytes <= store.part_bytes {
        let whole = incoming.piece(bytes)?;
        incoming.finish()?;
        vault.wait(store.send_whole(&order, whole))?
    } else {
        super::parts::send(vault, &order, incoming)?
    };
    vault.wait(store.settle(&order, sent))
}

impl Order {
    pub(super) fn metadata(&self) -> HashMap<String, String> {
        label::of(self.bytes, self.hash, &self.mark)
    }

    /// Sorts the failures of the call that makes an object: those that end the put, and those that leave it open.
    pub(super) fn sort(&self, crc: Crc, fault: Fault) -> Result<Sent> {
        if fault.is_lock_refused() {
            return Err(refused(&self.name, self.until));
        }
        match fault.status {
            Some(401 | 403) => {
                Err(fault.into_error("store", self.name.as_str(), "s3:PutObject and s3:PutObjectRetention"))
            }
            _ => Ok(Sent::Unknown(crc, fault)),
        }
    }
}

impl Store {
    /// Step 2 in one call.
    async fn send_whole(&self, order: &Order, whole: Bytes) -> Result<Sent> {
        let crc = Crc::of(&whole);
        let call = self.client.put_object().bucket(&self.bucket).key(&order.key).if_none_match("*");
        let call = call.checksum_algorithm(ChecksumAlgorithm::Crc64Nvme).checksum_crc64_nvme(crc.text());
        let call = call.object_lock_mode(ObjectLockMode::Compliance).storage_class(self.class(order.bytes));
        let call =
            call.object_lock_retain_until_date(aws_date(order.until)).set_metadata(Some(order.metadata()));
        let call = call.body(self.body(whole).into()).customize().config_override(self.patience(order.bytes));
        match call.send().await {
            Ok(_) => Ok(Sent::Done(crc)),
            Err(error) => order.sort(crc, error.into()),
        }
    }

    /// Steps 3 and 4.
    async fn settle(&self, order: &Order, sent: Sent) -> Result<Lock> {
        let name = &order.name;
        let (crc, fault) = match sent {
            Sent::Done(crc) => (crc, None),
            Sent::Unknown(crc, fault) => (crc, Some(fault)),
        };
        let Some(version) = self.shown(name, fault.is_none()).await? else {
            return Err(match fault {
                Some(fault) => fault.into_error("store", name.as_str(), "s3:PutObject"),
                None => not_shown(name),
            });
        };
        let head = self.head(name, &version).await?;
        if head.metadata().and_then(|meta| meta.get(META_PUT)) != Some(&order.mark) {
            return Err(match fault {
                Some(fault) if !fault.is_taken() => fault.into_error("store", name.as_str(), "s3:PutObject"),
                _ => VaultError::Exists { object: name.clone() },
            });
        }
        let altered = |why| Err(VaultError::Altered { object: name.clone(), why });
        if head.content_length().and_then(|length| u64::try_from(length).ok()) != Some(order.bytes) {
            return altered("its length is not that of what was sent");
        }
        if head.checksum_crc64_nvme().is_some_and(|seen| seen != crc.text()) {
            return altered("its checksum is not that of what was sent");
        }
        if announced(head.metadata()) != Some((order.bytes, order.hash)) {
            return altered("its metadata are not those that were sent");
        }
        let until = self.ensure_lock(name, &version, order.until).await?;
        lock_of(name, version, &head, until)
    }

    /// The first version of a name. One that the provider says it stored may take a moment to be shown.
    async fn shown(&self, name: &ObjectName, is_stored: bool) -> Result<Option<VersionId>> {
        let mut asked = 0;
        loop {
            let first = self.first_version(name).await?;
            asked += 1;
            if first.is_some() || !is_stored || asked > STALE_MAX {
                return Ok(first);
            }
            tokio::time::sleep(STALE_WAIT * asked).await;
        }
    }
}

fn not_shown(name: &ObjectName) -> VaultError {
    let source = std::io::Error::other("the store says that it is stored, and does not list it");
    VaultError::Unreachable { step: format!("find {name}"), source }
}
