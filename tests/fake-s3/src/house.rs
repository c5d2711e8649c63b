//! What a test sees of the server without HTTP: versions, uploads, damage, the log.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use crate::clock::Clock;
use crate::fault::Faults;
use crate::retention::Mode;
use crate::server::{Options, PayloadHash};
use crate::store::{Store, Version};
use crate::trap::Trap;

/// A request that was answered: method, operation, key (empty for one about a bucket), status. Status 0: the connection was cut instead.
pub type LogLine = (String, String, String, u16);

/// A version as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionInfo {
    /// `null` for what was put without versioning.
    pub version_id: String,
    /// Length of its data in bytes.
    pub size: u64,
    /// Whether it is what a request without a version id gets.
    pub is_latest: bool,
    /// Whether it only hides older versions.
    pub delete_marker: bool,
    /// `STANDARD`, `GLACIER`, ...
    pub storage_class: String,
    /// Its lock.
    pub retention: Option<(Mode, DateTime<Utc>)>,
    /// Whether a legal hold is on.
    pub legal_hold: bool,
    /// Its ETag, without quotes.
    pub etag: String,
    /// When it was put.
    pub modified: DateTime<Utc>,
}

impl VersionInfo {
    pub(crate) fn of(version: &Version, is_latest: bool) -> Self {
        Self {
            version_id: version.id.clone(),
            size: version.data.length(),
            is_latest,
            delete_marker: version.is_marker,
            storage_class: version.attributes.class.clone(),
            retention: version.attributes.retention.map(|retention| (retention.mode, retention.until)),
            legal_hold: version.attributes.hold,
            etag: version.etag.clone(),
            modified: version.modified,
        }
    }
}

/// An upload that is not complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadInfo {
    /// What it will be called.
    pub key: String,
    /// Its id.
    pub upload_id: String,
    /// Numbers and lengths of the parts that are there.
    pub parts: Vec<(usize, u64)>,
    /// When it was created.
    pub initiated: DateTime<Utc>,
}

/// All that the server's threads and its owner share.
#[derive(Debug)]
pub(crate) struct House {
    store: Mutex<Store>,
    log: Mutex<Vec<LogLine>>,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    pub(crate) trap: Trap,
    pub(crate) region: String,
    pub(crate) payload: PayloadHash,
}

impl House {
    pub(crate) fn new(options: Options) -> Self {
        let (store, log) = (Mutex::default(), Mutex::default());
        let Options { region, skew, payload, .. } = options;
        Self {
            store,
            log,
            clock: Clock::new(skew),
            faults: Faults::default(),
            trap: Trap::default(),
            region,
            payload,
        }
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Vec<LogLine>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
