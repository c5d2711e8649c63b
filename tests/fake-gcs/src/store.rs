//! What the server holds: accounts, buckets, generations, unfinished uploads.

use std::collections::{BTreeMap, HashMap};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use crc_fast::CrcAlgorithm::Crc32Iscsi;
use serde_json::{Map, Value, json};

use crate::account::Account;
use crate::document::add;
use crate::retention::Retention;
use crate::session::Session;

/// Whether a bucket keeps old generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Versioning {
    /// What is deleted or replaced is gone.
    #[default]
    Off,
    /// What is deleted or replaced becomes noncurrent.
    Enabled,
}

/// How a bucket is made.
#[derive(Debug, Clone, Default)]
pub struct Bucket {
    /// Objects may have locks of their own.
    pub object_retention: bool,
    /// For how many seconds the bucket keeps each object.
    pub retention_seconds: Option<i64>,
    /// Its policy is locked.
    pub locked: bool,
    /// Whether it keeps old generations.
    pub versioning: Versioning,
}

/// A bucket as it is held.
#[derive(Debug)]
pub(crate) struct Shelf {
    pub(crate) plan: Bucket,
    pub(crate) metageneration: i64,
    /// Documents that are kept as they came: lifecycle.
    pub(crate) documents: Map<String, Value>,
    /// Oldest generation first.
    pub(crate) objects: BTreeMap<String, Vec<Version>>,
}

/// A generation of an object.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) generation: i64,
    pub(crate) metageneration: i64,
    pub(crate) data: Bytes,
    /// As the server tells it.
    pub(crate) crc32c: String,
    pub(crate) class: String,
    pub(crate) content_type: String,
    pub(crate) created: DateTime<Utc>,
    /// When it was deleted or replaced.
    pub(crate) noncurrent: Option<DateTime<Utc>>,
    pub(crate) metadata: Map<String, Value>,
    pub(crate) retention: Option<Retention>,
}

/// Everything.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) accounts: Vec<Account>,
    pub(crate) buckets: BTreeMap<String, Shelf>,
    pub(crate) sessions: HashMap<String, Session>,
    last_generation: i64,
}

/// `2026-11-21T07:26:22.000Z`
pub(crate) fn iso(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// CRC-32C as Google writes it.
pub(crate) fn crc32c(data: &[u8]) -> String {
    let crc = u32::try_from(crc_fast::checksum(Crc32Iscsi, data)).unwrap_or_default();
    STANDARD.encode(crc.to_be_bytes())
}

impl Store {
    /// Microseconds of the clock, and never the same twice.
    pub(crate) fn next_generation(&mut self, now: DateTime<Utc>) -> i64 {
        self.last_generation = now.timestamp_micros().max(self.last_generation + 1);
        self.last_generation
    }
}

impl Shelf {
    pub(crate) fn new(plan: Bucket) -> Self {
        Self { plan, metageneration: 1, documents: Map::new(), objects: BTreeMap::new() }
    }

    pub(crate) fn live(&self, key: &str) -> Option<&Version> {
        self.objects.get(key)?.last().filter(|version| version.noncurrent.is_none())
    }

    /// The generation asked for, or the live one.
    pub(crate) fn version(&self, key: &str, generation: Option<i64>) -> Option<&Version> {
        match generation {
            None => self.live(key),
            Some(number) => self.objects.get(key)?.iter().find(|version| version.generation == number),
        }
    }

    pub(crate) fn version_mut(&mut self, key: &str, generation: i64) -> Option<&mut Version> {
        self.objects.get_mut(key)?.iter_mut().find(|version| version.generation == generation)
    }

    /// Takes a generation away, and the key with its last one.
    pub(crate) fn remove(&mut self, key: &str, generation: i64) -> bool {
        let Some(versions) = self.objects.get_mut(key) else { return false };
        let before = versions.len();
        versions.retain(|version| version.generation != generation);
        let is_gone = versions.len() < before;
        if versions.is_empty() {
            self.objects.remove(key);
        }
        is_gone
    }

    /// Until when nobody may delete it, if that is not over.
    pub(crate) fn held(&self, version: &Version, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let own = version.retention.map(|retention| retention.until);
        own.max(self.expires(version)).filter(|until| *until > now)
    }

    /// Until when the bucket's policy holds it.
    fn expires(&self, version: &Version) -> Option<DateTime<Utc>> {
        let period = TimeDelta::try_seconds(self.plan.retention_seconds?)?;
        version.created.checked_add_signed(period)
    }

    /// An object as the API shows it.
    pub(crate) fn document(&self, bucket: &str, key: &str, version: &Version) -> Value {
        let mut document = json!({
            "kind": "storage#object",
            "id": format!("{bucket}/{key}/{}", version.generation),
            "name": key,
            "bucket": bucket,
            "generation": version.generation.to_string(),
            "metageneration": version.metageneration.to_string(),
            "contentType": version.content_type,
            "storageClass": version.class,
            "size": version.data.len().to_string(),
            "crc32c": version.crc32c,
            "timeCreated": iso(version.created),
            "timeFinalized": iso(version.created),
            "timeStorageClassUpdated": iso(version.created),
            "updated": iso(version.created),
        });
        if !version.metadata.is_empty() {
            add(&mut document, "metadata", version.metadata.clone());
        }
        if let Some(retention) = version.retention {
            add(&mut document, "retention", retention.document());
        }
        if let Some(until) = self.expires(version) {
            add(&mut document, "retentionExpirationTime", iso(until));
        }
        if let Some(at) = version.noncurrent {
            add(&mut document, "timeDeleted", iso(at));
        }
        document
    }
}
