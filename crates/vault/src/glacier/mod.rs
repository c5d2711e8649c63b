//! A vault of stand-alone Amazon Glacier, for those who have one: AWS gives no new ones. What lies there, and how it is found: docs/formats/ice.md;
//! why it is done so: docs/decisions/0011.
//!
//! It has no names, no list that is there at once, and no lock of a single archive. So names are written on the archives, and kept in an
//! [`index`] on this machine; reading takes a job of hours; and the lock is the vault's own Vault Lock, which keeps every archive until
//! it has an age. The version of an object is the id of its archive.
//!
//! What of the contract cannot hold: a lock is as long as the vault's lock says, never extended, and never read back by the archive itself;
//! `wish.days` is a day; nothing empty is stored; a listing is what this machine has put and what the newest inventory showed, and memory grows with it.
//!
//! Async ends at this module: the SDK runs on threads of this vault, and every call waits for its answer.

mod description;
mod fetch;
mod index;
mod inspect;
mod inventory;
mod jobs;
mod locks;
mod parts;
mod policy;
mod probe;
mod put;
mod store;
mod tally;
mod tree;

use std::future::Future;
use std::io::Read;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::runtime::Runtime;

use self::store::Store;
use crate::open::not_a_vault;
use crate::settings::Settings;
use crate::{
    Content, Inspection, Lock, Names, ObjectFolder, ObjectName, ObjectRef, Probe, Result, Thawed, Vault,
    VaultError, Wish,
};

/// Threads on which the SDK runs: encrypting for TLS and waiting.
const THREADS: usize = 2;
/// Longest name of a vault.
const NAME_BYTES: usize = 255;

/// A vault of stand-alone Glacier.
#[derive(Debug)]
pub struct GlacierVault {
    store: Arc<Store>,
    runtime: Runtime,
}

impl GlacierVault {
    /// The vault of this name. Reads the credentials and the index; speaks to nobody yet.
    ///
    /// # Errors
    /// [`VaultError::Url`], [`VaultError::Setting`], [`VaultError::Credentials`], and [`VaultError::Unreachable`] if the index cannot be read.
    pub fn open(settings: &Settings, name: &str) -> Result<GlacierVault> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let is_name = (1..=NAME_BYTES).contains(&name.len()) && name.bytes().all(plain);
        if !is_name || name.bytes().all(|b| b == b'.') {
            return Err(not_a_vault(&settings.url));
        }
        let store = Arc::new(Store::new(settings, name)?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("vault-glacier")
            .enable_all()
            .build()
            .map_err(VaultError::failed("start", "the threads of the vault"))?;
        Ok(GlacierVault { store, runtime })
    }

    fn wait<T>(&self, call: impl Future<Output = T>) -> T {
        self.runtime.block_on(call)
    }
}

impl Vault for GlacierVault {
    fn clock(&self) -> Result<DateTime<Utc>> {
        self.wait(self.store.ask_clock())
    }

    fn put(&self, name: &ObjectName, content: Content<'_>, retain_until: DateTime<Utc>) -> Result<Lock> {
        put::put(self, name, content, retain_until)
    }

    fn list(&self, folder: &ObjectFolder) -> Result<Names<'_>> {
        self.wait(self.store.refresh())?;
        Ok(Box::new(self.store.index.names(folder)?.into_iter().map(Ok)))
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

    fn can_extend(&self) -> bool {
        false
    }

    fn end_stale_puts(&self, before: DateTime<Utc>) -> Result<u64> {
        self.wait(self.store.abort_stale(|_, begun| begun.is_some_and(|begun| begun < before)))
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
