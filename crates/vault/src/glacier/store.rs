//! The client of one vault: how it is made, and what every call of it has in common.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_glacier::Client;
use aws_sdk_glacier::config::retry::RetryConfig;
use aws_sdk_glacier::config::timeout::TimeoutConfig;
use aws_sdk_glacier::config::{BehaviorVersion, Builder, Config, Region, SharedCredentialsProvider};
use aws_sdk_glacier::operation::describe_vault::DescribeVaultOutput;
use chrono::{DateTime, SubsecRound as _, Utc};

use super::index::Index;
use crate::clock::SeenClock;
use crate::pace::Slowest;
use crate::s3::bound::{ANSWER_BYTES_MAX, Bound};
use crate::s3::clock::Watch;
use crate::s3::fault::Fault;
use crate::secret::renewed;
use crate::settings::Settings;
use crate::{Result, VaultError};

/// Tries of one call.
const ATTEMPTS: u32 = 8;
/// The first wait between them, doubled each time and shortened by chance.
const FIRST_WAIT: Duration = Duration::from_millis(400);
const LONGEST_WAIT: Duration = Duration::from_secs(20);
const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// One try of a call that carries no object.
const CALL_WAIT: Duration = Duration::from_secs(60);
/// "Of the account whose credentials these are."
const ACCOUNT: &str = "-";

/// One vault.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) client: Client,
    pub(super) vault: String,
    pub(super) index: Index,
    pub(super) part_bytes: u64,
    pub(super) parallel_parts: usize,
    /// Shorter archives are asked for by whoever wants to read them.
    pub(super) small_bytes: u64,
    slowest: Slowest,
    clock: Arc<SeenClock>,
}

impl Store {
    pub(super) fn new(settings: &Settings, vault: &str) -> Result<Store> {
        let folder = settings.check_glacier()?;
        let credentials = renewed::provider(settings)?;
        let clock = Arc::new(SeenClock::default());
        let config = config(settings, credentials)
            .interceptor(Watch(Arc::clone(&clock)))
            .interceptor(Bound { most: ANSWER_BYTES_MAX });
        Ok(Store {
            client: Client::from_conf(config.build()),
            vault: vault.to_owned(),
            index: Index::open(folder, vault)?,
            part_bytes: settings.part_bytes,
            parallel_parts: settings.parallel_parts,
            small_bytes: settings.archive_from_bytes,
            slowest: Slowest::new(settings.parallel_parts, None),
            clock,
        })
    }

    /// A change of one call: how long one try of sending `bytes` may take.
    pub(super) fn patience(&self, bytes: u64) -> Builder {
        waiting(CALL_WAIT + self.slowest.wait(bytes))
    }

    pub(super) async fn describe(&self) -> Result<DescribeVaultOutput> {
        let asked = self.client.describe_vault().account_id(ACCOUNT).vault_name(&self.vault).send().await;
        asked.map_err(|error| {
            Fault::from(error).into_error("look for the vault", &self.vault, "glacier:DescribeVault")
        })
    }

    /// The provider's time, from an answer that it gives now.
    pub(super) async fn ask_clock(&self) -> Result<DateTime<Utc>> {
        self.describe().await?;
        self.clock_now()
    }

    /// The provider's time, by the answers it gave so far.
    pub(super) fn clock_now(&self) -> Result<DateTime<Utc>> {
        self.clock.now().ok_or_else(|| unanswered("read the store's clock", "the store's answer has no date"))
    }

    /// The same in whole seconds, rounded down: what an archive made from now on is at least as young as.
    pub(super) fn stored_now(&self) -> Result<DateTime<Utc>> {
        Ok(self.clock_now()?.trunc_subsecs(0))
    }
}

/// An answer that lacks something.
pub(super) fn unanswered(step: &str, what: &'static str) -> VaultError {
    VaultError::Unreachable { step: step.to_owned(), source: io::Error::other(what) }
}

/// A date as Glacier writes it, in whole seconds.
pub(super) fn date(text: Option<&str>) -> Option<DateTime<Utc>> {
    Some(DateTime::parse_from_rfc3339(text?).ok()?.to_utc().trunc_subsecs(0))
}

fn waiting(longest: Duration) -> Builder {
    let wait =
        TimeoutConfig::builder().connect_timeout(CONNECT_WAIT).operation_attempt_timeout(longest).build();
    Config::builder().timeout_config(wait)
}

fn config(settings: &Settings, credentials: SharedCredentialsProvider) -> Builder {
    let retries = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(FIRST_WAIT)
        .with_max_backoff(LONGEST_WAIT);
    let region = settings.region.clone().unwrap_or_else(|| "us-east-1".to_owned());
    let config = waiting(CALL_WAIT)
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(credentials)
        .retry_config(retries);
    match &settings.endpoint {
        Some(endpoint) => config.endpoint_url(endpoint),
        None => config,
    }
}
