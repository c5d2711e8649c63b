//! A vault in an S3 bucket with object lock. What lies there, and under which metadata: docs/formats/ice.md.
//!
//! It speaks only to servers that keep versions and locks, and believes none of them: what counts is what a version's own lock says when it is
//! read back. Nothing here deletes an object, lifts a lock, or asks for the right to; only [`prove_lock`](Vault::prove_lock) tries, and hopes to fail.
//!
//! Async ends at this module: the SDK runs on threads of this vault, and every call waits for its answer.

pub(crate) mod bound;
mod checksum;
pub(crate) mod clock;
pub(crate) mod fault;
mod fetch;
mod inspect;
mod inspect_rights;
mod locks;
mod parts;
mod probe;
mod put;
mod store;
mod thaw;
mod versions;

use std::future::Future;
use std::io::{self, Read};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use self::store::Store;
use crate::open::not_a_vault;
use crate::settings::Settings;
use crate::{
    Content, Inspection, Lock, Names, ObjectFolder, ObjectName, ObjectRef, Probe, Result, Thawed, Vault,
    VaultError, Wish,
};

/// Threads on which the SDK runs: encrypting for TLS and waiting.
const THREADS: usize = 2;

/// Under these everything lies that a vault is given.
const OWN_FOLDERS: [&str; 2] = ["ice/", "canary/"];

/// A vault in an S3 bucket.
#[derive(Debug)]
pub struct S3Vault {
    store: Arc<Store>,
    runtime: Runtime,
}

impl S3Vault {
    /// The vault in `place`: a bucket, or `bucket/prefix/`. Reads the credentials; speaks to nobody yet.
    ///
    /// # Errors
    /// [`VaultError::Url`], [`VaultError::Setting`] and [`VaultError::Credentials`].
    pub fn open(settings: &Settings, place: &str) -> Result<S3Vault> {
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        if !is_bucket(bucket) || prefix.parse::<ObjectFolder>().is_err() {
            return Err(not_a_vault(&settings.url));
        }
        let store = Arc::new(Store::new(settings, bucket, prefix)?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("vault-s3")
            .enable_all()
            .build()
            .map_err(VaultError::failed("start", "the threads of the vault"))?;
        Ok(S3Vault { store, runtime })
    }

    fn wait<T>(&self, call: impl Future<Output = T>) -> T {
        self.runtime.block_on(call)
    }

    fn join<T>(&self, task: JoinHandle<Result<T>>) -> Result<T> {
        self.wait(task).map_err(|error| VaultError::failed("wait for", "a part")(io::Error::other(error)))?
    }
}

fn is_bucket(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-');
    (3..=63).contains(&name.len())
        && name.bytes().all(plain)
        && !name.starts_with(['.', '-'])
        && !name.ends_with(['.', '-'])
        && !name.contains("..")
}

impl Vault for S3Vault {
    fn clock(&self) -> Result<DateTime<Utc>> {
        self.wait(self.store.ask_clock())
    }

    fn put(&self, name: &ObjectName, content: Content<'_>, retain_until: DateTime<Utc>) -> Result<Lock> {
        put::put(self, name, content, retain_until)
    }

    fn list(&self, folder: &ObjectFolder) -> Result<Names<'_>> {
        versions::list(self, folder)
    }

    fn fetch(&self, object: &ObjectRef) -> Result<Box<dyn Read + Send>> {
        fetch::fetch(self, object)
    }

    fn thaw(&self, object: &ObjectRef, wish: Wish) -> Result<Thawed> {
        self.wait(self.store.thaw(object, wish))
    }

    fn lock(&self, object: &ObjectRef) -> Result<Lock> {
        self.wait(self.store.lock(object))
    }

    fn extend_lock(&self, object: &ObjectRef, retain_until: DateTime<Utc>) -> Result<Lock> {
        self.wait(self.store.extend(object, retain_until))
    }

    fn end_stale_puts(&self, before: DateTime<Utc>) -> Result<u64> {
        // Another program's uploads may lie under the same prefix.
        let is_ours = |key: &str| {
            let name = self.store.name(key);
            name.is_some_and(|name| OWN_FOLDERS.iter().any(|folder| name.as_str().starts_with(folder)))
        };
        let is_stale = |key: &str, begun: Option<DateTime<Utc>>| {
            is_ours(key) && begun.is_some_and(|begun| begun < before)
        };
        self.wait(self.store.abort_stale("", is_stale))
    }

    fn prove_lock(&self, canary: &Lock) -> Result<Vec<Probe>> {
        probe::prove(self, canary)
    }

    fn inspect(&self) -> Inspection {
        self.wait(self.store.inspect())
    }
}

#[cfg(test)]
mod tests;
