//! What a test does to the server without HTTP.

use std::time::Duration;

use crate::access::Statement;
use crate::bucket::Bucket;
use crate::clock::Clock;
use crate::fault::{Fault, Times};
use crate::house::{LogLine, UploadInfo, VersionInfo};
use crate::server::FakeS3;
use crate::store::{Key, Shelf, Token, User, Version};

impl FakeS3 {
    /// Makes a user who may do what these statements allow and do not deny.
    pub fn add_user(&self, name: &str, statements: Vec<Statement>) -> Key {
        self.add(name, statements, None)
    }

    /// The same with a key that needs a session token, which is given back too.
    pub fn add_session(&self, name: &str, statements: Vec<Statement>) -> (Key, String) {
        let token = self.house.store().next_id();
        (self.add(name, statements, Some(Token::Good(token.clone()))), token)
    }

    /// Lets the session token of a key run out.
    pub fn expire_session(&self, key: &Key) {
        if let Some(user) = self.house.store().users.get_mut(&key.access) {
            user.token = Some(Token::Expired);
        }
    }

    fn add(&self, name: &str, statements: Vec<Statement>, token: Option<Token>) -> Key {
        let mut store = self.house.store();
        let access = format!("AKIA{}", store.next_id().to_uppercase().get(..16).unwrap_or_default());
        let secret =
            format!("{}{}", store.next_id(), store.next_id()).get(..40).unwrap_or_default().to_owned();
        let user = User { name: name.to_owned(), secret: secret.clone(), token, statements };
        store.users.insert(access.clone(), user);
        Key { access, secret }
    }

    /// Makes a user who may do everything that no bucket's policy denies.
    pub fn add_admin(&self) -> Key {
        self.add_user("admin", vec![Statement::allow(&["*"])])
    }

    /// Makes a bucket, or an empty one in its place.
    pub fn add_bucket(&self, name: &str, plan: Bucket) {
        let shelf = Shelf::new(self.house.clock.now(), &plan);
        self.house.store().buckets.insert(name.to_owned(), shelf);
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

    /// Lets `act` happen at the `moment`-th moment from now, while the request waits for it. A request has up to three moments: when its head is
    /// there, when its body is, and when it is done and not yet answered.
    pub fn trap(&self, moment: u64, act: impl FnOnce() + Send + 'static) {
        self.house.trap.set(moment, Box::new(act));
    }

    /// Moments since the trap was set.
    pub fn moments(&self) -> u64 {
        self.house.trap.passed()
    }

    /// All versions of a key, newest first, with delete markers.
    pub fn versions(&self, bucket: &str, key: &str) -> Vec<VersionInfo> {
        let store = self.house.store();
        let versions =
            store.buckets.get(bucket).and_then(|shelf| shelf.objects.get(key)).into_iter().flatten();
        let newest: Vec<&Version> = versions.collect();
        newest.iter().rev().enumerate().map(|(place, version)| VersionInfo::of(version, place == 0)).collect()
    }

    /// All keys that have versions, also those under a delete marker.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let store = self.house.store();
        store.buckets.get(bucket).map(|shelf| shelf.objects.keys().cloned().collect()).unwrap_or_default()
    }

    /// The bytes of a version.
    pub fn data(&self, bucket: &str, key: &str, version_id: &str) -> Option<Vec<u8>> {
        let store = self.house.store();
        let versions = store.buckets.get(bucket)?.objects.get(key)?;
        versions.iter().find(|version| version.id == version_id).map(|version| version.data.to_vec())
    }

    /// Uploads that are neither complete nor aborted.
    pub fn uploads(&self, bucket: &str) -> Vec<UploadInfo> {
        let store = self.house.store();
        let uploads = store.buckets.get(bucket).map(|shelf| &shelf.uploads).into_iter().flatten();
        let uploads = uploads.map(|(id, upload)| UploadInfo {
            key: upload.key.clone(),
            upload_id: id.clone(),
            parts: upload.parts.iter().map(|(number, part)| (*number, part.data.length())).collect(),
            initiated: upload.initiated,
        });
        uploads.collect()
    }

    /// Turns one stored bit over, as a failing disk would. False if there is no such byte.
    pub fn flip_bit(&self, bucket: &str, key: &str, version_id: &str, offset: u64, bit: u8) -> bool {
        let mut store = self.house.store();
        let versions =
            store.buckets.get_mut(bucket).and_then(|shelf| shelf.objects.get_mut(key)).into_iter().flatten();
        let mut found = versions.into_iter().filter(|version| version.id == version_id);
        found.next().is_some_and(|version| version.data.flip(offset, bit))
    }

    /// Takes a version away whatever protects it. False if it is not there.
    pub fn remove_by_force(&self, bucket: &str, key: &str, version_id: &str) -> bool {
        let mut store = self.house.store();
        store.buckets.get_mut(bucket).is_some_and(|shelf| shelf.remove(key, version_id).is_some())
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
