//! What a test does to the server, and sees of it, without HTTP.

use std::sync::atomic::Ordering;

use chrono::{DateTime, TimeDelta, Utc};

use crate::fault::{Fault, Times};
use crate::locks::LockState;
use crate::policy::Policy;
use crate::server::FakeGlacier;
use crate::store::{User, VaultShelf};

/// What a user signs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The access key.
    pub access: String,
    /// The secret key.
    pub secret: String,
}

/// An archive as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveInfo {
    /// Its id.
    pub id: String,
    /// What its uploader wrote on it.
    pub description: String,
    /// Its length.
    pub bytes: u64,
    /// When it was made.
    pub created: DateTime<Utc>,
}

impl FakeGlacier {
    /// Makes an empty vault without a lock.
    pub fn add_vault(&self, name: &str) {
        self.house.store().vaults.insert(name.to_owned(), VaultShelf::new(self.now()));
    }

    /// Gives a vault this lock. False for a policy that this server does not enforce, or without the vault.
    pub fn lock_vault(&self, name: &str, state: LockState, policy: &str) -> bool {
        let mut store = self.house.store();
        match (store.vaults.get_mut(name), Policy::read(policy)) {
            (Some(shelf), Some(policy)) => {
                shelf.lock = Some((state, policy, String::new()));
                true
            }
            _ => false,
        }
    }

    /// Takes a vault's lock away, as no one can. False without the vault.
    pub fn unlock_vault(&self, name: &str) -> bool {
        self.house.store().vaults.get_mut(name).map(|shelf| shelf.lock = None).is_some()
    }

    /// Makes a user who may do these: `glacier:UploadArchive`, or the beginning of a name and `*`.
    pub fn add_user(&self, name: &str, actions: &[&str]) -> Key {
        let mut store = self.house.store();
        let access = format!("AKIA{}", store.next_id("access").to_uppercase().get(..16).unwrap_or_default());
        let secret = store.next_id("secret").get(..40).unwrap_or_default().to_owned();
        let actions = actions.iter().map(|action| (*action).to_owned()).collect();
        store.users.insert(access.clone(), User { name: name.to_owned(), secret: secret.clone(), actions });
        Key { access, secret }
    }

    /// The server's time.
    pub fn now(&self) -> DateTime<Utc> {
        self.house.now()
    }

    /// Moves the server's clock forward. Clients' clocks are not held against it any more.
    pub fn advance(&self, by: TimeDelta) {
        self.house.skew_ignored.store(true, Ordering::SeqCst);
        self.house.offset_seconds.fetch_add(by.num_seconds(), Ordering::SeqCst);
    }

    /// Counts the archives of a vault now, as AWS does about once a day.
    pub fn count(&self, vault: &str) {
        let now = self.now();
        if let Some(shelf) = self.house.store().vaults.get_mut(vault) {
            shelf.count_now(now);
        }
    }

    /// Arms a fault, in place of what was armed of its kind.
    pub fn arm(&self, fault: Fault, times: Times) {
        self.house.faults.arm(fault, times);
    }

    /// How often a fault of this kind struck since it was armed.
    pub fn hits(&self, fault: Fault) -> u64 {
        self.house.faults.hits(fault)
    }

    /// All archives of a vault, in no order.
    pub fn archives(&self, vault: &str) -> Vec<ArchiveInfo> {
        let store = self.house.store();
        let archives = store.vaults.get(vault).map(|shelf| &shelf.archives).into_iter().flatten();
        let info = |(id, archive): (&String, &crate::store::Archive)| ArchiveInfo {
            id: id.clone(),
            description: archive.description.clone(),
            bytes: archive.data.len() as u64,
            created: archive.created,
        };
        archives.map(info).collect()
    }

    /// Descriptions of uploads that are neither complete nor aborted.
    pub fn uploads(&self, vault: &str) -> Vec<String> {
        let store = self.house.store();
        let uploads = store.vaults.get(vault).map(|shelf| &shelf.uploads).into_iter().flatten();
        uploads.map(|(_, upload)| upload.description.clone()).collect()
    }

    /// Tags of a vault.
    pub fn tags(&self, vault: &str) -> Vec<String> {
        let store = self.house.store();
        store.vaults.get(vault).map(|shelf| shelf.tags.keys().cloned().collect()).unwrap_or_default()
    }

    /// Every request so far: operation and status.
    pub fn requests(&self) -> Vec<(String, u16)> {
        self.house.log().clone()
    }
}
