//! A vault in a bucket of Google Cloud Storage with locked retention. What lies there, and under which metadata: docs/formats/ice.md.
//!
//! What counts is what an object's own generation says when it is read back. Nothing here deletes an object, lifts a lock, or asks for the
//! right to; only [`prove_lock`](Vault::prove_lock) tries, and hopes to fail. Why all of it goes over the JSON API: docs/decisions/0010.
//!
//! Async ends at this module: the client runs on threads of this vault, and every call waits for its answer.

mod checksum;
mod client;
mod fault;
mod fetch;
mod inspect;
mod key;
mod locks;
mod model;
mod probe;
mod put;
mod retry;
mod store;
mod upload;
mod versions;

use std::future::Future;
use std::io::{self, Read};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use self::store::Store;
use crate::inspection::{Fact, Support};
use crate::open::not_a_vault;
use crate::settings::Settings;
use crate::{
    Content, Inspection, Lock, Names, ObjectFolder, ObjectName, ObjectRef, Probe, Result, Thawed, Vault,
    VaultError, Wish,
};

/// Threads on which the client runs: encrypting for TLS and waiting.
const THREADS: usize = 2;

/// A vault in a bucket of Google Cloud Storage.
#[derive(Debug)]
pub struct GsVault {
    store: Arc<Store>,
    runtime: Runtime,
}

impl GsVault {
    /// The vault in `place`: a bucket, or `bucket/prefix/`. Reads the credentials; speaks to nobody yet.
    ///
    /// # Errors
    /// [`VaultError::Url`], [`VaultError::Setting`] and [`VaultError::Credentials`].
    pub fn open(settings: &Settings, place: &str) -> Result<GsVault> {
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        if !is_bucket(bucket) || prefix.parse::<ObjectFolder>().is_err() {
            return Err(not_a_vault(&settings.url));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("vault-gs")
            .enable_all()
            .build()
            .map_err(VaultError::failed("start", "the threads of the vault"))?;
        let store = {
            // The credentials renew their token in a task of this runtime.
            let _inside = runtime.enter();
            Arc::new(Store::new(settings, bucket, prefix)?)
        };
        Ok(GsVault { store, runtime })
    }

    fn wait<T>(&self, call: impl Future<Output = T>) -> T {
        self.runtime.block_on(call)
    }

    fn join<T>(&self, task: JoinHandle<T>) -> Result<T> {
        self.wait(task).map_err(|error| VaultError::failed("wait for", "a part")(io::Error::other(error)))
    }
}

/// Google's names; those with a domain name in them may be longer, and are not served.
fn is_bucket(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    (3..=63).contains(&name.len())
        && name.bytes().all(plain)
        && edge(name.bytes().next())
        && edge(name.bytes().last())
        && !name.contains("..")
}

impl Vault for GsVault {
    fn clock(&self) -> Result<DateTime<Utc>> {
        self.wait(self.store.ask_clock())
    }

    fn put(&self, name: &ObjectName, content: Content<'_>, retain_until: DateTime<Utc>) -> Result<Lock> {
        put::put(self, name, content, retain_until)
    }

    fn list(&self, folder: &ObjectFolder) -> Result<Names<'_>> {
        Ok(versions::list(self, folder))
    }

    fn fetch(&self, object: &ObjectRef) -> Result<Box<dyn Read + Send>> {
        fetch::fetch(self, object)
    }

    fn thaw(&self, object: &ObjectRef, _wish: Wish) -> Result<Thawed> {
        // Google reads every class at once.
        self.wait(async {
            let generation = self.store.version_of(object).await?;
            self.store.look(&object.name, generation).await
        })
        .map(|_| Thawed::Ready { until: None })
    }

    fn lock(&self, object: &ObjectRef) -> Result<Lock> {
        self.wait(self.store.lock(object))
    }

    fn extend_lock(&self, object: &ObjectRef, retain_until: DateTime<Utc>) -> Result<Lock> {
        self.wait(self.store.extend(object, retain_until))
    }

    fn can_extend(&self) -> bool {
        // What is not known now is for the extension itself to say.
        !matches!(self.wait(self.store.locks_move()), Fact::Seen(Support::Absent))
    }

    fn end_stale_puts(&self, _before: DateTime<Utc>) -> Result<u64> {
        // An upload that never ends is shown to nobody, paid for by nobody, and forgotten after a week.
        Ok(0)
    }

    fn prove_lock(&self, canary: &Lock) -> Result<Vec<Probe>> {
        probe::prove(self, canary)
    }

    fn inspect(&self) -> Inspection {
        self.wait(self.store.inspect(&probe::PERMISSIONS))
    }
}

#[cfg(test)]
mod tests;
