//! What the server holds: users, buckets, versions, unfinished uploads.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};

use crate::access::Statement;
use crate::attributes::Attributes;
use crate::checksum::Checksum;
use crate::multipart::Upload;
use crate::restore::Thaw;
use crate::retention::DefaultRetention;
use crate::segments::Segments;

/// The two halves of a user's credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Access key id.
    pub access: String,
    /// Secret access key.
    pub secret: String,
}

/// Whether a bucket keeps old versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Versioning {
    /// Never was on.
    #[default]
    Off,
    /// Every put makes a version.
    Enabled,
    /// Old versions are kept, new ones replace each other.
    Suspended,
}

/// Someone with a key.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) secret: String,
    /// What must come with the key, for credentials that run out.
    pub(crate) token: Option<Token>,
    pub(crate) statements: Vec<Statement>,
}

/// A session token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    Good(String),
    Expired,
}

/// A version of an object, or a delete marker.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    /// `null` for what was put without versioning.
    pub(crate) id: String,
    /// Grows with every version of the whole server.
    pub(crate) serial: u64,
    pub(crate) is_marker: bool,
    pub(crate) modified: DateTime<Utc>,
    pub(crate) etag: String,
    pub(crate) attributes: Attributes,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) data: Segments,
    pub(crate) thaw: Option<Thaw>,
}

/// A bucket as it is held.
#[derive(Debug)]
pub(crate) struct Shelf {
    pub(crate) created: DateTime<Utc>,
    pub(crate) versioning: Versioning,
    /// None: no object lock. Some(None): locks, but none by default.
    pub(crate) lock: Option<Option<DefaultRetention>>,
    pub(crate) policy: Option<(String, Vec<Statement>)>,
    /// Documents that are kept as they came: lifecycle, encryption.
    pub(crate) documents: BTreeMap<&'static str, String>,
    /// Oldest version first.
    pub(crate) objects: BTreeMap<String, Vec<Version>>,
    pub(crate) uploads: BTreeMap<String, Upload>,
}

impl Shelf {
    pub(crate) fn current(&self, key: &str) -> Option<&Version> {
        self.objects.get(key)?.last()
    }

    /// Takes a version away, and the key with its last one.
    pub(crate) fn remove(&mut self, key: &str, id: &str) -> Option<Version> {
        let versions = self.objects.get_mut(key)?;
        let place = versions.iter().position(|version| version.id == id)?;
        let removed = versions.remove(place);
        if versions.is_empty() {
            self.objects.remove(key);
        }
        Some(removed)
    }

    /// Serial numbers of the newest so many versions.
    pub(crate) fn newest(&self, count: usize) -> HashSet<u64> {
        let mut serials: Vec<u64> = self.objects.values().flatten().map(|version| version.serial).collect();
        serials.sort_unstable();
        serials.into_iter().rev().take(count).collect()
    }
}

/// Everything.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) buckets: BTreeMap<String, Shelf>,
    serial: u64,
}

impl Store {
    pub(crate) fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// An id that looks like those of AWS: opaque, and not in the order of time.
    pub(crate) fn next_id(&mut self) -> String {
        let mut state = self.next_serial();
        let mut word = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        };
        format!("{:016x}{:016x}", word(), word())
    }
}
