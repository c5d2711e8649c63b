//! What the provider says about one generation: its metadata, and until when it is locked, by its own lock or by that of its bucket.

use chrono::{DateTime, SubsecRound, Utc};
use reqwest::Method;
use serde_json::json;

use super::client::Call;
use super::fault::Fault;
use super::model::{BUCKET_FIELDS, Bucket, OBJECT_FIELDS, Object, Policy, Retention, generation};
use super::store::Store;
use crate::label::announced;
use crate::stamp::{rounded_up, utc_text};
use crate::{Lock, ObjectName, ObjectRef, Result, VaultError, VersionId};

const LOCK: &str = "storage.objects.setRetention and storage.objects.update";
const LOOK: &str = "storage.objects.get";
const SHORT: &str = "read back, it is locked for less than was asked, also after it was locked again";

/// The lock that is asked for.
pub(super) fn wanted(until: DateTime<Utc>) -> serde_json::Value {
    json!({ "mode": "Locked", "retainUntilTime": utc_text(&until) })
}

impl Store {
    /// The generation that is meant: the one named, or the first.
    pub(super) async fn version_of(&self, object: &ObjectRef) -> Result<i64> {
        let found = match &object.version {
            Some(version) => generation(version.as_str()),
            None => self.first_generation(&object.name).await?,
        };
        found.ok_or_else(|| VaultError::Missing { object: object.name.clone() })
    }

    /// What the provider says about one generation now.
    pub(super) async fn look(&self, name: &ObjectName, version: i64) -> Result<Object> {
        let url = self.object_url(name, version, &[("fields", OBJECT_FIELDS)])?;
        let failed = |fault: Fault| fault.on("look at", name, LOOK);
        let answer = self.client.ask(&Call::new(Method::GET, url)).await.map_err(failed)?;
        let object: Object = answer.document().map_err(failed)?;
        if generation(&object.generation) != Some(version) {
            return Err(failed(Fault::of_nonsense(
                "the store answers for another generation than was asked for",
            )));
        }
        Ok(object)
    }

    /// What the bucket does for its objects.
    pub(super) async fn policy(&self) -> Result<Policy> {
        if let Some(policy) = self.locked_policy.get() {
            return Ok(*policy);
        }
        let failed =
            |fault: Fault| fault.into_error("look at the bucket", &self.bucket, "storage.buckets.get");
        let url = self.bucket_url(&[("fields", BUCKET_FIELDS)]);
        let answer = self.client.ask(&Call::new(Method::GET, url)).await.map_err(failed)?;
        let policy = Policy::from(answer.document::<Bucket>().map_err(failed)?);
        if policy.locked_for.is_some() {
            let _ = self.locked_policy.set(policy);
        }
        Ok(policy)
    }

    /// Until when nobody can delete it: the later of its own lock and its bucket's.
    async fn held(&self, object: &Object) -> Result<Retention> {
        let own = object.retention();
        let by_bucket = match self.policy().await {
            Ok(policy) => object.stored().and_then(|created| policy.holds(created)),
            // Who may not look at the bucket goes by what the object says.
            Err(VaultError::Denied { .. }) if matches!(own, Retention::Until(_)) => None,
            Err(error) => return Err(error),
        };
        // A lock of which a part of a second was counted would be read as longer than it is.
        let whole = |until: DateTime<Utc>| Retention::Until(until.trunc_subsecs(0));
        Ok(match (own, by_bucket) {
            (Retention::Until(own), Some(bucket)) => whole(own.max(bucket)),
            (_, Some(bucket)) => whole(bucket),
            (Retention::Until(own), None) => whole(own),
            (own, None) => own,
        })
    }

    async fn is_held_by_bucket(&self, lock: &Lock) -> Result<bool> {
        let policy = match self.policy().await {
            Err(VaultError::Denied { .. }) => return Ok(false),
            policy => policy?,
        };
        let now = self.clock_now()?;
        Ok(policy.holds(lock.stored).is_some_and(|until| until > now))
    }

    /// Asks for a lock.
    async fn set_retention(&self, name: &ObjectName, version: i64, until: DateTime<Utc>) -> Result<()> {
        let url = self.object_url(name, version, &[("fields", "generation")])?;
        let call = Call::new(Method::PATCH, url).json(&json!({ "retention": wanted(until) }));
        self.client.ask(&call).await.map(drop).map_err(|fault| match fault.is_lock_refused() {
            true => refused(name, until),
            false => fault.on("lock", name, LOCK),
        })
    }

    /// Reads a new object's lock; sets it once more if it is missing or short; reads it again. Gives the date read last.
    pub(super) async fn ensure_lock(
        &self,
        name: &ObjectName,
        version: i64,
        object: &Object,
        until: DateTime<Utc>,
    ) -> Result<DateTime<Utc>> {
        let missing = |why| VaultError::LockMissing { object: name.clone(), why };
        let mut seen = self.held(object).await?;
        if !matches!(seen, Retention::Until(date) if date >= until) {
            match self.set_retention(name, version, until).await {
                Ok(()) => {}
                // The object is there: that its lock cannot be had is the news.
                Err(VaultError::LockRefused { .. }) => return Err(missing("the provider will not lock it")),
                Err(error) => return Err(error),
            }
            seen = self.held(&self.look(name, version).await?).await?;
        }
        match seen {
            Retention::Until(date) if date >= until => Ok(date),
            Retention::Until(_) => Err(missing(SHORT)),
            Retention::Absent => Err(missing("read back, it has none, also after it was locked again")),
            Retention::Unlocked => Err(missing("its lock is not locked itself, and can be lifted")),
        }
    }

    /// The lock of a generation, with what its metadata says was put.
    pub(super) async fn lock(&self, object: &ObjectRef) -> Result<Lock> {
        let name = &object.name;
        let version = self.version_of(object).await?;
        let seen = self.look(name, version).await?;
        let missing = |why| VaultError::LockMissing { object: name.clone(), why };
        let retain_until = match self.held(&seen).await? {
            Retention::Until(date) => date,
            Retention::Absent => return Err(missing("neither it nor its bucket shows one that is locked")),
            Retention::Unlocked => return Err(missing("its lock is not locked itself, and can be lifted")),
        };
        lock_of(name, version, &seen, retain_until)
    }

    pub(super) async fn extend(&self, object: &ObjectRef, until: DateTime<Utc>) -> Result<Lock> {
        let until = rounded_up(until);
        let lock = self.lock(object).await?;
        let name = &object.name;
        if until < lock.retain_until {
            let why = "it is locked for longer";
            return Err(VaultError::LockRefused { object: name.clone(), asked: until, why });
        }
        if until == lock.retain_until {
            return Ok(lock);
        }
        let own = lock.object_ref();
        match self.set_retention(name, self.version_of(&own).await?, until).await {
            // Without the right to lock, a bucket's own lock is all there is.
            Err(VaultError::Denied { .. }) if self.is_held_by_bucket(&lock).await? => {
                return Err(refused(name, until));
            }
            set => set?,
        }
        let longer = self.lock(&own).await?;
        if longer.retain_until < until {
            return Err(VaultError::LockMissing { object: name.clone(), why: SHORT });
        }
        Ok(longer)
    }
}

/// A lock, put together from what the provider says about a generation.
pub(super) fn lock_of(
    name: &ObjectName,
    version: i64,
    seen: &Object,
    retain_until: DateTime<Utc>,
) -> Result<Lock> {
    let missing = |why| VaultError::LockMissing { object: name.clone(), why };
    let (bytes, hash) =
        announced(seen.metadata.as_ref()).ok_or_else(|| missing("it was not put there by Firn"))?;
    if seen.bytes() != Some(bytes) {
        return Err(missing("it is not as long as what was put there"));
    }
    let stored = seen.stored().ok_or_else(|| missing("the provider does not say when it was stored"))?;
    let version: Option<VersionId> = version.to_string().parse().ok();
    Ok(Lock { object: name.clone(), version, bytes, hash, stored, retain_until })
}

pub(super) fn refused(name: &ObjectName, asked: DateTime<Utc>) -> VaultError {
    let why = "neither the bucket's locked retention policy nor a lock of the object's own reaches so far: see whether the bucket has object retention, and the account storage.objects.setRetention";
    VaultError::LockRefused { object: name.clone(), asked, why }
}
