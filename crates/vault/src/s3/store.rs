//! The client of one bucket: how it is made, and what every call of it has in common.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Config, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedCredentialsProvider,
};
use aws_sdk_s3::primitives::SdkBody;
use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::bound::{ANSWER_BYTES_MAX, Bound};
use super::clock::Watch;
use super::fault::Fault;
use crate::clock::SeenClock;
use crate::pace::{Pace, Slowest};
use crate::secret::renewed;
use crate::settings::{Settings, StorageClass};
use crate::{ObjectFolder, ObjectName, Result, VaultError};

/// Tries of one call.
const ATTEMPTS: u32 = 8;
/// The first wait between them, doubled each time and shortened by chance.
const FIRST_WAIT: Duration = Duration::from_millis(400);
const LONGEST_WAIT: Duration = Duration::from_secs(20);
const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// One try of a call that carries no object.
const CALL_WAIT: Duration = Duration::from_secs(60);
/// One try of the call that puts the parts together, on which a provider may work for minutes.
pub(super) const COMPLETE_WAIT: Duration = Duration::from_secs(600);
/// Longest key.
const KEY_BYTES: usize = 1_024;

/// One bucket, or the part of it under a prefix.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) client: Client,
    pub(super) bucket: String,
    /// Before every name: empty, or with `/` at its end.
    pub(super) prefix: String,
    class: StorageClass,
    archive_from_bytes: u64,
    pub(super) part_bytes: u64,
    pub(super) parallel_parts: usize,
    pace: Option<Arc<Pace>>,
    slowest: Slowest,
    pub(super) clock: Arc<SeenClock>,
    /// This provider does not answer GetObjectRetention.
    pub(super) retention_by_head: AtomicBool,
}

impl Store {
    pub(super) fn new(settings: &Settings, bucket: &str, prefix: &str) -> Result<Store> {
        settings.check_s3()?;
        let credentials = renewed::provider(settings)?;
        let clock = Arc::new(SeenClock::default());
        let config = config(settings, credentials)
            .interceptor(Watch(Arc::clone(&clock)))
            .interceptor(Bound { most: ANSWER_BYTES_MAX });
        Ok(Store {
            client: Client::from_conf(config.build()),
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            class: settings.class(),
            archive_from_bytes: settings.archive_from_bytes,
            part_bytes: settings.part_bytes,
            parallel_parts: settings.parallel_parts,
            slowest: Slowest::new(settings.parallel_parts, settings.upload_bytes_per_second),
            pace: settings.upload_bytes_per_second.map(|rate| Arc::new(Pace::new(rate))),
            clock,
            retention_by_head: AtomicBool::new(false),
        })
    }

    /// The provider's time, from an answer that it gives now. Not HEAD: a refusal without a body does not say that this machine's clock is wrong,
    /// and so the SDK could not sign again by the right one.
    pub(super) async fn ask_clock(&self) -> Result<DateTime<Utc>> {
        let asked = self.client.list_objects_v2().bucket(&self.bucket).max_keys(1).send().await;
        asked.map_err(|error| {
            Fault::from(error).into_error("look for the bucket", &self.bucket, "s3:ListBucket")
        })?;
        self.clock_now()
    }

    /// The provider's time, by the answers it gave so far.
    pub(super) fn clock_now(&self) -> Result<DateTime<Utc>> {
        self.clock.now().ok_or_else(|| {
            let source = std::io::Error::other("the store's answer has no date");
            VaultError::Unreachable { step: "read the store's clock".to_owned(), source }
        })
    }

    pub(super) fn key(&self, name: &ObjectName) -> Result<String> {
        let key = format!("{}{name}", self.prefix);
        if key.len() > KEY_BYTES {
            return Err(VaultError::Setting {
                key: "url",
                what: format!("has a prefix too long for {name}"),
            });
        }
        Ok(key)
    }

    /// What all keys in `folder` begin with.
    pub(super) fn folder(&self, folder: &ObjectFolder) -> String {
        format!("{}{}", self.prefix, folder.as_str())
    }

    /// The name of an object from its key; none if a vault put nothing under such a key.
    pub(super) fn name(&self, key: &str) -> Option<ObjectName> {
        key.strip_prefix(&self.prefix)?.parse().ok()
    }

    /// What an object of this length is stored as.
    pub(super) fn class(&self, bytes: u64) -> aws_sdk_s3::types::StorageClass {
        let class = match self.class {
            class if class.is_archive() && bytes < self.archive_from_bytes => StorageClass::Standard,
            class => class,
        };
        class.as_str().into()
    }

    /// Bytes on their way out, no faster than allowed. The copies that retries take share them.
    pub(super) fn body(&self, bytes: Bytes) -> SdkBody {
        match &self.pace {
            Some(pace) => {
                let pace = Arc::clone(pace);
                SdkBody::retryable(move || SdkBody::from_body_1_x(pace.body(bytes.clone())))
            }
            None => SdkBody::from(bytes),
        }
    }

    /// A change of one call: how long one try of sending `bytes` may take.
    pub(super) fn patience(&self, bytes: u64) -> Builder {
        waiting(CALL_WAIT + self.slowest.wait(bytes))
    }
}

/// A change of one call: how long one try of it may take.
pub(super) fn waiting(longest: Duration) -> Builder {
    let wait =
        TimeoutConfig::builder().connect_timeout(CONNECT_WAIT).operation_attempt_timeout(longest).build();
    Config::builder().timeout_config(wait)
}

pub(super) fn config(settings: &Settings, credentials: SharedCredentialsProvider) -> Builder {
    let retries = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(FIRST_WAIT)
        .with_max_backoff(LONGEST_WAIT);
    let region = settings.region.clone().unwrap_or_else(|| "us-east-1".to_owned());
    let mut config = waiting(CALL_WAIT)
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(credentials)
        .force_path_style(settings.path_style)
        .retry_config(retries)
        // Every upload names its own checksum; whoever fetches knows the hash.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    if let Some(endpoint) = &settings.endpoint {
        config = config.endpoint_url(endpoint);
    }
    config
}
