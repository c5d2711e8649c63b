//! Every attempt, in the order in which they are made: what removes the canary comes last.
//!
//! What is tried on the canary is meant as it is sent: if it is permitted, it is done, to an object that is there for it. What is tried on the bucket
//! must do no harm even where it is permitted, so it is one of these:
//!
//! - the value just read, put again ([`Kind::Again`]);
//! - a document that is none, which a store refuses as malformed once it has asked whether the sender may ([`Kind::Malformed`]);
//! - a removal of what is not there ([`Kind::Absent`]), or of a bucket that holds a locked object ([`Kind::Full`]).

use chrono::{DateTime, TimeDelta, Utc};

use super::ask::{On, Request, encoded};
use crate::stamp::utc_text;

/// How an attempt is to be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Done to the canary if it is permitted.
    Real,
    /// Adds a version on top of the canary.
    OnTop,
    /// A document that is none.
    Malformed,
    /// What GET with the same query gives, a document of this name, is put again; what cannot be read, malformed.
    Again(&'static str),
    /// Only if GET with the same query says that there is nothing.
    Absent,
    /// The bucket, which is not empty.
    Full,
}

/// One attempt.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) call: &'static str,
    pub(super) kind: Kind,
    pub(super) request: Request,
}

/// What the attempts are made on.
#[derive(Debug)]
pub(super) struct Canary<'a> {
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    pub(super) version: &'a str,
    pub(super) retain_until: DateTime<Utc>,
    pub(super) now: DateTime<Utc>,
}

/// Calls that every store with object lock has: one that does not refuse them in so many words is not proved.
pub(super) const CORE: [&str; 2] = ["DeleteObject, the version", "PutObjectRetention, an hour shorter"];

const BYPASS: (&str, &str) = ("x-amz-bypass-governance-retention", "true");

pub(super) fn all(canary: &Canary<'_>) -> Vec<Attempt> {
    let mut all = retentions(canary);
    all.extend(labels(canary));
    all.extend(settings());
    all.extend(overwrites(canary));
    all.extend(removals(canary));
    all
}

fn attempt(call: &'static str, kind: Kind, request: Request) -> Attempt {
    Attempt { call, kind, request }
}

fn of_version(canary: &Canary<'_>, what: &str) -> String {
    format!("{what}versionId={}", encoded(canary.version, ""))
}

fn retentions(canary: &Canary<'_>) -> Vec<Attempt> {
    let document = |mode: &str, until: DateTime<Utc>| {
        format!(
            "<Retention><Mode>{mode}</Mode><RetainUntilDate>{}</RetainUntilDate></Retention>",
            utc_text(&until)
        )
    };
    let hour = document("COMPLIANCE", canary.retain_until - TimeDelta::hours(1));
    let day = document("COMPLIANCE", canary.now + TimeDelta::days(1));
    let governance = document("GOVERNANCE", canary.retain_until);
    let none = "<Retention></Retention>".to_owned();
    let query = of_version(canary, "retention&");
    let plain = |call, body: &str| {
        attempt(call, Kind::Real, Request::new("PUT", On::Object, query.clone()).body(body.to_owned()))
    };
    let bypass = |call, body: &str| {
        let mut attempt = plain(call, body);
        attempt.request = attempt.request.header(BYPASS.0, BYPASS.1);
        attempt
    };
    vec![
        plain("PutObjectRetention, an hour shorter", &hour),
        bypass("PutObjectRetention, an hour shorter, with bypass", &hour),
        plain("PutObjectRetention, one day left", &day),
        bypass("PutObjectRetention, one day left, with bypass", &day),
        plain("PutObjectRetention, governance mode", &governance),
        bypass("PutObjectRetention, governance mode, with bypass", &governance),
        plain("PutObjectRetention, removed", &none),
        bypass("PutObjectRetention, removed, with bypass", &none),
    ]
}

/// Holds, access and tags: rules of a bucket may let what bears a tag expire.
fn labels(canary: &Canary<'_>) -> Vec<Attempt> {
    let put = |call, query: String, body: &'static str| {
        attempt(call, Kind::Real, Request::new("PUT", On::Object, query).body(body))
    };
    let malformed = |call, query: String| {
        attempt(call, Kind::Malformed, Request::new("PUT", On::Object, query).body(MALFORMED_XML))
    };
    let delete = |call, query: String| attempt(call, Kind::Real, Request::new("DELETE", On::Object, query));
    let tags = "<Tagging><TagSet><Tag><Key>firn</Key><Value>probe</Value></Tag></TagSet></Tagging>";
    vec![
        put(
            "PutObjectLegalHold, on",
            of_version(canary, "legal-hold&"),
            "<LegalHold><Status>ON</Status></LegalHold>",
        ),
        put(
            "PutObjectLegalHold, off",
            of_version(canary, "legal-hold&"),
            "<LegalHold><Status>OFF</Status></LegalHold>",
        ),
        malformed("PutObjectAcl", "acl".to_owned()),
        malformed("PutObjectAcl, the version", of_version(canary, "acl&")),
        put("PutObjectTagging", "tagging".to_owned(), tags),
        put("PutObjectTagging, the version", of_version(canary, "tagging&"), tags),
        delete("DeleteObjectTagging", "tagging".to_owned()),
        delete("DeleteObjectTagging, the version", of_version(canary, "tagging&")),
    ]
}

const MALFORMED_XML: &str = "<firn-probe";
const MALFORMED_JSON: &str = "{\"firn-probe\":";

/// Calls that remove a setting need the permission of the call that puts it, but for the two that are here.
fn settings() -> Vec<Attempt> {
    let put = |call, kind, query: &str| {
        let body = if query == "policy" { MALFORMED_JSON } else { MALFORMED_XML };
        attempt(call, kind, Request::new("PUT", On::Bucket, query).body(body))
    };
    let malformed = |call, query: &str| put(call, Kind::Malformed, query);
    let again = |call, query: &str, root| put(call, Kind::Again(root), query);
    let absent = |call, query: &str| attempt(call, Kind::Absent, Request::new("DELETE", On::Bucket, query));
    vec![
        again("PutBucketVersioning", "versioning", "<VersioningConfiguration"),
        again("PutObjectLockConfiguration", "object-lock", "<ObjectLockConfiguration"),
        again("PutBucketLifecycleConfiguration", "lifecycle", "<LifecycleConfiguration"),
        absent("DeleteBucketLifecycle", "lifecycle"),
        again("PutBucketEncryption", "encryption", "<ServerSideEncryptionConfiguration"),
        malformed("PutBucketPolicy", "policy"),
        absent("DeleteBucketPolicy", "policy"),
        malformed("PutBucketAcl", "acl"),
        malformed("PutBucketReplication", "replication"),
        malformed("PutBucketOwnershipControls", "ownershipControls"),
        malformed("PutPublicAccessBlock", "publicAccessBlock"),
        malformed("PutBucketNotificationConfiguration", "notification"),
        malformed("PutBucketTagging", "tagging"),
        malformed("PutBucketWebsite", "website"),
        absent("DeleteBucketWebsite", "website"),
        malformed("PutBucketRequestPayment", "requestPayment"),
        malformed("PutBucketCors", "cors"),
        malformed("PutBucketLogging", "logging"),
        malformed("PutBucketAccelerateConfiguration", "accelerate"),
        malformed("PutBucketInventoryConfiguration", "inventory&id=firn-probe"),
        malformed("PutBucketAnalyticsConfiguration", "analytics&id=firn-probe"),
        malformed("PutBucketMetricsConfiguration", "metrics&id=firn-probe"),
        malformed("PutBucketIntelligentTieringConfiguration", "intelligent-tiering&id=firn-probe"),
    ]
}

fn overwrites(canary: &Canary<'_>) -> Vec<Attempt> {
    let put = Request::new("PUT", On::Object, "").body("a probe, put over the canary");
    let source =
        format!("{}/{}?versionId={}", canary.bucket, encoded(canary.key, "/"), encoded(canary.version, ""));
    let copy = Request::new("PUT", On::Object, "")
        .header("x-amz-copy-source", source)
        .header("x-amz-metadata-directive", "REPLACE")
        .header("content-length", "0");
    vec![
        attempt("PutObject, over it", Kind::OnTop, put),
        attempt("CopyObject, over itself", Kind::OnTop, copy),
    ]
}

fn removals(canary: &Canary<'_>) -> Vec<Attempt> {
    let delete = |call, query: String| attempt(call, Kind::Real, Request::new("DELETE", On::Object, query));
    let batch = |call, version: &str| {
        // A key needs no escaping: its letters are those of a name.
        let body = format!("<Delete><Object><Key>{}</Key>{version}</Object></Delete>", canary.key);
        attempt(call, Kind::Real, Request::new("POST", On::Bucket, "delete").body(body))
    };
    let bypass = |mut attempt: Attempt| {
        attempt.request = attempt.request.header(BYPASS.0, BYPASS.1);
        attempt
    };
    let version = format!("<VersionId>{}</VersionId>", escaped(canary.version));
    vec![
        attempt("DeleteBucket", Kind::Full, Request::new("DELETE", On::Bucket, "")),
        delete("DeleteObject, a marker", String::new()),
        bypass(delete("DeleteObject, a marker, with bypass", String::new())),
        batch("DeleteObjects, a marker", ""),
        bypass(batch("DeleteObjects, a marker, with bypass", "")),
        delete("DeleteObject, the version", of_version(canary, "")),
        bypass(delete("DeleteObject, the version, with bypass", of_version(canary, ""))),
        batch("DeleteObjects, the version", &version),
        bypass(batch("DeleteObjects, the version, with bypass", &version)),
    ]
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
