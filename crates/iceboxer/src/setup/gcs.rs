//! Google Cloud Storage: a bucket whose retention policy is locked, and a writer that can only create, and lock for longer.

use serde_json::{Value, json};

use super::{Plans, Setup, fill};

const TEMPLATE: &str = include_str!("gcs.tf");
const DAY_SECONDS: u64 = 86_400;
/// What the writer may do besides creating objects: look at what lies there, and at the bucket.
const LOOK: &[&str] = &["storage.buckets.get", "storage.objects.get", "storage.objects.list"];
/// What he needs to lock an object for longer than the bucket does. Not storage.objects.overrideUnlockedRetention, which lifts locks.
const LOCK: &[&str] = &["storage.objects.setRetention", "storage.objects.update"];
const PROJECT_MARK: &str = "PROJECT-ID";

pub(super) fn plans(setup: &Setup) -> Plans {
    let seconds = u64::from(setup.retention_days) * DAY_SECONDS;
    let lines = |permissions: &[&str]| {
        let lines: Vec<String> = permissions.iter().map(|permission| format!("\"{permission}\",")).collect();
        lines.join("\n")
    };
    let terraform = fill(
        TEMPLATE,
        &[
            ("@BUCKET@", setup.bucket.as_str()),
            ("@REGION@", setup.region_or("us-central1")),
            ("@DAYS@", &setup.retention_days.to_string()),
            ("@SECONDS@", &seconds.to_string()),
            ("@LOOK@", &lines(LOOK)),
            ("@LOCK@", &lines(LOCK)),
        ],
    );
    let policies = vec![
        ("bucket", bucket(setup, seconds)),
        ("bucket_policy", bucket_policy()),
        ("look_role", json!({ "includedPermissions": LOOK, "stage": "GA", "title": "Firn ice: look" })),
        ("lock_role", json!({ "includedPermissions": LOCK, "stage": "GA", "title": "Firn ice: lock" })),
    ];
    Plans { terraform, policies }
}

/// The bucket, as its JSON API takes it, with `enableObjectRetention=true` in the call. The retention policy has to be locked by a call of its own: `gcloud storage buckets update --lock-retention-period`.
fn bucket(setup: &Setup, seconds: u64) -> Value {
    json!({
        "iamConfiguration": {
            "publicAccessPrevention": "enforced",
            "uniformBucketLevelAccess": { "enabled": true },
        },
        "lifecycle": {
            "rule": [{ "action": { "type": "AbortIncompleteMultipartUpload" }, "condition": { "age": 7 } }],
        },
        "location": setup.region_or("us-central1"),
        "name": setup.bucket.as_str(),
        "retentionPolicy": { "retentionPeriod": seconds.to_string() },
        "storageClass": "NEARLINE",
    })
}

/// Who may do what with it.
fn bucket_policy() -> Value {
    let account = |name: &str| format!("serviceAccount:{name}@{PROJECT_MARK}.iam.gserviceaccount.com");
    let (writer, restore) = (account("firn-ice-writer"), account("firn-ice-restore"));
    json!({
        "bindings": [
            { "members": [writer], "role": "roles/storage.objectCreator" },
            { "members": [writer, restore], "role": format!("projects/{PROJECT_MARK}/roles/firnIceLook") },
            { "members": [writer], "role": format!("projects/{PROJECT_MARK}/roles/firnIceLock") },
        ],
    })
}
