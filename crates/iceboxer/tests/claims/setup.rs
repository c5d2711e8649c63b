//! What is printed for an administrator gives the server no right to destroy.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

use crate::rig::output;
use crate::timer::is_installed;

fn setup(args: &[&str]) -> Output {
    output(Command::new(env!("CARGO_BIN_EXE_iceboxer")).arg("setup").args(args))
}

const AWS: [&str; 6] = ["aws", "--bucket", "example-ice", "--region", "eu-central-1", "--json"];
const GCS: [&str; 6] = ["gcs", "--bucket", "example-ice", "--retention-days", "180", "--json"];

/// The Terraform, and what the report says beside it.
fn printed(args: &[&str]) -> (String, Value) {
    let output = setup(args);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let (terraform, report) = text.trim_end().rsplit_once('\n').unwrap();
    let report: Value = serde_json::from_str(report).unwrap();
    (format!("{terraform}\n"), report["details"].clone())
}

fn words(value: &Value) -> Vec<String> {
    match value {
        Value::Array(all) => all.iter().flat_map(words).collect(),
        other => vec![other.as_str().unwrap().to_owned()],
    }
}

fn actions(policy: &Value, effect: &str) -> BTreeSet<String> {
    let statements = policy["Statement"].as_array().unwrap();
    statements.iter().filter(|s| s["Effect"] == effect).flat_map(|s| words(&s["Action"])).collect()
}

fn statement<'a>(policy: &'a Value, sid: &str) -> &'a Value {
    policy["Statement"].as_array().unwrap().iter().find(|s| s["Sid"] == sid).unwrap()
}

#[test]
fn the_writer_may_only_put_lock_and_look() {
    let (_, policies) = printed(&AWS);
    let allowed = actions(&policies["writer_policy"], "Allow");
    let expected: BTreeSet<String> = [
        "s3:AbortMultipartUpload",
        "s3:GetBucketObjectLockConfiguration",
        "s3:GetBucketPolicyStatus",
        "s3:GetBucketPublicAccessBlock",
        "s3:GetBucketVersioning",
        "s3:GetEncryptionConfiguration",
        "s3:GetLifecycleConfiguration",
        "s3:GetObject",
        "s3:GetObjectRetention",
        "s3:GetObjectVersion",
        "s3:ListBucket",
        "s3:ListBucketMultipartUploads",
        "s3:ListBucketVersions",
        "s3:ListMultipartUploadParts",
        "s3:PutObject",
        "s3:PutObjectRetention",
    ]
    .map(str::to_owned)
    .into();
    assert_eq!(allowed, expected);
    assert!(!allowed.iter().any(|action| action.contains('*')));
    let puts = &statement(&policies["writer_policy"], "PutAndReadBack")["Resource"];
    assert_eq!(
        *puts,
        serde_json::json!(["arn:aws:s3:::example-ice/canary/*", "arn:aws:s3:::example-ice/ice/*"])
    );
}

#[test]
fn what_destroys_is_denied_twice_by_the_writer_and_by_the_bucket() {
    let (_, policies) = printed(&AWS);
    let destroys = [
        "s3:BypassGovernanceRetention",
        "s3:DeleteBucket",
        "s3:DeleteBucketPolicy",
        "s3:DeleteObject",
        "s3:DeleteObjectVersion",
        "s3:PutBucketAcl",
        "s3:PutBucketObjectLockConfiguration",
        "s3:PutBucketPolicy",
        "s3:PutBucketVersioning",
        "s3:PutLifecycleConfiguration",
        "s3:PutObjectAcl",
        "s3:PutObjectLegalHold",
        "s3:PutReplicationConfiguration",
        "s3:RestoreObject",
    ];
    for name in ["writer_policy", "bucket_policy"] {
        let never = words(&statement(&policies[name], "Never")["Action"]);
        for action in destroys {
            assert!(never.iter().any(|denied| denied == action), "{name}: {action}");
        }
        for (sid, operator, key, value) in [
            ("NoShortLock", "NumericLessThan", "s3:object-lock-remaining-retention-days", "91"),
            ("NoHugeLock", "NumericGreaterThan", "s3:object-lock-remaining-retention-days", "800"),
            // Never the negated operators: they are met where the key is absent, and would refuse every part of a multipart upload.
            ("OnlyCompliance", "StringEquals", "s3:object-lock-mode", "GOVERNANCE"),
        ] {
            let statement = statement(&policies[name], sid);
            assert_eq!(
                (&statement["Effect"], &statement["Condition"][operator][key]),
                (&"Deny".into(), &value.into())
            );
            assert_eq!(statement["Condition"].as_object().unwrap().len(), 1, "{sid}");
        }
    }
    // The bucket allows nobody anything, and does not lock its owner out.
    assert!(actions(&policies["bucket_policy"], "Allow").is_empty());
    let never = &statement(&policies["bucket_policy"], "Never")["Principal"]["AWS"];
    assert_eq!(never, "arn:aws:iam::ACCOUNT-NUMBER:user/firn-ice-writer");
}

#[test]
fn the_restore_role_reads_and_thaws_and_needs_a_second_factor() {
    let (_, policies) = printed(&AWS);
    let allowed = actions(&policies["restore_policy"], "Allow");
    assert!(allowed.contains("s3:RestoreObject") && allowed.contains("s3:GetObjectVersion"));
    assert!(
        allowed
            .iter()
            .all(|action| ["s3:Get", "s3:List", "s3:Restore"].iter().any(|begin| action.starts_with(begin)))
    );
    let trust = statement(&policies["restore_trust"], "PeopleWithASecondFactor");
    assert_eq!(trust["Condition"]["Bool"]["aws:MultiFactorAuthPresent"], "true");
}

#[test]
fn the_bucket_locks_in_compliance_mode_and_its_only_rule_aborts_uploads() {
    let (_, policies) = printed(&AWS);
    let retention = &policies["object_lock"]["Rule"]["DefaultRetention"];
    assert_eq!((&retention["Mode"], &retention["Days"]), (&"COMPLIANCE".into(), &92.into()));
    let rules = policies["lifecycle"]["Rules"].as_array().unwrap();
    assert_eq!(rules.len(), 1);
    assert!(
        rules[0]
            .as_object()
            .unwrap()
            .keys()
            .all(|key| !key.contains("Expiration") && !key.contains("Transition"))
    );
    let (terraform, policies) = printed(&GCS);
    assert_eq!(policies["bucket"]["retentionPolicy"]["retentionPeriod"], (180 * 86_400).to_string());
    assert_eq!(policies["bucket"]["storageClass"], "NEARLINE");
    assert!(
        terraform.contains("is_locked        = true") && terraform.contains("retention_period = 15552000")
    );
    let look = words(&policies["look_role"]["includedPermissions"]);
    assert_eq!(look, ["storage.buckets.get", "storage.objects.get", "storage.objects.list"]);
    let roles: Vec<_> =
        policies["bucket_policy"]["bindings"].as_array().unwrap().iter().map(|b| &b["role"]).collect();
    assert_eq!(
        roles,
        [
            "roles/storage.objectCreator",
            "projects/PROJECT-ID/roles/firnIceLook",
            "projects/PROJECT-ID/roles/firnIceLock"
        ]
    );
    let lock = words(&policies["lock_role"]["includedPermissions"]);
    assert_eq!(lock, ["storage.objects.setRetention", "storage.objects.update"]);
    assert!(terraform.contains("enable_object_retention     = true"));
    assert!(!terraform.contains("overrideUnlockedRetention") && !terraform.contains("objects.delete\""));
}

/// Braces outside comments, strings and here-documents; the here-documents themselves.
fn structure(terraform: &str) -> (i64, Vec<String>) {
    let (mut depth, mut documents, mut open) = (0, Vec::new(), None::<String>);
    for line in terraform.lines() {
        match open.take() {
            Some(document) if line.trim() == "JSON" => documents.push(document),
            Some(document) => open = Some(document + line + "\n"),
            None if line.trim_start().starts_with('#') => {}
            None => {
                open = line.ends_with("<<-JSON").then(String::new);
                let bare: String = line.split('"').step_by(2).collect();
                for c in bare.chars() {
                    depth += i64::from("{[(".contains(c)) - i64::from("}])".contains(c));
                    assert!(depth >= 0, "{line}");
                }
            }
        }
    }
    assert!(open.is_none());
    (depth, documents)
}

#[test]
fn the_terraform_is_the_reviewed_text_and_holds_together() {
    for (args, golden, documents) in [(AWS, "aws.tf", 4), (GCS, "gcs.tf", 0)] {
        let (terraform, policies) = printed(&args);
        let file = format!("{}/tests/claims/setup/{golden}", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("FIRN_WRITE_SETUP").is_some() {
            fs::write(&file, &terraform).unwrap();
        }
        assert_eq!(terraform, fs::read_to_string(&file).unwrap(), "reviewed text: {file}");
        assert!(!terraform.contains('@') || golden == "gcs.tf", "a place was not filled in");
        let (depth, found) = structure(&terraform);
        assert_eq!((depth, found.len()), (0, documents));
        for document in found {
            let policy: Value = serde_json::from_str(&document).unwrap();
            let plain = document.replace("${data.aws_caller_identity.here.account_id}", "ACCOUNT-NUMBER");
            let plain: Value = serde_json::from_str(&plain).unwrap();
            assert!(policies.as_object().unwrap().values().any(|known| *known == plain), "{policy}");
        }
        for word in ["DeleteObject\"", "force_destroy       = true", "access_key"] {
            let outside: String = terraform.lines().filter(|line| !line.contains("\"s3:Delete")).collect();
            assert!(!outside.contains(word), "{word}");
        }
    }
}

#[test]
fn terraform_itself_reads_the_text_and_would_not_format_it_otherwise() {
    if !is_installed("terraform") {
        println!("SKIPPED: terraform_itself_reads_the_text: terraform is not on this machine");
        return;
    }
    for args in [AWS, GCS] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("main.tf"), printed(&args).0).unwrap();
        let mut command = Command::new("terraform");
        // A settings file of its own, that says nothing.
        fs::write(folder.path().join("rc"), "").unwrap();
        command.args(["fmt", "-check", "-diff"]).current_dir(folder.path()).env("CHECKPOINT_DISABLE", "1");
        let output = output(command.env("TF_CLI_CONFIG_FILE", folder.path().join("rc")));
        let text = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&text));
    }
}

#[test]
fn names_that_would_need_quoting_are_refused() {
    for args in [
        ["aws", "--bucket", "a\"b", "--retention-days", "92"],
        ["aws", "--bucket", "example-ice", "--region", "eu\n"],
        ["gcs", "--bucket", "example-ice", "--retention-days", "91"],
        ["aws", "--bucket", "example-ice", "--retention-days", "801"],
        ["azure", "--bucket", "example-ice", "--retention-days", "92"],
    ] {
        assert_eq!(setup(&args).status.code(), Some(2), "{args:?}");
    }
    assert_eq!(setup(&["aws"]).status.code(), Some(2));
}
