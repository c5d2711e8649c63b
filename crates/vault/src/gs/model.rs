//! What the JSON API says about objects and buckets: only the fields that are used.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

/// The fields of [`Object`], as the API takes them.
pub(super) const OBJECT_FIELDS: &str = "generation,size,crc32c,timeCreated,retention,metadata";
/// The fields of [`Bucket`].
pub(super) const BUCKET_FIELDS: &str = "retentionPolicy,objectRetention";
/// The fields of [`Page`].
pub(super) const PAGE_FIELDS: &str = "nextPageToken,items(name,generation)";

/// One generation of an object.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Object {
    pub(super) generation: String,
    size: String,
    pub(super) crc32c: Option<String>,
    time_created: String,
    retention: Option<ObjectRetention>,
    pub(super) metadata: Option<HashMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectRetention {
    mode: String,
    retain_until_time: String,
}

/// What a bucket says about locks.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bucket {
    retention_policy: Option<RetentionPolicy>,
    object_retention: Option<ObjectRetentionMode>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RetentionPolicy {
    retention_period: String,
    #[serde(default)]
    is_locked: bool,
}

#[derive(Debug, Deserialize)]
struct ObjectRetentionMode {
    mode: String,
}

/// One page of a listing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    #[serde(default)]
    pub(super) items: Vec<Item>,
    pub(super) next_page_token: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Item {
    pub(super) name: String,
    pub(super) generation: String,
}

/// The lock that an object has of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retention {
    /// None at all.
    Absent,
    /// One that somebody may lift.
    Unlocked,
    /// One that nobody may.
    Until(DateTime<Utc>),
}

fn date(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|date| date.to_utc())
}

/// A generation in its one spelling: a number above 0.
pub(super) fn generation(text: &str) -> Option<i64> {
    text.parse().ok().filter(|number: &i64| *number > 0 && number.to_string() == text)
}

impl Object {
    pub(super) fn bytes(&self) -> Option<u64> {
        self.size.parse().ok()
    }

    pub(super) fn stored(&self) -> Option<DateTime<Utc>> {
        date(&self.time_created)
    }

    pub(super) fn retention(&self) -> Retention {
        match self.retention.as_ref().map(|own| (own.mode.as_str(), date(&own.retain_until_time))) {
            Some(("Locked", Some(until))) => Retention::Until(until),
            Some(("Unlocked", Some(_))) => Retention::Unlocked,
            _ => Retention::Absent,
        }
    }
}

/// What a bucket does for every object in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Policy {
    /// How long after its creation nobody can delete an object. Only a locked policy counts: any other can be lifted.
    pub(super) locked_for: Option<TimeDelta>,
    /// Objects may have locks of their own.
    pub(super) takes_object_locks: bool,
}

impl From<Bucket> for Policy {
    fn from(bucket: Bucket) -> Policy {
        let locked = bucket.retention_policy.filter(|policy| policy.is_locked);
        let seconds = locked.and_then(|policy| policy.retention_period.parse().ok());
        Policy {
            locked_for: seconds.and_then(TimeDelta::try_seconds),
            takes_object_locks: bucket.object_retention.is_some_and(|own| own.mode == "Enabled"),
        }
    }
}

impl Policy {
    /// Until when it locks what was created then.
    pub(super) fn holds(&self, created: DateTime<Utc>) -> Option<DateTime<Utc>> {
        created.checked_add_signed(self.locked_for?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_locked_policy_counts() {
        let policy = |text: &str| Policy::from(serde_json::from_str::<Bucket>(text).unwrap());
        let locked = policy(r#"{"retentionPolicy":{"retentionPeriod":"60","isLocked":true}}"#);
        assert_eq!(locked.locked_for, TimeDelta::try_seconds(60));
        for open in [
            r#"{"retentionPolicy":{"retentionPeriod":"60"}}"#,
            r#"{"retentionPolicy":{"retentionPeriod":"x","isLocked":true}}"#,
            "{}",
        ] {
            assert_eq!(policy(open).locked_for, None, "{open}");
        }
        let far = policy(r#"{"retentionPolicy":{"retentionPeriod":"9223372036854775807","isLocked":true}}"#);
        assert_eq!(far.holds(Utc::now()), None);
        assert!(policy(r#"{"objectRetention":{"mode":"Enabled"}}"#).takes_object_locks);
    }

    #[test]
    fn a_generation_has_one_spelling() {
        assert_eq!(generation("1700000000000001"), Some(1_700_000_000_000_001));
        for bad in ["", "0", "-1", "+1", "01", "1x", "9223372036854775808"] {
            assert_eq!(generation(bad), None, "{bad}");
        }
    }
}
