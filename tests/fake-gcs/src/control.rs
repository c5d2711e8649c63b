//! What a test sees of the server, and does to it, without HTTP.

use std::time::Duration;

use bytes::BytesMut;
use chrono::{DateTime, Utc};

use crate::access::Grant;
use crate::account::Account;
use crate::clock::Clock;
use crate::fault::{Fault, Times};
use crate::retention::Mode;
use crate::server::FakeGcs;
use crate::store::{Bucket, Shelf};

/// A request that was answered: method, operation, key (empty for one about a bucket), status. Status 0: the connection was cut instead.
pub type LogLine = (String, String, String, u16);

/// A generation as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionInfo {
    /// Its generation.
    pub generation: i64,
    /// Length of its data in bytes.
    pub size: u64,
    /// Whether it is what a request without a generation gets.
    pub is_live: bool,
    /// `STANDARD`, `NEARLINE`, ...
    pub storage_class: String,
    /// Its own lock.
    pub retention: Option<(Mode, DateTime<Utc>)>,
}

impl FakeGcs {
    /// Makes an account with these roles on every bucket, and gives its key as Google hands it out.
    ///
    /// # Errors
    /// If no key could be made.
    pub fn add_account(&self, name: &str, grants: Vec<Grant>) -> Result<String, String> {
        let mut store = self.house.store();
        let (account, key) = Account::new(name, store.accounts.len() + 1, grants)?;
        store.accounts.push(account);
        Ok(key)
    }

    /// Makes a bucket, or an empty one in its place.
    pub fn add_bucket(&self, name: &str, plan: Bucket) {
        self.house.store().buckets.insert(name.to_owned(), Shelf::new(plan));
    }

    /// Takes a bucket away with all that is in it.
    pub fn remove_bucket(&self, name: &str) {
        self.house.store().buckets.remove(name);
    }

    /// The server's clock.
    pub fn clock(&self) -> &Clock {
        &self.house.clock
    }

    /// Moves the server's clock by whole days.
    pub fn advance_days(&self, days: u64) {
        self.clock().advance(Duration::from_secs(days.saturating_mul(86_400)));
    }

    /// Arms a fault, in place of what was armed of its kind.
    pub fn arm(&self, fault: Fault, times: Times) {
        self.house.faults.arm(fault, times);
    }

    /// Ends a fault. Its hits stay counted.
    pub fn disarm(&self, fault: Fault) {
        self.house.faults.disarm(fault);
    }

    /// How often a fault of this kind struck.
    pub fn hits(&self, fault: Fault) -> u64 {
        self.house.faults.hits(fault)
    }

    /// All generations of a key, oldest first.
    pub fn versions(&self, bucket: &str, key: &str) -> Vec<VersionInfo> {
        let store = self.house.store();
        let versions =
            store.buckets.get(bucket).and_then(|shelf| shelf.objects.get(key)).into_iter().flatten();
        let info = versions.map(|version| VersionInfo {
            generation: version.generation,
            size: version.data.len() as u64,
            is_live: version.noncurrent.is_none(),
            storage_class: version.class.clone(),
            retention: version.retention.map(|own| (own.mode, own.until)),
        });
        info.collect()
    }

    /// All keys that have generations.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let store = self.house.store();
        store.buckets.get(bucket).map(|shelf| shelf.objects.keys().cloned().collect()).unwrap_or_default()
    }

    /// Keys of uploads that are not ended.
    pub fn uploads(&self) -> Vec<String> {
        let store = self.house.store();
        let open = store.sessions.values().filter(|session| !session.is_done());
        open.map(|session| session.key.clone()).collect()
    }

    /// Turns one stored bit over, as a failing disk would. False if there is no such byte.
    pub fn flip_bit(&self, bucket: &str, key: &str, generation: i64, offset: usize, bit: u8) -> bool {
        let mut store = self.house.store();
        let version = store.buckets.get_mut(bucket).and_then(|shelf| shelf.version_mut(key, generation));
        let Some(version) = version else { return false };
        let mut data = BytesMut::from(&version.data[..]);
        let is_there = data.get_mut(offset).map(|byte| *byte ^= 1 << (bit & 7)).is_some();
        version.data = data.freeze();
        is_there
    }

    /// Every request so far, in the order of the answers.
    pub fn requests(&self) -> Vec<LogLine> {
        self.house.log().clone()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.house.log().clear();
    }
}
