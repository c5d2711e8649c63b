//! What a bucket tells about itself. Only questions: nothing is changed to find out.

use aws_sdk_s3::config::Builder;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_bucket_encryption::GetBucketEncryptionOutput;
use aws_sdk_s3::operation::get_object_lock_configuration::GetObjectLockConfigurationOutput;
use aws_sdk_s3::operation::get_public_access_block::GetPublicAccessBlockOutput;
use aws_sdk_s3::types::{
    BucketVersioningStatus, ExpirationStatus, LifecycleRule as AwsRule, ObjectLockEnabled,
    ObjectLockRetentionMode,
};
use chrono::Utc;

use super::fault::{Fault, plain};
use super::store::{Store, waiting};
use crate::Inspection;
use crate::inspection::{
    Bucket, Encryption, Fact, LifecycleRule, ObjectLock, Obstacle, ObstacleKind, Strength, Support,
    Versioning, When,
};

/// Tries of one question, each no longer than this: somebody sits and waits.
const ATTEMPTS: u32 = 2;
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(15);
/// AWS counts a year of a default lock so.
const YEAR_DAYS: u32 = 365;
/// Protections against public access, in the order in which a provider lists them.
const PROTECTIONS: [&str; 4] =
    ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];

/// The change that makes a call a question.
pub(super) fn asking() -> Builder {
    waiting(PATIENCE).retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
}

impl Store {
    pub(super) async fn inspect(&self) -> Inspection {
        // A GET, because an answer to HEAD has no room for a reason.
        let asked = self.client.get_bucket_versioning().bucket(&self.bucket);
        let versioning = asked.customize().config_override(asking()).send().await;
        let versioning = match versioning.map_err(Fault::from) {
            Err(fault) if obstacle(&fault).is_some() => return unusable(&fault),
            Ok(answer) => Fact::Seen(match answer.status() {
                Some(BucketVersioningStatus::Enabled) => Versioning::Enabled,
                Some(BucketVersioningStatus::Suspended) => Versioning::Suspended,
                _ => Versioning::Off,
            }),
            Err(fault) => refused(&fault, "s3:GetBucketVersioning"),
        };
        let clock_ahead = self.clock_now().ok().map(|there| there - Utc::now());
        Inspection::Bucket(Box::new(Bucket {
            clock_ahead,
            versioning,
            object_lock: self.ask_object_lock().await,
            // Every put locks its object with the right that this takes.
            locks_move: Fact::Seen(Support::Possible),
            lifecycle: self.ask_lifecycle().await,
            encryption: self.ask_encryption().await,
            public_access_open: self.ask_public_access().await,
            policy_is_public: self.ask_policy_status().await,
            destructive: self.destructive_rights().await,
            needed: self.needed_rights().await,
        }))
    }

    async fn ask_object_lock(&self) -> Fact<ObjectLock> {
        let call = self.client.get_object_lock_configuration().bucket(&self.bucket);
        let answer = call.customize().config_override(asking()).send().await;
        told(
            answer,
            "s3:GetBucketObjectLockConfiguration",
            "ObjectLockConfigurationNotFoundError",
            |answer| Some(answer.map_or(ObjectLock::Absent, |answer| object_lock(&answer))),
        )
    }

    async fn ask_lifecycle(&self) -> Fact<Vec<LifecycleRule>> {
        let call = self.client.get_bucket_lifecycle_configuration().bucket(&self.bucket);
        let answer = call.customize().config_override(asking()).send().await;
        let place = self.place();
        told(answer, "s3:GetLifecycleConfiguration", "NoSuchLifecycleConfiguration", |answer| {
            let rules = answer.as_ref().map(|answer| answer.rules()).unwrap_or_default();
            Some(rules.iter().filter_map(|found| rule(found, &place)).collect())
        })
    }

    async fn ask_encryption(&self) -> Fact<Encryption> {
        let call = self.client.get_bucket_encryption().bucket(&self.bucket);
        let answer = call.customize().config_override(asking()).send().await;
        let none = "ServerSideEncryptionConfigurationNotFoundError";
        told(answer, "s3:GetEncryptionConfiguration", none, |answer| {
            answer.map_or(Some(Encryption::Provider), |answer| encryption(&answer))
        })
    }

    async fn ask_public_access(&self) -> Fact<Vec<&'static str>> {
        let call = self.client.get_public_access_block().bucket(&self.bucket);
        let answer = call.customize().config_override(asking()).send().await;
        let none = "NoSuchPublicAccessBlockConfiguration";
        told(answer, "s3:GetBucketPublicAccessBlock", none, |answer| {
            Some(answer.as_ref().map_or_else(|| PROTECTIONS.to_vec(), open_doors))
        })
    }

    async fn ask_policy_status(&self) -> Fact<bool> {
        let call = self.client.get_bucket_policy_status().bucket(&self.bucket);
        let answer = call.customize().config_override(asking()).send().await;
        told(answer, "s3:GetBucketPolicyStatus", "NoSuchBucketPolicy", |answer| {
            answer.map_or(Some(false), |answer| answer.policy_status().and_then(|status| status.is_public()))
        })
    }
}

/// An answer as a fact. The error `none` says that nothing is set, which is an answer too; an answer in which the fact is not is none.
fn told<T, E, U>(
    answer: Result<T, SdkError<E, HttpResponse>>,
    permission: &'static str,
    none: &str,
    read: impl FnOnce(Option<T>) -> Option<U>,
) -> Fact<U>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match answer.map_err(Fault::from) {
        Ok(answer) => read(Some(answer)).map_or_else(silent, Fact::Seen),
        Err(fault) if fault.status == Some(404) && fault.code == none => {
            read(None).map_or_else(silent, Fact::Seen)
        }
        Err(fault) => refused(&fault, permission),
    }
}

fn silent<T>() -> Fact<T> {
    Fact::Unanswered { why: "the answer does not say it".to_owned() }
}

fn refused<T>(fault: &Fault, permission: &'static str) -> Fact<T> {
    match fault.status {
        Some(401 | 403) => Fact::Hidden { permission },
        _ => Fact::Unanswered { why: fault.seen() },
    }
}

/// Why nothing else need be asked; none if the fault is about this one question.
fn obstacle(fault: &Fault) -> Option<ObstacleKind> {
    match (fault.status, fault.code.as_str()) {
        (None | Some(500..), code) if code != "NotImplemented" => Some(ObstacleKind::NoAnswer),
        (_, "NoSuchBucket") => Some(ObstacleKind::NoBucket),
        (Some(301 | 307), _)
        | (_, "AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException") => {
            Some(ObstacleKind::OtherRegion)
        }
        (_, "RequestTimeTooSkewed") => Some(ObstacleKind::Clock),
        (_, "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken" | "InvalidToken")
        | (Some(401), _) => Some(ObstacleKind::BadCredentials),
        // Something that speaks HTTP and not S3.
        (Some(404 | 200..=299), "") => Some(ObstacleKind::NoAnswer),
        _ => None,
    }
}

fn unusable(fault: &Fault) -> Inspection {
    let kind = obstacle(fault).unwrap_or(ObstacleKind::NoAnswer);
    Inspection::Unusable(Obstacle { kind, seen: fault.seen() })
}

fn number(days: Option<i32>) -> Option<u32> {
    days.map(|days| u32::try_from(days).unwrap_or_default())
}

fn object_lock(answer: &GetObjectLockConfigurationOutput) -> ObjectLock {
    let Some(found) = answer.object_lock_configuration() else { return ObjectLock::Absent };
    if found.object_lock_enabled() != Some(&ObjectLockEnabled::Enabled) {
        return ObjectLock::Absent;
    }
    let Some(default) = found.rule().and_then(|rule| rule.default_retention()) else {
        return ObjectLock::NoDefault;
    };
    let years = number(default.years()).map(|years| years.saturating_mul(YEAR_DAYS));
    match (default.mode(), number(default.days()).or(years)) {
        (Some(mode), Some(days)) => {
            let strength = match mode {
                ObjectLockRetentionMode::Compliance => Strength::Compliance,
                _ => Strength::Governance,
            };
            ObjectLock::Default { strength, days }
        }
        _ => ObjectLock::NoDefault,
    }
}

/// A rule that is in force and can meet an object whose key begins with `place`.
fn rule(found: &AwsRule, place: &str) -> Option<LifecycleRule> {
    if found.status() == &ExpirationStatus::Disabled {
        return None;
    }
    let (filter, and) = (found.filter(), found.filter().and_then(|filter| filter.and()));
    #[allow(deprecated, reason = "old rules name their prefix outside of a filter")]
    let old = found.prefix();
    let prefix = old
        .or_else(|| filter.and_then(|filter| filter.prefix()))
        .or_else(|| and.and_then(|and| and.prefix()))
        .unwrap_or_default();
    let is_narrow = and.is_some()
        || filter.is_some_and(|filter| {
            filter.tag().is_some()
                || filter.object_size_greater_than().is_some()
                || filter.object_size_less_than().is_some()
        });
    let meets_all = place.starts_with(prefix);
    if !meets_all && !prefix.starts_with(place) {
        return None;
    }
    let when = |days: Option<i32>, on_date: bool| {
        number(days).map(When::Days).or_else(|| on_date.then_some(When::OnDate))
    };
    let expiration = found.expiration();
    let noncurrent = found.noncurrent_version_expiration();
    let now = found
        .transitions()
        .iter()
        .map(|one| (when(one.days(), true), one.storage_class().map(|class| class.as_str())));
    let replaced = found
        .noncurrent_version_transitions()
        .iter()
        .map(|one| (when(one.noncurrent_days(), true), one.storage_class().map(|class| class.as_str())));
    let moved =
        |(when, class): (Option<When>, Option<&str>)| Some((when?, plain(class.unwrap_or("another class"))));
    let aborts =
        found.abort_incomplete_multipart_upload().and_then(|abort| number(abort.days_after_initiation()));
    Some(LifecycleRule {
        id: plain(found.id().unwrap_or("without a name")),
        expires: expiration.and_then(|one| when(one.days(), one.date().is_some())),
        expires_noncurrent: noncurrent.and_then(|one| when(one.noncurrent_days(), true)),
        transitions: now.chain(replaced).filter_map(moved).collect(),
        aborts_after_days: aborts.filter(|_| meets_all && !is_narrow),
    })
}

/// Under whose key; none if the answer does not say. A key that the provider keeps for everybody is its own.
fn encryption(answer: &GetBucketEncryptionOutput) -> Option<Encryption> {
    let rules = answer.server_side_encryption_configuration()?.rules();
    let defaults = rules.iter().filter_map(|rule| rule.apply_server_side_encryption_by_default());
    let mut keys = defaults
        .filter(|default| default.sse_algorithm().as_str().starts_with("aws:kms"))
        .filter_map(|default| default.kms_master_key_id());
    let own = keys.find(|key| !key.is_empty() && !key.ends_with("alias/aws/s3"));
    Some(own.map_or(Encryption::Provider, |key| Encryption::CustomerKey(plain(key))))
}

fn open_doors(answer: &GetPublicAccessBlockOutput) -> Vec<&'static str> {
    let Some(found) = answer.public_access_block_configuration() else { return PROTECTIONS.to_vec() };
    let on = [
        found.block_public_acls(),
        found.ignore_public_acls(),
        found.block_public_policy(),
        found.restrict_public_buckets(),
    ];
    PROTECTIONS.iter().zip(on).filter(|(_, on)| *on != Some(true)).map(|(name, _)| *name).collect()
}
