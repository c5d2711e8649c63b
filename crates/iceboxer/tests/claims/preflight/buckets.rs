//! Bad buckets and bad rights, each named; a good bucket, of which nothing is said.

use std::time::Duration;

use fake_s3::{Bucket, Mode, Skew, Statement, Versioning};
use iceboxer::preflight::Severity;

use super::world::{BUCKET, World, codes, good};

/// One bucket that is not as it should be: what is changed, and the one code that names it.
type Bad = (&'static str, &'static str, fn(&mut Bucket, &mut Vec<Statement>));

fn rules(bucket: &mut Bucket, rules: &str) {
    let abort = "<Rule><ID>a</ID><Status>Enabled</Status><Filter/><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>";
    bucket.lifecycle = Some(format!("<LifecycleConfiguration>{abort}{rules}</LifecycleConfiguration>"));
}

fn rule(bucket: &mut Bucket, prefix: &str, action: &str) {
    let filter = format!("<Filter><Prefix>{prefix}</Prefix></Filter>");
    rules(bucket, &format!("<Rule><ID>b</ID><Status>Enabled</Status>{filter}{action}</Rule>"));
}

fn only_rule(bucket: &mut Bucket, status: &str, prefix: &str) {
    bucket.lifecycle = Some(format!(
        "<LifecycleConfiguration><Rule><ID>a</ID><Status>{status}</Status><Filter><Prefix>{prefix}</Prefix></Filter><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>"
    ));
}

fn key(bucket: &mut Bucket, algorithm: &str, id: &str) {
    bucket.encryption = Some(format!(
        "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>{algorithm}</SSEAlgorithm><KMSMasterKeyID>{id}</KMSMasterKeyID></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>"
    ));
}

fn without_lock(bucket: &mut Bucket, versioning: Versioning) {
    (bucket.lock, bucket.default_retention, bucket.versioning) = (false, None, versioning);
}

/// Widens the writer, and takes away the bucket's policy, which would still refuse.
fn may(bucket: &mut Bucket, rights: &mut Vec<Statement>, actions: &[&str]) {
    bucket.policy = None;
    rights.retain(|statement| statement.effect == fake_s3::Effect::Allow);
    rights.push(Statement::allow(actions));
}

const PUBLIC: &str = "{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"s3:GetObject\",\"Resource\":\"arn:aws:s3:::example-ice/*\"}]}";
const LETS_WRITER_DELETE: &str = "{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::1:user/firn-ice-writer\"},\"Action\":\"s3:DeleteObjectVersion\",\"Resource\":\"*\"}]}";

#[rustfmt::skip]
const BAD: [Bad; 42] = [
    ("nothing was turned on", "no-versioning", |b, _| without_lock(b, Versioning::Off)),
    ("versions were suspended", "versioning-suspended", |b, _| without_lock(b, Versioning::Suspended)),
    ("versions and no lock", "no-object-lock", |b, _| without_lock(b, Versioning::Enabled)),
    ("no default retention", "no-default-retention", |b, _| b.default_retention = None),
    ("governance", "governance-mode", |b, _| b.default_retention = Some((Mode::Governance, 400))),
    ("a day in compliance", "short-default-retention", |b, _| b.default_retention = Some((Mode::Compliance, 1))),
    ("one day too few", "short-default-retention", |b, _| b.default_retention = Some((Mode::Compliance, 91))),
    ("expires after a month", "lifecycle-expires", |b, _| rule(b, "", "<Expiration><Days>30</Days></Expiration>")),
    ("expires the day before", "lifecycle-expires", |b, _| rule(b, "", "<Expiration><Days>91</Days></Expiration>")),
    ("expires on a date", "lifecycle-expires", |b, _| rule(b, "", "<Expiration><Date>2030-01-01T00:00:00.000Z</Date></Expiration>")),
    ("expires after a year", "lifecycle-expires", |b, _| rule(b, "", "<Expiration><Days>365</Days></Expiration>")),
    ("expires ice only", "lifecycle-expires", |b, _| rule(b, "ice/", "<Expiration><Days>30</Days></Expiration>")),
    ("expires one host", "lifecycle-expires", |b, _| rule(b, "ice/web01/", "<Expiration><Days>30</Days></Expiration>")),
    ("expires by a rule of the old form", "lifecycle-expires", |b, _| rules(b, "<Rule><ID>b</ID><Status>Enabled</Status><Prefix></Prefix><Expiration><Days>30</Days></Expiration></Rule>")),
    ("expires by a prefix among conditions", "lifecycle-expires", |b, _| rules(b, "<Rule><ID>b</ID><Status>Enabled</Status><Filter><And><Prefix>ice/</Prefix><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan></And></Filter><Expiration><Days>30</Days></Expiration></Rule>")),
    ("removes replaced versions", "lifecycle-expires-versions", |b, _| rule(b, "", "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>")),
    ("keeps two replaced versions", "lifecycle-expires-versions", |b, _| rule(b, "", "<NoncurrentVersionExpiration><NewerNoncurrentVersions>2</NewerNoncurrentVersions><NoncurrentDays>30</NoncurrentDays></NoncurrentVersionExpiration>")),
    ("removes replaced versions after a year", "lifecycle-expires-versions", |b, _| rule(b, "", "<NoncurrentVersionExpiration><NoncurrentDays>365</NoncurrentDays></NoncurrentVersionExpiration>")),
    ("moves to an archive", "lifecycle-transitions", |b, _| rule(b, "", "<Transition><Days>1</Days><StorageClass>DEEP_ARCHIVE</StorageClass></Transition>")),
    ("moves replaced versions", "lifecycle-transitions", |b, _| rule(b, "", "<NoncurrentVersionTransition><NoncurrentDays>1</NoncurrentDays><StorageClass>GLACIER</StorageClass></NoncurrentVersionTransition>")),
    ("no lifecycle", "no-abort-rule", |b, _| b.lifecycle = None),
    ("the rule is off", "no-abort-rule", |b, _| only_rule(b, "Disabled", "")),
    ("the rule is for others", "no-abort-rule", |b, _| only_rule(b, "Enabled", "logs/")),
    ("the rule is for one host", "no-abort-rule", |b, _| only_rule(b, "Enabled", "ice/web01/")),
    ("a customer's key", "customer-key", |b, _| key(b, "aws:kms", "arn:aws:kms:us-east-1:1:key/0001")),
    ("a customer's key, twice", "customer-key", |b, _| key(b, "aws:kms:dsse", "arn:aws:kms:us-east-1:1:key/0001")),
    ("a customer's key by another name", "customer-key", |b, _| key(b, "aws:kms", "alias/backup")),
    ("public access not blocked", "public-access", |b, _| b.public_access = None),
    ("one door open", "public-access", |b, _| b.public_access = Some(b.public_access.take().unwrap().replace("<BlockPublicPolicy>true", "<BlockPublicPolicy>false"))),
    ("a public policy", "public-policy", |b, _| b.policy = Some(PUBLIC.to_owned())),
    ("may delete versions", "can-delete", |b, r| may(b, r, &["s3:DeleteObjectVersion"])),
    ("may lay delete markers", "can-delete", |b, r| may(b, r, &["s3:DeleteObject"])),
    ("may do everything", "can-delete", |b, r| may(b, r, &["s3:*"])),
    ("the bucket lets it delete", "can-delete", |b, r| { may(b, r, &[]); b.policy = Some(LETS_WRITER_DELETE.to_owned()) }),
    ("may not list versions", "missing-permission", |_, r| r.push(Statement::deny(&["s3:ListBucketVersions"]))),
    ("may not list", "missing-permission", |_, r| r.push(Statement::deny(&["s3:ListBucketMultipartUploads"]))),
    ("may not read", "missing-permission", |_, r| r.push(Statement::deny(&["s3:GetObjectVersion"]))),
    ("may not read locks", "missing-permission", |_, r| r.push(Statement::deny(&["s3:GetObjectRetention"]))),
    ("may not end uploads", "missing-permission", |_, r| r.push(Statement::deny(&["s3:AbortMultipartUpload"]))),
    ("may not see versions", "not-visible", |_, r| r.push(Statement::deny(&["s3:GetBucketVersioning"]))),
    ("may not see the lock", "not-visible", |_, r| r.push(Statement::deny(&["s3:GetBucketObjectLockConfiguration"]))),
    ("may not see the lifecycle", "not-visible", |_, r| r.push(Statement::deny(&["s3:GetLifecycleConfiguration"]))),
];

#[test]
fn each_bad_bucket_is_named_and_a_good_one_is_not() {
    let mut world = World::new();
    assert_eq!(world.found(), [], "the control: what setup prints is good");
    let mut named = 0;
    for (what, code, spoil) in BAD {
        let (mut bucket, mut rights) = good();
        spoil(&mut bucket, &mut rights);
        world.set(bucket, rights, "");
        let found = world.about("off-site");
        // Without versions there is no lock either; everything else is named alone.
        let also = if code.contains("versioning") { &["no-object-lock", code][..] } else { &[code] };
        assert_eq!(codes(&found), also, "{what}: {found:?}");
        assert!(found.iter().all(|finding| !finding.seen.is_empty() && !finding.check.fix.is_empty()));
        // Nothing was done to find it out.
        assert_eq!((world.server.keys(BUCKET).len(), world.server.uploads(BUCKET).len()), (0, 0), "{what}");
        named += 1;
    }
    println!("NAMED: {named} configurations");
    assert!(named >= 25, "{named}");
}

#[test]
fn what_the_credentials_may_not_see_names_the_permission() {
    let mut world = World::new();
    for permission in [
        "s3:GetBucketVersioning",
        "s3:GetBucketObjectLockConfiguration",
        "s3:GetLifecycleConfiguration",
        "s3:GetEncryptionConfiguration",
        "s3:GetBucketPublicAccessBlock",
        "s3:GetBucketPolicyStatus",
    ] {
        let (bucket, mut rights) = good();
        rights.push(Statement::deny(&[permission]));
        world.set(bucket, rights, "");
        let found = world.about("off-site");
        assert_eq!(codes(&found), ["not-visible"], "{permission}");
        assert!(found[0].seen.ends_with(&format!("the credentials lack {permission}")), "{found:?}");
    }
    // To who may not list, absent and forbidden look alike: that is said, and not taken for the one or the other.
    let (bucket, mut rights) = good();
    rights.push(Statement::deny(&["s3:ListBucket"]));
    world.set(bucket, rights, "");
    assert!(codes(&world.about("off-site")).contains(&"missing-permission"));
}

#[test]
fn every_right_to_delete_is_named() {
    let mut world = World::new();
    let (mut bucket, mut rights) = good();
    may(&mut bucket, &mut rights, &["s3:*"]);
    world.set(bucket, rights, "");
    let seen: Vec<String> = world.about("off-site").into_iter().map(|finding| finding.seen).collect();
    assert_eq!(seen, ["the credentials have s3:DeleteObjectVersion", "the credentials have s3:DeleteObject"]);
}

#[test]
fn a_bucket_that_locks_for_less_than_the_settings_say_is_a_warning_and_the_rest_of_it_a_failure() {
    let mut world = World::new();
    let (bucket, rights) = good();
    world.set(bucket, rights, "retention_days = 200");
    let found = world.about("off-site");
    assert_eq!(codes(&found), ["short-default-retention"]);
    assert_eq!(found[0].severity, Severity::Warning);
    let (mut bucket, rights) = good();
    rule(&mut bucket, "", "<Expiration><Days>201</Days></Expiration>");
    world.set(bucket, rights, "retention_days = 200");
    let late = world.about("off-site").into_iter().find(|one| one.check.code == "lifecycle-expires").unwrap();
    assert_eq!(late.severity, Severity::Warning, "nothing goes before its lock ends");
}

#[test]
fn what_is_no_trouble_is_not_named() {
    let mut world = World::new();
    type Change = fn(&mut Bucket);
    let harmless: [(&str, Change); 5] = [
        ("expiry of other keys", |b| rule(b, "logs/", "<Expiration><Days>1</Days></Expiration>")),
        ("markers without versions go", |b| {
            rule(
                b,
                "",
                "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>",
            );
        }),
        ("a rule that is off", |b| {
            rules(
                b,
                "<Rule><ID>b</ID><Status>Disabled</Status><Filter/><Expiration><Days>1</Days></Expiration></Rule>",
            );
        }),
        ("the provider's own key of KMS", |b| key(b, "aws:kms", "arn:aws:kms:us-east-1:1:alias/aws/s3")),
        ("a longer default", |b| b.default_retention = Some((Mode::Compliance, 400))),
    ];
    for (what, change) in harmless {
        let (mut bucket, rights) = good();
        change(&mut bucket);
        world.set(bucket, rights, "");
        assert_eq!(world.about("off-site"), [], "{what}");
    }
}

#[test]
fn a_vault_that_cannot_be_asked_is_named_by_what_is_in_the_way() {
    let mut world = World::new();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let wrong = world.scratch.path("wrong");
    std::fs::write(&wrong, "access_key_id = \"AK\"\nsecret_access_key = \"SK\"\n").unwrap();
    let open = |mode| {
        std::fs::set_permissions(&wrong, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };
    let credentials = format!("credentials_file = {wrong:?}");
    for (more, code, mode) in [
        ("url = \"s3:other-bucket\"".to_owned(), "no-bucket", 0o600),
        ("region = \"eu-central-1\"".to_owned(), "other-region", 0o600),
        (format!("endpoint = \"http://{closed}\""), "unreachable", 0o600),
        ("url = \"s3:NO\"".to_owned(), "vault-setting", 0o600),
        (credentials.clone(), "bad-credentials", 0o600),
        (credentials, "credentials-open", 0o644),
        ("credentials_file = \"/nonexistent\"".to_owned(), "credentials-unreadable", 0o600),
    ] {
        let (bucket, rights) = good();
        open(mode);
        world.set(bucket, rights, &more);
        let found = world.about("off-site");
        assert_eq!(codes(&found), [code], "{more}: {found:?}");
        assert_eq!(found[0].severity, Severity::Failure);
    }
}

#[test]
fn clocks_that_are_apart_are_named_before_and_after_the_provider_refuses() {
    let world = World::new();
    for (minutes, skew, code) in [
        (6, Skew::Checked, "clock-skew"),
        // Together 20: a provider that does not refuse is judged as one that does.
        (14, Skew::Ignored, "clock-wrong"),
        (0, Skew::Checked, "clock-wrong"),
    ] {
        world.server.clock().advance(Duration::from_secs(minutes * 60));
        world.server.clock().set_skew(skew);
        assert_eq!(codes(&world.about("off-site")), [code], "{minutes}");
    }
}
