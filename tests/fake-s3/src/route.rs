//! Which function answers which request: one table.

use crate::access::Context;
use crate::answer::Answer;
use crate::fault::Fault;
use crate::refusal::Refusal;
use crate::request::Call;
use crate::turn::Turn;
use crate::xml;
use crate::{
    bucket, complete, configuration, copy, delete, documents, list, multipart, object, parts, read, restore,
    retention, versions,
};

type Handler = fn(&mut Turn<'_>) -> Result<Answer, Refusal>;

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Service,
    Bucket,
    Object,
}

use Level::{Bucket, Object, Service};

/// One operation of S3.
pub(crate) struct Route {
    method: &'static str,
    level: Level,
    /// The query parameter or the header (after a colon) that marks it; empty for none.
    mark: &'static str,
    pub(crate) name: &'static str,
    /// What the asker must be permitted, unless the function asks itself.
    action: &'static str,
    /// None: known, asked for permission, and not built.
    handler: Option<Handler>,
}

const fn row(
    method: &'static str,
    level: Level,
    mark: &'static str,
    name: &'static str,
    action: &'static str,
    handler: Handler,
) -> Route {
    Route { method, level, mark, name, action, handler: Some(handler) }
}

/// An operation that is only refused, by name: to who may not do it with 403, to others with 501.
const fn unbuilt(
    method: &'static str,
    level: Level,
    mark: &'static str,
    name: &'static str,
    action: &'static str,
) -> Route {
    Route { method, level, mark, name, action, handler: None }
}

/// The first row that fits is taken, so that the rows without a mark stand last.
#[rustfmt::skip]
static ROUTES: &[Route] = &[
    row("GET", Service, "", "ListBuckets", "", bucket::list),
    row("GET", Bucket, "location", "GetBucketLocation", "s3:GetBucketLocation", bucket::location),
    row("GET", Bucket, "versioning", "GetBucketVersioning", "s3:GetBucketVersioning", bucket::get_versioning),
    row("PUT", Bucket, "versioning", "PutBucketVersioning", "s3:PutBucketVersioning", bucket::put_versioning),
    row("GET", Bucket, "object-lock", "GetObjectLockConfiguration", "s3:GetBucketObjectLockConfiguration", configuration::get_lock),
    row("PUT", Bucket, "object-lock", "PutObjectLockConfiguration", "s3:PutBucketObjectLockConfiguration", configuration::put_lock),
    row("GET", Bucket, "policy", "GetBucketPolicy", "s3:GetBucketPolicy", configuration::get_policy),
    row("PUT", Bucket, "policy", "PutBucketPolicy", "s3:PutBucketPolicy", configuration::put_policy),
    row("DELETE", Bucket, "policy", "DeleteBucketPolicy", "s3:DeleteBucketPolicy", configuration::delete_policy),
    row("GET", Bucket, "lifecycle", "GetBucketLifecycleConfiguration", "s3:GetLifecycleConfiguration", configuration::get_lifecycle),
    row("PUT", Bucket, "lifecycle", "PutBucketLifecycleConfiguration", "s3:PutLifecycleConfiguration", configuration::put_lifecycle),
    row("DELETE", Bucket, "lifecycle", "DeleteBucketLifecycle", "s3:PutLifecycleConfiguration", configuration::delete_lifecycle),
    row("GET", Bucket, "encryption", "GetBucketEncryption", "s3:GetEncryptionConfiguration", configuration::get_encryption),
    row("PUT", Bucket, "encryption", "PutBucketEncryption", "s3:PutEncryptionConfiguration", configuration::put_encryption),
    row("DELETE", Bucket, "encryption", "DeleteBucketEncryption", "s3:PutEncryptionConfiguration", configuration::delete_encryption),
    row("GET", Bucket, "publicAccessBlock", "GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock", configuration::get_public_access),
    row("PUT", Bucket, "publicAccessBlock", "PutPublicAccessBlock", "s3:PutBucketPublicAccessBlock", configuration::put_public_access),
    row("DELETE", Bucket, "publicAccessBlock", "DeletePublicAccessBlock", "s3:PutBucketPublicAccessBlock", configuration::delete_public_access),
    row("GET", Bucket, "policyStatus", "GetBucketPolicyStatus", "s3:GetBucketPolicyStatus", configuration::policy_status),
    row("GET", Bucket, "versions", "ListObjectVersions", "s3:ListBucketVersions", versions::list),
    row("GET", Bucket, "uploads", "ListMultipartUploads", "s3:ListBucketMultipartUploads", multipart::list),
    row("POST", Bucket, "delete", "DeleteObjects", "", delete::batch),
    row("PUT", Bucket, "acl", "PutBucketAcl", "s3:PutBucketAcl", documents::put),
    row("GET", Bucket, "acl", "GetBucketAcl", "s3:GetBucketAcl", documents::get),
    row("PUT", Bucket, "replication", "PutBucketReplication", "s3:PutReplicationConfiguration", documents::put),
    row("GET", Bucket, "replication", "GetBucketReplication", "s3:GetReplicationConfiguration", documents::get),
    row("DELETE", Bucket, "replication", "DeleteBucketReplication", "s3:PutReplicationConfiguration", documents::delete),
    row("PUT", Bucket, "tagging", "PutBucketTagging", "s3:PutBucketTagging", documents::put),
    row("GET", Bucket, "tagging", "GetBucketTagging", "s3:GetBucketTagging", documents::get),
    row("DELETE", Bucket, "tagging", "DeleteBucketTagging", "s3:PutBucketTagging", documents::delete),
    row("PUT", Bucket, "ownershipControls", "PutBucketOwnershipControls", "s3:PutBucketOwnershipControls", documents::put),
    row("GET", Bucket, "ownershipControls", "GetBucketOwnershipControls", "s3:GetBucketOwnershipControls", documents::get),
    row("DELETE", Bucket, "ownershipControls", "DeleteBucketOwnershipControls", "s3:PutBucketOwnershipControls", documents::delete),
    row("PUT", Bucket, "notification", "PutBucketNotificationConfiguration", "s3:PutBucketNotification", documents::put),
    row("PUT", Bucket, "logging", "PutBucketLogging", "s3:PutBucketLogging", documents::put),
    row("PUT", Bucket, "website", "PutBucketWebsite", "s3:PutBucketWebsite", documents::put),
    row("DELETE", Bucket, "website", "DeleteBucketWebsite", "s3:DeleteBucketWebsite", documents::delete),
    row("PUT", Bucket, "cors", "PutBucketCors", "s3:PutBucketCORS", documents::put),
    row("DELETE", Bucket, "cors", "DeleteBucketCors", "s3:PutBucketCORS", documents::delete),
    row("PUT", Bucket, "accelerate", "PutBucketAccelerateConfiguration", "s3:PutAccelerateConfiguration", documents::put),
    row("PUT", Bucket, "inventory", "PutBucketInventoryConfiguration", "s3:PutInventoryConfiguration", documents::put),
    row("DELETE", Bucket, "inventory", "DeleteBucketInventoryConfiguration", "s3:PutInventoryConfiguration", documents::delete),
    row("PUT", Bucket, "analytics", "PutBucketAnalyticsConfiguration", "s3:PutAnalyticsConfiguration", documents::put),
    row("DELETE", Bucket, "analytics", "DeleteBucketAnalyticsConfiguration", "s3:PutAnalyticsConfiguration", documents::delete),
    row("PUT", Bucket, "metrics", "PutBucketMetricsConfiguration", "s3:PutMetricsConfiguration", documents::put),
    row("DELETE", Bucket, "metrics", "DeleteBucketMetricsConfiguration", "s3:PutMetricsConfiguration", documents::delete),
    row("PUT", Bucket, "intelligent-tiering", "PutBucketIntelligentTieringConfiguration", "s3:PutIntelligentTieringConfiguration", documents::put),
    row("DELETE", Bucket, "intelligent-tiering", "DeleteBucketIntelligentTieringConfiguration", "s3:PutIntelligentTieringConfiguration", documents::delete),
    row("PUT", Bucket, "requestPayment", "PutBucketRequestPayment", "s3:PutBucketRequestPayment", documents::put),
    row("GET", Bucket, "", "ListObjects", "s3:ListBucket", list::objects),
    row("HEAD", Bucket, "", "HeadBucket", "s3:ListBucket", bucket::head),
    row("PUT", Bucket, "", "CreateBucket", "", bucket::create),
    row("DELETE", Bucket, "", "DeleteBucket", "s3:DeleteBucket", bucket::delete),
    row("POST", Object, "uploads", "CreateMultipartUpload", "", multipart::create),
    row("PUT", Object, "uploadId", "UploadPart", "s3:PutObject", parts::put),
    row("POST", Object, "uploadId", "CompleteMultipartUpload", "s3:PutObject", complete::complete),
    row("DELETE", Object, "uploadId", "AbortMultipartUpload", "s3:AbortMultipartUpload", multipart::abort),
    row("GET", Object, "uploadId", "ListParts", "s3:ListMultipartUploadParts", parts::list),
    row("GET", Object, "retention", "GetObjectRetention", "s3:GetObjectRetention", retention::get),
    row("PUT", Object, "retention", "PutObjectRetention", "", retention::put),
    row("GET", Object, "legal-hold", "GetObjectLegalHold", "s3:GetObjectLegalHold", retention::get_hold),
    row("PUT", Object, "legal-hold", "PutObjectLegalHold", "s3:PutObjectLegalHold", retention::put_hold),
    row("POST", Object, "restore", "RestoreObject", "", restore::post),
    row("PUT", Object, "acl", "PutObjectAcl", "", documents::put_of_object),
    row("GET", Object, "acl", "GetObjectAcl", "", documents::get_of_object),
    row("PUT", Object, "tagging", "PutObjectTagging", "", documents::put_of_object),
    row("GET", Object, "tagging", "GetObjectTagging", "", documents::get_of_object),
    row("DELETE", Object, "tagging", "DeleteObjectTagging", "", documents::delete_of_object),
    unbuilt("GET", Object, "attributes", "GetObjectAttributes", "s3:GetObjectAttributes"),
    unbuilt("PUT", Object, "renameObject", "RenameObject", "s3:PutObject"),
    unbuilt("POST", Object, "select", "SelectObjectContent", "s3:GetObject"),
    row("PUT", Object, ":x-amz-copy-source", "CopyObject", "", copy::copy),
    row("PUT", Object, "", "PutObject", "", object::put),
    row("GET", Object, "", "GetObject", "", read::get),
    row("HEAD", Object, "", "HeadObject", "", read::head),
    row("DELETE", Object, "", "DeleteObject", "", delete::delete),
];

/// Parameters that mark no operation. Any other one would, and an operation that is not known must not be taken for another.
const PLAIN: [&str; 18] = [
    "x-id",
    "versionId",
    "prefix",
    "delimiter",
    "marker",
    "max-keys",
    "encoding-type",
    "list-type",
    "start-after",
    "continuation-token",
    "fetch-owner",
    "key-marker",
    "version-id-marker",
    "partNumber",
    "uploadId",
    "upload-id-marker",
    "max-uploads",
    "allow-unordered",
];

impl Route {
    /// The operation a call asks for.
    pub(crate) fn of(call: &Call) -> Option<&'static Self> {
        let level = match (call.bucket.is_empty(), call.key.is_empty()) {
            (true, _) => Service,
            (false, true) => Bucket,
            (false, false) => Object,
        };
        ROUTES
            .iter()
            .find(|route| route.method == call.method && route.level == level && route.is_marked(call))
    }

    fn is_marked(&self, call: &Call) -> bool {
        match self.mark.strip_prefix(':') {
            Some(header) => call.headers.contains_key(header),
            None if self.mark.is_empty() => call.query.iter().all(|(name, _)| PLAIN.contains(&name.as_str())),
            None => call.parameter(self.mark).is_some(),
        }
    }

    /// Whether the body is an object's data, and may be large.
    pub(crate) fn takes_data(&self) -> bool {
        ["PutObject", "UploadPart"].contains(&self.name)
    }

    pub(crate) fn answer(&self, turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
        if self.level != Service && self.name != "CreateBucket" {
            turn.shelf()?;
        }
        if self.method == "PUT"
            && ["accelerate", "inventory"].contains(&self.mark)
            && turn.strikes(Fault::SettingsUnknown).is_some()
        {
            return Err(Refusal::argument("no such location"));
        }
        if self.method == "PUT"
            && self.level == Bucket
            && xml::read(&turn.body.data.to_vec(), |_| Ok(())).is_err()
            && turn.strikes(Fault::MalformedBeforeDenied).is_some()
        {
            return Err(Refusal::malformed_xml());
        }
        if !self.action.is_empty() {
            turn.permit(self.action, &Context::new())?;
        }
        match self.handler {
            Some(handler) => handler(turn),
            None => Err(Refusal::not_built(self.name)),
        }
    }
}
