//! What the provider says about one version: its metadata, and until when it is locked. Both are asked for per version id, always.

use std::sync::atomic::Ordering;

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::DateTime as AwsDateTime;
use aws_sdk_s3::types::{ChecksumMode, ObjectLockMode, ObjectLockRetention, ObjectLockRetentionMode};
use chrono::{DateTime, Utc};

use super::fault::Fault;
use super::store::Store;
use crate::label::announced;
use crate::stamp::rounded_up;
use crate::{Lock, ObjectName, ObjectRef, Result, VaultError, VersionId};

/// Why there is no lock, when all else is as it should be.
const NONE: &str = "the provider shows none";
/// Why it is short.
const SHORT: &str = "read back, it is locked for less than was asked, also after it was locked again";

/// A lock as read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retention {
    /// None at all.
    Absent,
    /// One that somebody may lift.
    Governance,
    /// One that nobody may.
    Until(DateTime<Utc>),
}

impl Retention {
    fn covers(self, until: DateTime<Utc>) -> bool {
        matches!(self, Retention::Until(date) if date >= until)
    }
}

pub(super) fn aws_date(at: DateTime<Utc>) -> AwsDateTime {
    AwsDateTime::from_secs(at.timestamp())
}

fn date(at: Option<&AwsDateTime>) -> Option<DateTime<Utc>> {
    at.and_then(|at| DateTime::from_timestamp(at.secs(), 0))
}

impl Store {
    /// The version that is meant: the one named, or the first.
    pub(super) async fn version_of(&self, object: &ObjectRef) -> Result<VersionId> {
        match &object.version {
            Some(version) => Ok(version.clone()),
            None => self
                .first_version(&object.name)
                .await?
                .ok_or_else(|| VaultError::Missing { object: object.name.clone() }),
        }
    }

    pub(super) async fn head(&self, name: &ObjectName, version: &VersionId) -> Result<HeadObjectOutput> {
        // The first call may find that this machine's clock is wrong, and HEAD could not say so.
        if self.clock.now().is_none() {
            self.ask_clock().await?;
        }
        let call = self.client.head_object().bucket(&self.bucket).key(self.key(name)?);
        let call = call.version_id(version.as_str()).checksum_mode(ChecksumMode::Enabled);
        match call.send().await.map_err(Fault::from) {
            Ok(head) => Ok(head),
            Err(fault) if fault.may_be_missing() => {
                // A bucket that is gone and a token that has run out answer HEAD alike; a list says what it is.
                self.ask_clock().await?;
                Err(VaultError::Missing { object: name.clone() })
            }
            Err(fault) => Err(fault.on("look at", name, "s3:GetObjectVersion")),
        }
    }

    /// The lock of a version, asked for now.
    pub(super) async fn retention(&self, name: &ObjectName, version: &VersionId) -> Result<Retention> {
        if self.retention_by_head.load(Ordering::Relaxed) {
            return Ok(retention_of(&self.head(name, version).await?));
        }
        let call = self.client.get_object_retention().bucket(&self.bucket).key(self.key(name)?);
        match call.version_id(version.as_str()).send().await.map_err(Fault::from) {
            Ok(answer) => match answer.retention() {
                Some(found) => {
                    let mode = found.mode().map(ObjectLockRetentionMode::as_str);
                    Ok(retention(mode, found.retain_until_date()))
                }
                // S3 never says this: where there is no lock, it says 404.
                None => Ok(retention_of(&self.head(name, version).await?)),
            },
            Err(fault) if fault.is_no_lock() => Ok(Retention::Absent),
            Err(fault) if fault.is_unsupported() || fault.is_of_another_call() => {
                let seen = retention_of(&self.head(name, version).await?);
                self.retention_by_head.store(true, Ordering::Relaxed);
                Ok(seen)
            }
            Err(fault) => Err(fault.on("read the lock of", name, "s3:GetObjectRetention")),
        }
    }

    /// Asks for a lock.
    async fn set_retention(
        &self,
        name: &ObjectName,
        version: &VersionId,
        until: DateTime<Utc>,
    ) -> Result<()> {
        let wanted = ObjectLockRetention::builder()
            .mode(ObjectLockRetentionMode::Compliance)
            .retain_until_date(aws_date(until))
            .build();
        let call = self.client.put_object_retention().bucket(&self.bucket).key(self.key(name)?);
        let set = call.version_id(version.as_str()).retention(wanted).send().await;
        set.map(drop).map_err(Fault::from).map_err(|fault| match fault.is_lock_refused() {
            true => refused(name, until),
            false => fault.on("lock", name, "s3:PutObjectRetention"),
        })
    }

    /// Reads a new object's lock; sets it once more if it is missing or short; reads it again. Gives the date read last.
    pub(super) async fn ensure_lock(
        &self,
        name: &ObjectName,
        version: &VersionId,
        until: DateTime<Utc>,
    ) -> Result<DateTime<Utc>> {
        let missing = |why| VaultError::LockMissing { object: name.clone(), why };
        let mut seen = self.retention(name, version).await?;
        if !seen.covers(until) {
            match self.set_retention(name, version, until).await {
                Ok(()) => {}
                // The object is there: that its lock cannot be had is the news.
                Err(VaultError::LockRefused { .. }) => return Err(missing("the provider will not lock it")),
                Err(error) => return Err(error),
            }
            seen = self.retention(name, version).await?;
        }
        match seen {
            Retention::Until(date) if date >= until => Ok(date),
            Retention::Until(_) => Err(missing(SHORT)),
            Retention::Absent => Err(missing("read back, it has none, also after it was locked again")),
            Retention::Governance => Err(missing("it is locked in governance mode, which can be lifted")),
        }
    }

    /// The lock of a version, with what its metadata says was put.
    pub(super) async fn lock(&self, object: &ObjectRef) -> Result<Lock> {
        let name = &object.name;
        let version = self.version_of(object).await?;
        let head = self.head(name, &version).await?;
        let missing = |why| VaultError::LockMissing { object: name.clone(), why };
        let (bytes, hash) =
            announced(head.metadata()).ok_or_else(|| missing("it was not put there by Firn"))?;
        if head.content_length().and_then(|length| u64::try_from(length).ok()) != Some(bytes) {
            return Err(missing("it is not as long as what was put there"));
        }
        let retain_until = match self.retention(name, &version).await? {
            Retention::Until(date) => date,
            Retention::Absent => return Err(missing(NONE)),
            Retention::Governance => return Err(missing("it is of governance mode, which can be lifted")),
        };
        let stored = date(head.last_modified())
            .ok_or_else(|| missing("the provider does not say when it was stored"))?;
        Ok(Lock { object: name.clone(), version: Some(version), bytes, hash, stored, retain_until })
    }

    pub(super) async fn extend(&self, object: &ObjectRef, until: DateTime<Utc>) -> Result<Lock> {
        let until = rounded_up(until);
        let name = &object.name;
        let mut lock = match self.lock(object).await {
            // Lost by the provider, and whoever put it was killed before it was set again.
            Err(VaultError::LockMissing { why: NONE, .. }) => {
                let version = self.version_of(object).await?;
                self.ensure_lock(name, &version, until).await?;
                self.lock(object).await?
            }
            seen => seen?,
        };
        if until < lock.retain_until {
            let why = "it is locked for longer";
            return Err(VaultError::LockRefused { object: name.clone(), asked: until, why });
        }
        if let (true, Some(version)) = (until > lock.retain_until, &lock.version) {
            self.set_retention(name, version, until).await?;
            match self.retention(name, version).await? {
                Retention::Until(date) if date >= until => lock.retain_until = date,
                _ => return Err(VaultError::LockMissing { object: name.clone(), why: SHORT }),
            }
        }
        Ok(lock)
    }
}

/// A lock, put together from what the provider says about a version.
pub(super) fn lock_of(
    name: &ObjectName,
    version: VersionId,
    head: &HeadObjectOutput,
    retain_until: DateTime<Utc>,
) -> Result<Lock> {
    let missing = |why| VaultError::LockMissing { object: name.clone(), why };
    let (bytes, hash) = announced(head.metadata()).ok_or_else(|| missing("it was not put there by Firn"))?;
    if head.content_length().and_then(|length| u64::try_from(length).ok()) != Some(bytes) {
        return Err(missing("it is not as long as what was put there"));
    }
    let stored =
        date(head.last_modified()).ok_or_else(|| missing("the provider does not say when it was stored"))?;
    Ok(Lock { object: name.clone(), version: Some(version), bytes, hash, stored, retain_until })
}

pub(super) fn refused(name: &ObjectName, asked: DateTime<Utc>) -> VaultError {
    let why = "the provider refuses it: see whether the bucket has object lock, and what its policy allows";
    VaultError::LockRefused { object: name.clone(), asked, why }
}

fn retention_of(head: &HeadObjectOutput) -> Retention {
    retention(head.object_lock_mode().map(ObjectLockMode::as_str), head.object_lock_retain_until_date())
}

fn retention(mode: Option<&str>, until: Option<&AwsDateTime>) -> Retention {
    match (mode, date(until)) {
        (Some("COMPLIANCE"), Some(date)) => Retention::Until(date),
        (Some(_), Some(_)) => Retention::Governance,
        _ => Retention::Absent,
    }
}
