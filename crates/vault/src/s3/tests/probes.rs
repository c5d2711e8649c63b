//! The denial matrix: every call that could break a lock is refused to the uploader's credentials, and where one is not, it is named.

use fake_s3::{Bucket, Fault, Mode, Statement, Times};

use super::{Rig, WRITER};
use crate::conformance::{later, put};
use crate::s3::S3Vault;
use crate::{Lock, Outcome, Probe, Vault, VaultError};

const CANARY: &str = "canary/2026-01";

fn canary(vault: &S3Vault) -> Lock {
    put(vault, CANARY, b"a canary", later(92)).unwrap()
}

/// A writer who may do more than he should.
fn widened(rig: &Rig, more: &[&str]) -> S3Vault {
    let key = rig.server.add_user("writer", vec![Statement::allow(&WRITER), Statement::allow(more)]);
    rig.vault(&key, |_| {})
}

fn broken(probes: &[Probe]) -> Vec<&'static str> {
    probes.iter().filter(|probe| probe.outcome.is_broken()).map(|probe| probe.call).collect()
}

#[test]
fn every_call_that_could_break_a_lock_is_refused_to_the_uploader() {
    let rig = Rig::locked();
    let vault = rig.writer();
    let canary = canary(&vault);
    let probes = vault.prove_lock(&canary).unwrap();
    for probe in &probes {
        println!("{:60} {}", probe.call, probe.outcome);
    }
    assert_eq!(broken(&probes), Vec::<&str>::new());
    let denied = probes.iter().filter(|probe| matches!(probe.outcome, Outcome::Refused { .. })).count() - 1;
    println!("DENIED: {denied} calls");
    assert!(denied >= 40, "{denied}");
    let shadowed: Vec<_> =
        probes.iter().filter(|probe| probe.outcome == Outcome::Shadowed).map(|probe| probe.call).collect();
    assert_eq!(shadowed, ["PutObject, over it", "CopyObject, over itself"]);
    let mut names: Vec<_> = probes.iter().map(|probe| probe.call).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!((names.len(), probes.len()), (count, count), "each call is tried once");
    assert_eq!(vault.lock(&canary.object_ref()).unwrap(), canary);
}

/// A right more than the uploader should have, and the calls that it opens.
const RIGHTS: &[(&str, &[&str])] = &[
    (
        "s3:DeleteObject",
        &[
            "DeleteObject, a marker",
            "DeleteObject, a marker, with bypass",
            "DeleteObjects, a marker",
            "DeleteObjects, a marker, with bypass",
        ],
    ),
    ("s3:PutObjectLegalHold", &["PutObjectLegalHold, on", "PutObjectLegalHold, off"]),
    ("s3:PutObjectAcl", &["PutObjectAcl"]),
    ("s3:PutObjectVersionAcl", &["PutObjectAcl, the version"]),
    ("s3:PutObjectTagging", &["PutObjectTagging"]),
    ("s3:PutObjectVersionTagging", &["PutObjectTagging, the version"]),
    ("s3:DeleteObjectTagging", &["DeleteObjectTagging"]),
    ("s3:DeleteObjectVersionTagging", &["DeleteObjectTagging, the version"]),
    ("s3:PutBucketVersioning", &["PutBucketVersioning"]),
    ("s3:PutBucketObjectLockConfiguration", &["PutObjectLockConfiguration"]),
    ("s3:PutLifecycleConfiguration", &["PutBucketLifecycleConfiguration"]),
    ("s3:PutEncryptionConfiguration", &["PutBucketEncryption"]),
    ("s3:PutBucketPolicy", &["PutBucketPolicy"]),
    ("s3:PutBucketAcl", &["PutBucketAcl"]),
    ("s3:PutReplicationConfiguration", &["PutBucketReplication"]),
    ("s3:PutBucketOwnershipControls", &["PutBucketOwnershipControls"]),
    ("s3:PutBucketPublicAccessBlock", &["PutPublicAccessBlock"]),
    ("s3:PutBucketNotification", &["PutBucketNotificationConfiguration"]),
    ("s3:PutBucketTagging", &["PutBucketTagging"]),
    ("s3:PutBucketWebsite", &["PutBucketWebsite"]),
    ("s3:PutBucketRequestPayment", &["PutBucketRequestPayment"]),
    ("s3:PutBucketCORS", &["PutBucketCors"]),
    ("s3:PutBucketLogging", &["PutBucketLogging"]),
    ("s3:PutAccelerateConfiguration", &["PutBucketAccelerateConfiguration"]),
    ("s3:PutInventoryConfiguration", &["PutBucketInventoryConfiguration"]),
    ("s3:PutAnalyticsConfiguration", &["PutBucketAnalyticsConfiguration"]),
    ("s3:PutMetricsConfiguration", &["PutBucketMetricsConfiguration"]),
    ("s3:PutIntelligentTieringConfiguration", &["PutBucketIntelligentTieringConfiguration"]),
    ("s3:DeleteBucket", &["DeleteBucket"]),
];

#[test]
fn a_right_too_much_is_named_by_the_calls_that_it_opens() {
    let mut named = 0;
    for (right, calls) in RIGHTS {
        let rig = Rig::locked();
        let vault = widened(&rig, &[right]);
        let probes = vault.prove_lock(&canary(&vault)).unwrap();
        assert_eq!(broken(&probes), *calls, "{right}");
        named += calls.len();
    }
    println!("NAMED: {named} calls by {} rights", RIGHTS.len());
    assert_eq!(named, 33);
}

#[test]
fn a_removal_is_tried_only_where_there_is_nothing_to_remove() {
    for (read, removes, call, keeps) in [
        ("s3:GetBucketPolicy", "s3:DeleteBucketPolicy", "DeleteBucketPolicy", "policy"),
        (
            "s3:GetLifecycleConfiguration",
            "s3:PutLifecycleConfiguration",
            "DeleteBucketLifecycle",
            "lifecycle",
        ),
    ] {
        let rig = Rig::locked();
        let vault = widened(&rig, &[read, removes]);
        assert!(broken(&vault.prove_lock(&canary(&vault)).unwrap()).contains(&call), "{call}: there is none");
        let lifecycle = "<LifecycleConfiguration><Rule><ID>a</ID></Rule></LifecycleConfiguration>".to_owned();
        let policy =
            r#"{"Statement":{"Effect":"Deny","Principal":"*","Action":"s3:x","Resource":"*"}}"#.to_owned();
        let plan =
            Bucket { lock: true, policy: Some(policy), lifecycle: Some(lifecycle), ..Bucket::default() };
        let rig = Rig::new(plan);
        let vault = widened(&rig, &[read, removes]);
        let probes = vault.prove_lock(&canary(&vault)).unwrap();
        let probe = probes.iter().find(|probe| probe.call == call).unwrap();
        assert!(matches!(probe.outcome, Outcome::NotApplicable { .. }), "{probe:?}");
        let deleted = rig.server.requests().into_iter().filter(|line| line.0 == "DELETE" && line.1 == call);
        assert_eq!(deleted.count(), 0, "{keeps} is there, and stays");
    }
}

#[test]
fn a_setting_that_may_be_read_is_put_again_as_it_was() {
    let document = "<LifecycleConfiguration><Rule><ID>abort</ID></Rule></LifecycleConfiguration>";
    let plan = Bucket {
        default_retention: Some((Mode::Compliance, 92)),
        lifecycle: Some(document.to_owned()),
        ..Bucket::default()
    };
    let rig = Rig::new(plan);
    let vault = widened(
        &rig,
        &["s3:GetLifecycle*", "s3:PutLifecycle*", "s3:*BucketVersioning", "s3:*BucketObjectLock*"],
    );
    let probes = vault.prove_lock(&canary(&vault)).unwrap();
    let named = ["PutBucketVersioning", "PutObjectLockConfiguration", "PutBucketLifecycleConfiguration"];
    assert_eq!(broken(&probes), named);
    assert!(
        probes.iter().filter(|p| named.contains(&p.call)).all(|p| matches!(p.outcome, Outcome::Done { .. }))
    );
    let admin = rig.admin();
    let read = admin.store.client.get_object_lock_configuration().bucket("ice").send();
    let read = admin.wait(read).unwrap();
    let kept = read.object_lock_configuration().unwrap().rule().unwrap().default_retention().unwrap();
    assert_eq!(kept.days(), Some(92));
    let read =
        admin.wait(admin.store.client.get_bucket_lifecycle_configuration().bucket("ice").send()).unwrap();
    assert_eq!(read.rules()[0].id(), Some("abort"));
}

/// A store that breaks a rule, and the first call that shows it.
const FAULTS: &[(Fault, &str)] = &[
    (Fault::ShortenAllowed, "PutObjectRetention, an hour shorter"),
    (Fault::OverwriteReplaces, "PutObject, over it"),
    (Fault::DeleteAllowed, "DeleteObject, a marker"),
    (Fault::PolicyWritable, "PutBucketPolicy"),
    (Fault::LifecycleWritable, "PutBucketLifecycleConfiguration"),
    (Fault::VersioningSuspendable, "PutBucketVersioning"),
    (Fault::DeletedAndDenied, "all of these, whatever was answered"),
];

#[test]
fn a_store_that_breaks_a_rule_is_found_by_the_call_that_shows_it() {
    for (fault, call) in FAULTS {
        let rig = Rig::locked();
        let vault = rig.writer();
        let canary = canary(&vault);
        rig.server.arm(*fault, Times::Always);
        let probes = vault.prove_lock(&canary).unwrap();
        assert!(rig.server.hits(*fault) > 0, "{fault:?} never struck");
        assert_eq!(broken(&probes).first(), Some(call), "{fault:?}");
    }
}

#[test]
fn the_version_is_found_to_be_deletable_in_each_form() {
    // The same call once removes it, and then finds nothing: so each form has a store of its own.
    for (fault, right, call) in [
        (Fault::DeleteVersionAllowed, "s3:GetObject", "DeleteObject, the version"),
        (Fault::BypassAllowed, "s3:DeleteObjectVersion", "DeleteObject, the version, with bypass"),
    ] {
        let rig = Rig::locked();
        let vault = widened(&rig, &[right]);
        let canary = canary(&vault);
        rig.server.arm(fault, Times::Always);
        let probes = vault.prove_lock(&canary).unwrap();
        let found = broken(&probes);
        assert!(found.contains(&call) && found.contains(&"all of these, whatever was answered"), "{found:?}");
    }
}

#[test]
fn a_store_that_reads_before_it_asks_who_sends_raises_no_alarm() {
    let rig = Rig::locked();
    let vault = rig.writer();
    let canary = canary(&vault);
    rig.server.arm(Fault::MalformedBeforeDenied, Times::Always);
    let probes = vault.prove_lock(&canary).unwrap();
    assert!(rig.server.hits(Fault::MalformedBeforeDenied) > 0);
    assert_eq!(broken(&probes), Vec::<&str>::new());
    let unclear = probes.iter().filter(|probe| matches!(probe.outcome, Outcome::Unclear { .. })).count();
    assert!(unclear >= 15, "{unclear}: what shows nothing is not called refused");
}

#[test]
fn a_store_that_takes_settings_it_does_not_know_for_something_else_raises_no_alarm() {
    let rig = Rig::locked();
    let vault = rig.writer();
    let canary = canary(&vault);
    rig.server.arm(Fault::SettingsUnknown, Times::Always);
    let probes = vault.prove_lock(&canary).unwrap();
    assert_eq!(
        rig.server.hits(Fault::SettingsUnknown),
        4,
        "each of the two, and each time one that nobody has"
    );
    assert_eq!(broken(&probes), Vec::<&str>::new());
    let absent = |probe: &&Probe| matches!(&probe.outcome, Outcome::NotApplicable { why } if why.contains("nobody has"));
    let absent: Vec<_> = probes.iter().filter(absent).map(|probe| probe.call).collect();
    assert_eq!(absent, ["PutBucketAccelerateConfiguration", "PutBucketInventoryConfiguration"]);
}

#[test]
fn a_store_that_fails_proves_nothing() {
    let rig = Rig::locked();
    let vault = rig.writer();
    let canary = canary(&vault);
    rig.server.arm(Fault::ServerError503Storm, Times::Always);
    let error = vault.prove_lock(&canary).unwrap_err();
    assert!(matches!(error, VaultError::Unreachable { .. }), "{error:?}");
    assert_eq!(error.exit_code(), 30);
}

#[test]
fn a_canary_that_is_not_locked_proves_nothing() {
    let rig = Rig::locked();
    let vault = rig.writer();
    let canary = canary(&vault);
    assert!(rig.server.remove_by_force(
        "ice",
        "firn/canary/2026-01",
        canary.version.as_ref().unwrap().as_str()
    ));
    assert_eq!(vault.prove_lock(&canary).unwrap_err().exit_code(), 32);
}
