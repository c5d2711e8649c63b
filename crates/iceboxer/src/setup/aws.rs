//! Amazon S3: the policies. The same values stand in the Terraform and in the report.

use serde_json::{Value, json};

use super::{Plans, Setup, fill, pretty};
use crate::settings::RETENTION_DAYS_CAP;

const TEMPLATE: &str = include_str!("aws.tf");
/// Where the number of the account stands: in Terraform what knows it, in plain policies a mark to be replaced.
const ACCOUNT_HCL: &str = "${data.aws_caller_identity.here.account_id}";
const ACCOUNT_MARK: &str = "ACCOUNT-NUMBER";

/// What the writer must never do, whatever any other policy allows: delete, shorten, bypass, make readable, tag (rules may let what bears a tag expire,
/// and on some stores who put an object may tag it), or change what protects the bucket.
const NEVER: &[&str] = &[
    "s3:BypassGovernanceRetention",
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:DeleteObject",
    "s3:DeleteObjectTagging",
    "s3:DeleteObjectVersion",
    "s3:DeleteObjectVersionTagging",
    "s3:PutBucketAcl",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutBucketOwnershipControls",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:PutObjectAcl",
    "s3:PutObjectLegalHold",
    "s3:PutObjectTagging",
    "s3:PutObjectVersionAcl",
    "s3:PutObjectVersionTagging",
    "s3:PutReplicationConfiguration",
    "s3:ReplicateDelete",
    "s3:RestoreObject",
];

pub(super) fn plans(setup: &Setup) -> Plans {
    let bucket = setup.bucket.as_str();
    let named = |account: &str| {
        [
            ("bucket_policy", bucket_policy(setup, account)),
            ("lifecycle", lifecycle()),
            ("object_lock", object_lock(setup.retention_days)),
            ("restore_policy", restore_policy(bucket)),
            ("restore_trust", restore_trust(account)),
            ("writer_policy", writer_policy(setup)),
        ]
    };
    let hcl = named(ACCOUNT_HCL);
    let text = |name: &str| hcl.iter().find(|(known, _)| *known == name).map(|(_, value)| pretty(value));
    let terraform = fill(
        TEMPLATE,
        &[
            ("@BUCKET@", bucket),
            ("@REGION@", setup.region_or("us-east-1")),
            ("@DAYS@", &setup.retention_days.to_string()),
            ("@DAYS_MAX@", &RETENTION_DAYS_CAP.to_string()),
            ("@BUCKET_POLICY@", &text("bucket_policy").unwrap_or_default()),
            ("@WRITER_POLICY@", &text("writer_policy").unwrap_or_default()),
            ("@RESTORE_POLICY@", &text("restore_policy").unwrap_or_default()),
            ("@RESTORE_TRUST@", &text("restore_trust").unwrap_or_default()),
        ],
    );
    Plans { terraform, policies: named(ACCOUNT_MARK).into() }
}

fn arns(bucket: &str) -> (String, String) {
    (format!("arn:aws:s3:::{bucket}"), format!("arn:aws:s3:::{bucket}/*"))
}

/// What the program on the backup server may do.
fn writer_policy(setup: &Setup) -> Value {
    let (bucket, objects) = arns(setup.bucket.as_str());
    let allowed = [
        json!({
            "Action": [
                "s3:AbortMultipartUpload",
                "s3:GetObject",
                "s3:GetObjectRetention",
                "s3:GetObjectVersion",
                "s3:ListMultipartUploadParts",
                "s3:PutObject",
                "s3:PutObjectRetention",
            ],
            "Effect": "Allow",
            "Resource": [format!("{bucket}/canary/*"), format!("{bucket}/ice/*")],
            "Sid": "PutAndReadBack",
        }),
        json!({
            "Action": [
                "s3:GetBucketObjectLockConfiguration",
                "s3:GetBucketPolicyStatus",
                "s3:GetBucketPublicAccessBlock",
                "s3:GetBucketVersioning",
                "s3:GetEncryptionConfiguration",
                "s3:GetLifecycleConfiguration",
                "s3:ListBucket",
                "s3:ListBucketMultipartUploads",
                "s3:ListBucketVersions",
            ],
            "Effect": "Allow",
            "Resource": bucket,
            "Sid": "Look",
        }),
    ];
    let denied = denials(setup, &objects).into_iter().chain([json!({
        "Action": NEVER,
        "Effect": "Deny",
        "Resource": [bucket, objects],
        "Sid": "Never",
    })]);
    policy(allowed.into_iter().chain(denied).collect())
}

/// The lock rules. A condition whose key a request does not carry is not met, so the parts of a multipart upload, which carry no lock, pass; the
/// bucket's default covers what carries none.
fn denials(setup: &Setup, objects: &str) -> [Value; 3] {
    // Up to a day goes by between choosing a date and asking for it.
    let least = setup.retention_days.saturating_sub(1).to_string();
    let remaining = "s3:object-lock-remaining-retention-days";
    [
        json!({
            "Action": "s3:PutObjectRetention",
            "Condition": { "NumericLessThan": { remaining: least } },
            "Effect": "Deny",
            "Resource": objects,
            "Sid": "NoShortLock",
        }),
        json!({
            "Action": "s3:PutObjectRetention",
            "Condition": { "NumericGreaterThan": { remaining: RETENTION_DAYS_CAP.to_string() } },
            "Effect": "Deny",
            "Resource": objects,
            "Sid": "NoHugeLock",
        }),
        json!({
            "Action": ["s3:PutObject", "s3:PutObjectRetention"],
            "Condition": { "StringEquals": { "s3:object-lock-mode": "GOVERNANCE" } },
            "Effect": "Deny",
            "Resource": objects,
            "Sid": "OnlyCompliance",
        }),
    ]
}

/// The same denials, held by the bucket: they stay when somebody widens the writer's own policy.
fn bucket_policy(setup: &Setup, account: &str) -> Value {
    let (bucket, objects) = arns(setup.bucket.as_str());
    let for_all = |mut statement: Value| {
        if let Some(statement) = statement.as_object_mut() {
            statement.insert("Principal".to_owned(), json!("*"));
        }
        statement
    };
    let tls = json!({
        "Action": "s3:*",
        "Condition": { "Bool": { "aws:SecureTransport": "false" } },
        "Effect": "Deny",
        "Resource": [bucket, objects],
        "Sid": "OnlyTls",
    });
    let never = json!({
        "Action": NEVER,
        "Effect": "Deny",
        "Principal": { "AWS": format!("arn:aws:iam::{account}:user/firn-ice-writer") },
        "Resource": [bucket, objects],
        "Sid": "Never",
    });
    let all = denials(setup, &objects).into_iter().chain([tls]).map(for_all);
    policy(all.chain([never]).collect())
}

/// What a person who restores may do: read, and ask for thawing. No writing of any kind.
fn restore_policy(bucket: &str) -> Value {
    let (bucket, objects) = arns(bucket);
    policy(vec![
        json!({
            "Action": ["s3:GetObject", "s3:GetObjectRetention", "s3:GetObjectVersion", "s3:RestoreObject"],
            "Effect": "Allow",
            "Resource": objects,
            "Sid": "ReadAndThaw",
        }),
        json!({
            "Action": ["s3:ListBucket", "s3:ListBucketVersions"],
            "Effect": "Allow",
            "Resource": bucket,
            "Sid": "Find",
        }),
    ])
}

/// Who may take the restore role: people of this account who have shown a second factor.
fn restore_trust(account: &str) -> Value {
    policy(vec![json!({
        "Action": "sts:AssumeRole",
        "Condition": { "Bool": { "aws:MultiFactorAuthPresent": "true" } },
        "Effect": "Allow",
        "Principal": { "AWS": format!("arn:aws:iam::{account}:root") },
        "Sid": "PeopleWithASecondFactor",
    })])
}

fn lifecycle() -> Value {
    json!({
        "Rules": [{
            "AbortIncompleteMultipartUpload": { "DaysAfterInitiation": 7 },
            "Filter": { "Prefix": "" },
            "ID": "abort-unfinished",
            "Status": "Enabled",
        }],
    })
}

fn object_lock(days: u32) -> Value {
    json!({
        "ObjectLockEnabled": "Enabled",
        "Rule": { "DefaultRetention": { "Days": days, "Mode": "COMPLIANCE" } },
    })
}

fn policy(statements: Vec<Value>) -> Value {
    json!({ "Statement": statements, "Version": "2012-10-17" })
}
