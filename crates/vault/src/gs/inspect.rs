//! What a bucket tells about itself. Only questions: nothing is changed to find out.

use std::collections::BTreeSet;

use chrono::Utc;
use reqwest::Method;
use serde::Deserialize;

use super::client::Call;
use super::fault::Fault;
use super::store::Store;
use crate::inspection::{
    Access, Bucket, Encryption, Fact, LifecycleRule, ObjectLock, Obstacle, ObstacleKind, Strength, Support,
    Versioning, When,
};
use crate::{Inspection, VaultError};

const DAY_SECONDS: u64 = 86_400;
/// Google itself forgets an upload that does not end.
const UPLOAD_DAYS: u32 = 7;
/// What reading the bucket needs.
const READ: &str = "storage.buckets.get";
/// What a vault needs, beside the right to read its bucket.
const NEEDED: [&str; 3] = ["storage.objects.create", "storage.objects.get", "storage.objects.list"];
/// Without these no lock is moved to a later date.
const LOCKING: [&str; 2] = ["storage.objects.setRetention", "storage.objects.update"];
const FIELDS: &str = "retentionPolicy,objectRetention,lifecycle,encryption,iamConfiguration";

/// A bucket, as far as it is asked about.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Resource {
    retention_policy: Option<RetentionPolicy>,
    object_retention: Option<ObjectRetention>,
    lifecycle: Lifecycle,
    encryption: Option<Key>,
    iam_configuration: Iam,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RetentionPolicy {
    retention_period: String,
    is_locked: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ObjectRetention {
    mode: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Key {
    default_kms_key_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Iam {
    public_access_prevention: String,
    uniform_bucket_level_access: Uniform,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Uniform {
    enabled: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Lifecycle {
    rule: Vec<Rule>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Rule {
    action: Action,
    condition: Condition,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Action {
    #[serde(rename = "type")]
    kind: String,
    storage_class: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Condition {
    age: Option<u32>,
    is_live: Option<bool>,
    matches_prefix: Vec<String>,
}

impl Store {
    pub(super) async fn inspect(&self, destructive: &[&'static str]) -> Inspection {
        let read = Call::new(Method::GET, self.bucket_url(&[("fields", FIELDS)]));
        let found = self.client.ask(&read).await.and_then(|answer| answer.document::<Resource>());
        let found = match found {
            Ok(found) => Some(found),
            Err(fault) if fault.status == Some(403) => None,
            Err(fault) => return unusable(&fault),
        };
        let rights = self.rights(&[destructive, &NEEDED, &LOCKING].concat()).await;
        let clock_ahead = self.clock_now().ok().map(|there| there - Utc::now());
        Inspection::Bucket(Box::new(Bucket {
            clock_ahead,
            // Where nothing that is locked can be replaced, there is nothing to keep a version of.
            versioning: Fact::Seen(Versioning::NotNeeded),
            object_lock: told(found.as_ref(), object_lock),
            locks_move: self.locks_move().await,
            lifecycle: told(found.as_ref(), |found| rules(&found.lifecycle.rule, self)),
            encryption: told(found.as_ref(), encryption),
            public_access_open: told(found.as_ref(), open_doors),
            policy_is_public: match &found {
                Some(found) if found.iam_configuration.public_access_prevention == "enforced" => {
                    Fact::Seen(false)
                }
                _ => Fact::Hidden { permission: "storage.buckets.getIamPolicy" },
            },
            destructive: destructive.iter().map(|right| (*right, right_of(&rights, right))).collect(),
            needed: NEEDED.iter().map(|right| (*right, right_of(&rights, right))).collect(),
        }))
    }

    /// Whether the lock of an object can be moved to a later date: if the bucket takes locks of objects, and the account may set them.
    pub(super) async fn locks_move(&self) -> Fact<Support> {
        if let Some(known) = self.locks_move.get() {
            return Fact::Seen(*known);
        }
        let takes_locks = match self.policy().await {
            Ok(policy) => policy.takes_object_locks,
            // Who may not look at the bucket can still lock each object.
            Err(VaultError::Denied { .. }) => true,
            Err(error) => return Fact::Unanswered { why: error.to_string() },
        };
        let may_lock = match self.rights(&LOCKING).await {
            Ok(rights) => LOCKING.into_iter().all(|right| rights.contains(right)),
            Err(fault) => return Fact::Unanswered { why: fault.text() },
        };
        let found = if takes_locks && may_lock { Support::Possible } else { Support::Absent };
        Fact::Seen(*self.locks_move.get_or_init(|| found))
    }

    /// Which of these permissions Google says that the asker has.
    async fn rights(&self, asked: &[&'static str]) -> Result<BTreeSet<String>, Fault> {
        #[derive(Deserialize)]
        struct Has {
            #[serde(default)]
            permissions: BTreeSet<String>,
        }
        let query: Vec<(&str, &str)> = asked.iter().map(|right| ("permissions", *right)).collect();
        let url = self.url(&["storage", "v1", "b", &self.bucket, "iam", "testPermissions"], &query);
        let answer = self.client.ask(&Call::new(Method::GET, url)).await?;
        Ok(answer.document::<Has>()?.permissions)
    }
}

fn right_of(rights: &Result<BTreeSet<String>, Fault>, right: &str) -> Fact<Access> {
    match rights {
        Ok(rights) if rights.contains(right) => Fact::Seen(Access::Granted),
        Ok(_) => Fact::Seen(Access::Refused),
        Err(fault) => Fact::Unanswered { why: fault.text() },
    }
}

fn told<T>(found: Option<&Resource>, read: impl FnOnce(&Resource) -> T) -> Fact<T> {
    found.map_or(Fact::Hidden { permission: READ }, |found| Fact::Seen(read(found)))
}

fn unusable(fault: &Fault) -> Inspection {
    let kind = match fault.status {
        Some(401) => ObstacleKind::BadCredentials,
        Some(404) => ObstacleKind::NoBucket,
        _ => ObstacleKind::NoAnswer,
    };
    Inspection::Unusable(Obstacle { kind, seen: fault.text() })
}

fn object_lock(found: &Resource) -> ObjectLock {
    let default = found.retention_policy.as_ref().and_then(|policy| {
        let seconds: u64 = policy.retention_period.parse().ok()?;
        let strength = if policy.is_locked { Strength::Compliance } else { Strength::Governance };
        Some(ObjectLock::Default { strength, days: u32::try_from(seconds / DAY_SECONDS).unwrap_or(u32::MAX) })
    });
    let locks = found.object_retention.as_ref().is_some_and(|locks| locks.mode == "Enabled");
    default.unwrap_or(if locks { ObjectLock::NoDefault } else { ObjectLock::Absent })
}

fn encryption(found: &Resource) -> Encryption {
    let key = found.encryption.as_ref().and_then(|key| key.default_kms_key_name.clone());
    key.map_or(Encryption::Provider, Encryption::CustomerKey)
}

fn open_doors(found: &Resource) -> Vec<&'static str> {
    let iam = &found.iam_configuration;
    let doors = [
        ("publicAccessPrevention", iam.public_access_prevention != "enforced"),
        ("uniformBucketLevelAccess", !iam.uniform_bucket_level_access.enabled),
    ];
    doors.into_iter().filter(|(_, is_open)| *is_open).map(|(name, _)| name).collect()
}

/// The rules that can meet an object of this vault, and Google's own about uploads.
fn rules(rules: &[Rule], store: &Store) -> Vec<LifecycleRule> {
    let meets = |rule: &&Rule| {
        let prefixes = &rule.condition.matches_prefix;
        let place = store.prefix.as_str();
        prefixes.is_empty() || prefixes.iter().any(|one| place.starts_with(one) || one.starts_with(place))
    };
    let own = LifecycleRule {
        id: "unfinished uploads".to_owned(),
        aborts_after_days: Some(UPLOAD_DAYS),
        ..LifecycleRule::default()
    };
    rules.iter().filter(meets).map(rule).chain([own]).collect()
}

fn rule(rule: &Rule) -> LifecycleRule {
    let when = rule.condition.age.map_or(When::OnDate, When::Days);
    let mut told = LifecycleRule { id: rule.action.kind.clone(), ..LifecycleRule::default() };
    match rule.action.kind.as_str() {
        "Delete" if rule.condition.is_live == Some(false) => told.expires_noncurrent = Some(when),
        "Delete" => told.expires = Some(when),
        "SetStorageClass" => told.transitions.push((when, rule.action.storage_class.clone())),
        _ => {}
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(text: &str) -> Resource {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_bucket_is_told_as_it_says_it() {
        let good = resource(
            r#"{"retentionPolicy":{"retentionPeriod":"7948800","isLocked":true},"objectRetention":{"mode":"Enabled"},
                "iamConfiguration":{"publicAccessPrevention":"enforced","uniformBucketLevelAccess":{"enabled":true}}}"#,
        );
        assert_eq!(object_lock(&good), ObjectLock::Default { strength: Strength::Compliance, days: 92 });
        assert_eq!((encryption(&good), open_doors(&good)), (Encryption::Provider, vec![]));
        let open = resource(
            r#"{"retentionPolicy":{"retentionPeriod":"86400"},"encryption":{"defaultKmsKeyName":"k"}}"#,
        );
        assert_eq!(object_lock(&open), ObjectLock::Default { strength: Strength::Governance, days: 1 });
        assert_eq!(encryption(&open), Encryption::CustomerKey("k".to_owned()));
        assert_eq!(open_doors(&open).len(), 2);
        assert_eq!(
            object_lock(&resource(r#"{"objectRetention":{"mode":"Enabled"}}"#)),
            ObjectLock::NoDefault
        );
        assert_eq!(object_lock(&resource("{}")), ObjectLock::Absent);
    }

    #[test]
    fn a_rule_that_removes_or_moves_is_told() {
        let found = resource(
            r#"{"lifecycle":{"rule":[{"action":{"type":"Delete"},"condition":{"age":30}},
                {"action":{"type":"Delete"},"condition":{"isLive":false}},
                {"action":{"type":"SetStorageClass","storageClass":"ARCHIVE"},"condition":{"age":5}}]}}"#,
        );
        let [expires, noncurrent, moves] = [0, 1, 2].map(|number| rule(&found.lifecycle.rule[number]));
        assert_eq!(expires.expires, Some(When::Days(30)));
        assert_eq!((noncurrent.expires, noncurrent.expires_noncurrent), (None, Some(When::OnDate)));
        assert_eq!(moves.transitions, [(When::Days(5), "ARCHIVE".to_owned())]);
    }
}
