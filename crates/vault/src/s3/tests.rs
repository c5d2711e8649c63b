//! An `s3:` vault on a server that enforces what AWS does, with credentials that may do what iceboxer's may and no more.

mod credentials;
mod faults;
mod locks;
mod moto;
mod probes;

use std::os::unix::fs::PermissionsExt;

use aws_sdk_s3::types::ChecksumAlgorithm;
use chrono::{TimeDelta, Utc};
use fake_s3::{Bucket, FakeS3, Key, Options, Skew, Statement};
use formats::ContentHash;

use super::S3Vault;
use crate::conformance::{conforms, fetched, later, listed, name, object, put};
use crate::{Content, Settings, StorageClass, Thawed, Tier, Vault, VaultError, Wish};

/// What iceboxer's credentials may do, and restore-drill's beside it.
const WRITER: [&str; 10] = [
    "s3:PutObject",
    "s3:PutObjectRetention",
    "s3:GetObjectRetention",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:AbortMultipartUpload",
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:ListBucketMultipartUploads",
    "s3:ListMultipartUploadParts",
];
const MIB: usize = 1024 * 1024;

/// A server, and the credentials file of a vault on it.
struct Rig {
    server: FakeS3,
    folder: tempfile::TempDir,
}

impl Rig {
    fn new(bucket: Bucket) -> Rig {
        let server = FakeS3::start(Options::default()).unwrap();
        server.add_bucket("ice", bucket);
        Rig { server, folder: tempfile::tempdir().unwrap() }
    }

    fn locked() -> Rig {
        Rig::new(Bucket { lock: true, ..Bucket::default() })
    }

    fn writer(&self) -> S3Vault {
        let key = self.server.add_user("writer", vec![Statement::allow(&WRITER)]);
        self.vault(&key, |_| {})
    }

    fn admin(&self) -> S3Vault {
        self.vault(&self.server.add_admin(), |_| {})
    }

    fn vault(&self, key: &Key, change: impl FnOnce(&mut Settings)) -> S3Vault {
        self.vault_at(key, "ice/firn/", change)
    }

    fn vault_at(&self, key: &Key, at: &str, change: impl FnOnce(&mut Settings)) -> S3Vault {
        let file = self.folder.path().join(&key.access);
        self.write_key(&file, key, None);
        let mut settings = Settings::new("off-site", &format!("s3:{at}"));
        settings.endpoint = Some(self.server.endpoint());
        settings.path_style = true;
        settings.part_bytes = 5 * MIB as u64;
        settings.credentials_file = Some(file);
        change(&mut settings);
        S3Vault::open(&settings, at).unwrap()
    }

    fn write_key(&self, file: &std::path::Path, key: &Key, token: Option<&str>) {
        let token = token.map(|token| format!("session_token = \"{token}\"\n")).unwrap_or_default();
        let Key { access, secret } = key;
        let lines = format!("access_key_id = \"{access}\"\nsecret_access_key = \"{secret}\"\n{token}");
        std::fs::write(file, lines).unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// What somebody else puts on top, with rights that iceboxer does not have.
    fn overwrite(&self, vault: &S3Vault, object: &str, bytes: &'static [u8]) {
        let call = vault.store.client.put_object().bucket("ice").key(format!("firn/{object}"));
        let call = call.checksum_crc64_nvme(super::checksum::Crc::of(bytes).text());
        let call = call.checksum_algorithm(ChecksumAlgorithm::Crc32).body(bytes.to_vec().into());
        vault.wait(call.send()).unwrap();
    }

    fn hide(&self, vault: &S3Vault, object: &str) {
        let call = vault.store.client.delete_object().bucket("ice").key(format!("firn/{object}"));
        vault.wait(call.send()).unwrap();
    }
}

/// Bytes that do not repeat.
fn large(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

#[test]
fn an_s3_vault_keeps_the_contract_with_the_least_of_rights() {
    conforms(|| {
        let rig = Rig::locked();
        (rig.writer(), rig)
    });
}

#[test]
fn a_large_object_goes_in_parts_and_is_whole_and_locked() {
    let rig = Rig::locked();
    let vault = rig.writer();
    let bytes = large(23 * MIB + 17);
    let until = later(92);
    let lock = put(&vault, "ice/web01/s/0001.pgp", &bytes, until).unwrap();
    assert!(lock.retain_until >= until);
    assert!(fetched(&vault, "ice/web01/s/0001.pgp") == bytes);
    let sent = rig.server.requests().iter().filter(|line| line.1 == "UploadPart").count();
    assert_eq!(sent, 5);
    assert!(rig.server.uploads("ice").is_empty());
    let [version] = &rig.server.versions("ice", "firn/ice/web01/s/0001.pgp")[..] else {
        panic!("one version")
    };
    assert_eq!(Some(version.version_id.as_str()), lock.version.as_ref().map(crate::VersionId::as_str));
}

#[test]
fn parts_of_content_that_is_not_as_announced_leave_nothing() {
    let rig = Rig::locked();
    let vault = rig.writer();
    let bytes = large(12 * MIB);
    let hash = ContentHash::of(&bytes);
    let other = ContentHash::of(b"other");
    let length = bytes.len() as u64;
    for (announced, hash) in [(length, other), (length + 1, hash), (length - 1, hash)] {
        let content = Content { bytes: announced, hash, reader: &mut bytes.as_slice() };
        let error = vault.put(&name("ice/a"), content, later(92)).unwrap_err();
        assert!(matches!(error, VaultError::Content { .. }), "{error}");
        assert!(rig.server.uploads("ice").is_empty() && rig.server.keys("ice").is_empty());
    }
}

#[test]
fn parts_that_a_killed_put_left_are_given_up_by_the_next() {
    let rig = Rig::locked();
    let vault = rig.writer();
    for key in ["firn/ice/a", "firn/ice/a.other"] {
        let call = vault.store.client.create_multipart_upload().bucket("ice").key(key);
        vault.wait(call.send()).unwrap();
    }
    put(&vault, "ice/a", &large(6 * MIB), later(92)).unwrap();
    let left: Vec<_> = rig.server.uploads("ice").into_iter().map(|upload| upload.key).collect();
    assert_eq!(left, ["firn/ice/a.other"], "only uploads of this very name are ours to end");
}

#[test]
fn parts_of_any_name_are_given_up_when_they_are_old() {
    let rig = Rig::locked();
    let vault = rig.writer();
    let begin = |key: &str| {
        let call = vault.store.client.create_multipart_upload().bucket("ice").key(key);
        vault.wait(call.send()).unwrap();
    };
    for key in [
        "firn/ice/old",
        "firn/canary/old",
        "other/ice/old",
        "firn/old",
        "firn/ice-cream/old",
        "firn/ice/old name",
    ] {
        begin(key);
    }
    let before = || vault.clock().unwrap() - TimeDelta::days(7);
    assert_eq!(vault.end_stale_puts(before()).unwrap(), 0);
    rig.server.advance_days(8);
    begin("firn/ice/new");
    assert_eq!(vault.end_stale_puts(before()).unwrap(), 2);
    let mut left: Vec<_> = rig.server.uploads("ice").into_iter().map(|upload| upload.key).collect();
    left.sort();
    assert_eq!(
        left,
        ["firn/ice-cream/old", "firn/ice/new", "firn/ice/old name", "firn/old", "other/ice/old"],
        "what no vault would put is somebody else's"
    );
}

#[test]
fn a_clock_that_is_a_year_wrong_shortens_no_lock_and_stops_nothing() {
    let rig = Rig::locked();
    rig.server.advance_days(366);
    let vault = rig.writer();
    let now = vault.clock().unwrap();
    assert!(now > Utc::now() + TimeDelta::days(365));
    let lock = put(&vault, "ice/a", &large(6 * MIB), now + TimeDelta::days(92)).unwrap();
    assert!(lock.retain_until >= now + TimeDelta::days(92));
    // Whatever the first call is.
    let other = rig.writer();
    assert_eq!(other.lock(&lock.object_ref()).unwrap(), lock);
}

#[test]
fn what_is_put_on_top_hides_nothing() {
    let rig = Rig::locked();
    let (vault, admin) = (rig.writer(), rig.admin());
    let lock = put(&vault, "ice/a", b"first", later(92)).unwrap();
    put(&vault, "ice/b", b"other", later(92)).unwrap();
    for _ in 0..3 {
        rig.overwrite(&admin, "ice/a", b"second");
    }
    rig.hide(&admin, "ice/a");
    rig.hide(&admin, "ice/b");
    rig.hide(&admin, "ice/never");
    assert_eq!(rig.server.versions("ice", "firn/ice/a").len(), 5);
    assert_eq!(listed(&vault, "ice/"), ["ice/a", "ice/b"]);
    assert_eq!(fetched(&vault, "ice/a"), b"first");
    assert_eq!(vault.lock(&object("ice/a")).unwrap(), lock);
    assert!(vault.extend_lock(&object("ice/a"), later(100)).unwrap().retain_until > lock.retain_until);
    assert!(matches!(vault.lock(&object("ice/never")).unwrap_err(), VaultError::Missing { .. }));
    assert!(matches!(put(&vault, "ice/a", b"third", later(92)).unwrap_err(), VaultError::Exists { .. }));
}

#[test]
fn a_listing_goes_over_many_pages_and_past_keys_that_are_no_names() {
    let rig = Rig::locked();
    let (vault, admin) = (rig.writer(), rig.admin());
    for number in 0..12 {
        put(&vault, &format!("ice/{number:02}"), b"x", later(92)).unwrap();
    }
    // An attacker's: more versions than a page holds, and a character that XML cannot carry.
    for _ in 0..1_005 {
        rig.overwrite(&admin, "ice/03", b"y");
    }
    rig.overwrite(&admin, "ice/04\u{1} +%", b"z");
    let names = listed(&vault, "ice/");
    assert_eq!(names.len(), 12, "{names:?}");
    assert_eq!(fetched(&vault, "ice/03"), b"x");
}

#[test]
fn an_archived_object_must_be_thawed_and_small_ones_are_not_archived() {
    let rig = Rig::locked();
    let rights = [&WRITER[..], &["s3:RestoreObject"]].concat();
    let key = rig.server.add_user("drill", vec![Statement::allow(&rights)]);
    let vault = rig.vault(&key, |settings| {
        settings.storage_class = Some(StorageClass::DeepArchive);
        settings.archive_from_bytes = 64 * 1024;
    });
    let bytes = large(100_000);
    put(&vault, "ice/a", &bytes, later(92)).unwrap();
    put(&vault, "ice/ice.json", b"{}", later(92)).unwrap();
    assert_eq!(fetched(&vault, "ice/ice.json"), b"{}");
    let frozen = vault.fetch(&object("ice/a")).err().unwrap();
    assert!(matches!(frozen, VaultError::Frozen { .. }), "{frozen}");
    assert_eq!(frozen.exit_code(), 35);
    let wish = |tier| Wish { tier, days: 3 };
    let error = vault.thaw(&object("ice/a"), wish(Tier::Expedited)).unwrap_err();
    assert!(matches!(error, VaultError::Tier { .. }), "{error}");
    let begun = vault.thaw(&object("ice/a"), wish(Tier::Standard)).unwrap();
    assert!(
        matches!(begun, Thawed::Underway { within: Some(within) } if within.num_hours() == 12),
        "{begun:?}"
    );
    let again = vault.thaw(&object("ice/a"), wish(Tier::Standard)).unwrap();
    assert_eq!(again, Thawed::Underway { within: None });
    rig.server.clock().set_skew(Skew::Ignored);
    rig.server.advance_days(1);
    let ready = vault.thaw(&object("ice/a"), wish(Tier::Standard)).unwrap();
    assert!(matches!(ready, Thawed::Ready { until: Some(_) }), "{ready:?}");
    assert!(fetched(&vault, "ice/a") == bytes);
}

#[test]
fn uploads_are_no_faster_than_the_settings_allow() {
    let rig = Rig::locked();
    let vault =
        rig.vault(&rig.server.add_admin(), |settings| settings.upload_bytes_per_second = Some(512 * 1024));
    let begun = std::time::Instant::now();
    let bytes = large(MIB);
    put(&vault, "ice/a", &bytes, later(92)).unwrap();
    assert!(begun.elapsed().as_secs_f64() > 1.8, "{:?}", begun.elapsed());
    assert!(fetched(&vault, "ice/a") == bytes);
}

#[test]
fn no_answer_is_read_whole_that_is_longer_than_any_should_be() {
    use super::bound::Bound;
    let rig = Rig::locked();
    let vault = rig.admin();
    put(&vault, "ice/a", &large(100_000), later(92)).unwrap();
    for number in 0..10 {
        rig.overwrite(&vault, &format!("ice/{number}"), b"x");
    }
    let settings =
        Settings { endpoint: Some(rig.server.endpoint()), path_style: true, ..Settings::new("a", "s3:ice") };
    let key = rig.server.add_admin();
    let known = aws_sdk_s3::config::Credentials::new(key.access, key.secret, None, None, "test");
    let provider = aws_sdk_s3::config::SharedCredentialsProvider::new(known);
    let config = super::store::config(&settings, provider).interceptor(Bound { most: 1_500 });
    let config = config.retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled());
    let client = aws_sdk_s3::Client::from_conf(config.build());
    let page = |most| {
        let page = vault.wait(client.list_objects_v2().bucket("ice").max_keys(most).send());
        page.map(|page| page.contents().len()).map_err(super::fault::Fault::from)
    };
    assert_eq!(page(1).unwrap(), 1);
    let error = page(11).unwrap_err();
    assert!(error.seen().contains("longer than any should be"), "{}", error.seen());
    let got = vault.wait(client.get_object().bucket("ice").key("firn/ice/a").send()).unwrap();
    assert_eq!(
        vault.wait(got.body.collect()).unwrap().into_bytes().len(),
        100_000,
        "a body that is streamed may be long"
    );
}
