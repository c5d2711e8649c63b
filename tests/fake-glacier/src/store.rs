//! Everything the server holds.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::locks::LockState;
use crate::policy::Policy;
use crate::tree::Hash;

#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) vaults: BTreeMap<String, VaultShelf>,
    /// By access key.
    pub(crate) users: HashMap<String, User>,
    serial: u64,
}

#[derive(Debug)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) secret: String,
    /// `glacier:UploadArchive`, `glacier:*`.
    pub(crate) actions: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct VaultShelf {
    pub(crate) created: DateTime<Utc>,
    pub(crate) archives: BTreeMap<String, Archive>,
    pub(crate) uploads: BTreeMap<String, Upload>,
    pub(crate) jobs: BTreeMap<String, Job>,
    pub(crate) lock: Option<(LockState, Policy, String)>,
    pub(crate) access_policy: Option<Policy>,
    pub(crate) notifications: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
    /// What was last counted, and when.
    pub(crate) inventory: Option<(DateTime<Utc>, Vec<String>)>,
    pub(crate) changed: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Archive {
    pub(crate) description: String,
    pub(crate) data: Bytes,
    pub(crate) tree: Hash,
    pub(crate) created: DateTime<Utc>,
}

#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) description: String,
    pub(crate) part_bytes: u64,
    pub(crate) created: DateTime<Utc>,
    /// By their first byte.
    pub(crate) parts: BTreeMap<u64, (Bytes, Hash)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// None for an inventory.
    pub(crate) archive: Option<String>,
    pub(crate) tier: String,
    pub(crate) description: Option<String>,
    /// Of an inventory: `JSON` or `CSV`.
    pub(crate) format: String,
    /// Of an archive: the first byte and the last.
    pub(crate) range: (usize, usize),
    pub(crate) created: DateTime<Utc>,
    pub(crate) done: DateTime<Utc>,
    /// The inventory as it was when the job began.
    pub(crate) inventory: Option<(DateTime<Utc>, Vec<String>)>,
}

impl Store {
    /// Letters that were never given before.
    pub(crate) fn next_id(&mut self, kind: &str) -> String {
        self.serial += 1;
        let hash = crate::tree::of(format!("{kind} {}", self.serial).as_bytes());
        format!("{}{:08}", crate::tree::hex(&hash), self.serial)
    }
}

impl VaultShelf {
    pub(crate) fn new(now: DateTime<Utc>) -> Self {
        Self {
            created: now,
            archives: BTreeMap::new(),
            uploads: BTreeMap::new(),
            jobs: BTreeMap::new(),
            lock: None,
            access_policy: None,
            notifications: None,
            tags: BTreeMap::new(),
            inventory: None,
            changed: None,
        }
    }

    /// Counts, if a day has gone by since something changed.
    pub(crate) fn count(&mut self, now: DateTime<Utc>) {
        if self.changed.is_some_and(|changed| (now - changed).num_hours() >= 24) {
            self.count_now(now);
        }
    }

    pub(crate) fn count_now(&mut self, now: DateTime<Utc>) {
        self.inventory = Some((now, self.archives.keys().cloned().collect()));
        self.changed = None;
    }

    pub(crate) fn counted(&self) -> impl Iterator<Item = &Archive> {
        let ids = self.inventory.iter().flat_map(|(_, ids)| ids);
        ids.filter_map(|id| self.archives.get(id))
    }
}
