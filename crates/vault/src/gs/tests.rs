//! A `gs:` vault on a server that enforces what Google does, with an account that may do what iceboxer's may and no more.

mod faults;
mod locks;
mod probes;

use std::os::unix::fs::PermissionsExt;

use fake_gcs::{Bucket, FakeGcs, Grant, Versioning};
use formats::ContentHash;
use reqwest::Method;

use super::GsVault;
use super::client::{Answer, Call};
use crate::conformance::{conforms, fetched, later, listed, name, object, put};
use crate::{Content, Settings, StorageClass, Thawed, Tier, Vault, VaultError, Wish};

/// What iceboxer's account may do beside creating objects, and restore-drill's beside the first two.
const WRITER: [&str; 5] = [
    "storage.objects.get",
    "storage.objects.list",
    "storage.buckets.get",
    "storage.objects.setRetention",
    "storage.objects.update",
];
const MIB: usize = 1024 * 1024;

/// A server, and the keys of accounts on it.
struct Rig {
    server: FakeGcs,
    folder: tempfile::TempDir,
}

impl Rig {
    fn new(bucket: Bucket) -> Rig {
        let server = FakeGcs::start().unwrap();
        server.add_bucket("ice", bucket);
        Rig { server, folder: tempfile::tempdir().unwrap() }
    }

    /// A bucket whose objects have locks of their own, and that does nothing else for them.
    fn locked() -> Rig {
        Rig::new(Bucket { object_retention: true, ..Bucket::default() })
    }

    fn writer(&self) -> GsVault {
        self.vault(vec![Grant::role("roles/storage.objectCreator"), Grant::permissions(&WRITER)], |_| {})
    }

    fn admin(&self) -> GsVault {
        self.vault(vec![Grant::role("roles/storage.admin")], |_| {})
    }

    fn vault(&self, grants: Vec<Grant>, change: impl FnOnce(&mut Settings)) -> GsVault {
        let key = self.server.add_account("someone", grants).unwrap();
        self.vault_with(&key, change)
    }

    fn vault_with(&self, key: &str, change: impl FnOnce(&mut Settings)) -> GsVault {
        let file = self.folder.path().join("key.json");
        let _ = std::fs::remove_file(&file);
        std::fs::write(&file, key).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let mut settings = Settings::new("off-site", "gs:ice/firn/");
        settings.endpoint = Some(self.server.endpoint());
        settings.part_bytes = 5 * MIB as u64;
        settings.credentials_file = Some(file);
        change(&mut settings);
        GsVault::open(&settings, "ice/firn/").unwrap()
    }

    /// How many requests of this kind were answered.
    fn asked(&self, operation: &str) -> usize {
        self.server.requests().iter().filter(|line| line.1 == operation).count()
    }
}

/// What a thief would do, with the rights of `vault`.
fn raw(vault: &GsVault, call: Call) -> Answer {
    vault.wait(vault.store.client.once(&call)).unwrap()
}

fn overwrite(vault: &GsVault, object: &str, bytes: &'static [u8]) -> u16 {
    let query = [("uploadType", "media"), ("name", &*format!("firn/{object}"))];
    let call = Call::new(Method::POST, vault.store.upload_url(&query)).json(&serde_json::json!(bytes));
    raw(vault, call).status
}

fn delete(vault: &GsVault, object: &str) -> u16 {
    let key = format!("firn/{object}");
    raw(vault, Call::new(Method::DELETE, vault.store.url(&["storage", "v1", "b", "ice", "o", &key], &[])))
        .status
}

/// Bytes that do not repeat.
fn large(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

#[test]
fn a_gs_vault_keeps_the_contract_with_the_least_of_rights() {
    conforms(|| {
        let rig = Rig::locked();
        (rig.writer(), rig)
    });
}

#[test]
fn a_gs_vault_with_old_generations_and_a_bucket_lock_keeps_the_contract_too() {
    conforms(|| {
        let rig = Rig::new(Bucket {
            object_retention: true,
            retention_seconds: Some(60),
            locked: true,
            versioning: Versioning::Enabled,
        });
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
    assert_eq!(rig.asked("objects.insert.part"), 5);
    assert!(rig.server.uploads().is_empty());
    let [version] = &rig.server.versions("ice", "firn/ice/web01/s/0001.pgp")[..] else {
        panic!("one version")
    };
    assert_eq!(Some(version.generation.to_string()), lock.version.map(|version| version.to_string()));
    assert_eq!(version.storage_class, "STANDARD");
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
        assert!(rig.server.uploads().is_empty() && rig.server.keys("ice").is_empty());
    }
}

#[test]
fn what_is_put_on_top_hides_nothing() {
    let rig =
        Rig::new(Bucket { object_retention: true, versioning: Versioning::Enabled, ..Bucket::default() });
    let (vault, admin) = (rig.writer(), rig.admin());
    let lock = put(&vault, "ice/a", b"first", later(92)).unwrap();
    put(&vault, "ice/b", b"other", later(92)).unwrap();
    for _ in 0..3 {
        assert_eq!(overwrite(&admin, "ice/a", b"second"), 200);
    }
    assert_eq!((delete(&admin, "ice/a"), delete(&admin, "ice/b")), (204, 204));
    assert_eq!(rig.server.versions("ice", "firn/ice/a").len(), 4);
    assert!(rig.server.versions("ice", "firn/ice/a").iter().all(|version| !version.is_live));
    assert_eq!(listed(&vault, "ice/"), ["ice/a", "ice/b"]);
    assert_eq!(fetched(&vault, "ice/a"), b"first");
    assert_eq!(vault.lock(&object("ice/a")).unwrap(), lock);
    assert!(vault.extend_lock(&object("ice/a"), later(100)).unwrap().retain_until > lock.retain_until);
    assert!(matches!(put(&vault, "ice/a", b"third", later(92)).unwrap_err(), VaultError::Exists { .. }));
}

#[test]
fn a_listing_goes_over_many_pages_and_past_keys_that_are_no_names() {
    let rig =
        Rig::new(Bucket { object_retention: true, versioning: Versioning::Enabled, ..Bucket::default() });
    let (vault, admin) = (rig.writer(), rig.admin());
    for number in 0..12 {
        put(&vault, &format!("ice/{number:02}"), b"x", later(92)).unwrap();
    }
    // More generations than a page holds, and a key that no vault makes.
    for _ in 0..1_005 {
        overwrite(&admin, "ice/03", b"y");
    }
    overwrite(&admin, "ice/04\u{1} +%\u{e4}", b"z");
    let names = listed(&vault, "ice/");
    assert_eq!(names.len(), 12, "{names:?}");
    assert_eq!(fetched(&vault, "ice/03"), b"x");
}

#[test]
fn names_as_long_as_can_be_written_make_no_list_unreadable() {
    let rig = Rig::locked();
    let (vault, admin) = (rig.writer(), rig.admin());
    put(&vault, "ice/a", b"x", later(92)).unwrap();
    // A thief's, who may only create.
    for number in 0..700 {
        let name = format!("ice/{}{number:04}", "\u{1}".repeat(1_024 - "firn/ice/0000".len()));
        assert_eq!(overwrite(&admin, &name, b"y"), 200);
    }
    assert_eq!(listed(&vault, "ice/"), ["ice/a"]);
    assert_eq!(fetched(&vault, "ice/a"), b"x");
}

#[test]
fn every_class_is_read_at_once() {
    let rig = Rig::locked();
    for class in [StorageClass::Nearline, StorageClass::Coldline, StorageClass::Archive] {
        let grants = vec![Grant::role("roles/storage.objectCreator"), Grant::permissions(&WRITER)];
        let vault = rig.vault(grants, |settings| settings.storage_class = Some(class));
        put(&vault, class.as_str(), b"abc", later(92)).unwrap();
        assert_eq!(
            rig.server.versions("ice", &format!("firn/{}", class.as_str()))[0].storage_class,
            class.as_str()
        );
        let wish = Wish { tier: Tier::Expedited, days: 1 };
        assert_eq!(vault.thaw(&object(class.as_str()), wish).unwrap(), Thawed::Ready { until: None });
        assert_eq!(fetched(&vault, class.as_str()), b"abc");
    }
}

#[test]
fn uploads_are_no_faster_than_the_settings_allow() {
    let rig = Rig::locked();
    let grants = vec![Grant::role("roles/storage.admin")];
    let vault = rig.vault(grants, |settings| settings.upload_bytes_per_second = Some(512 * 1024));
    let begun = std::time::Instant::now();
    let bytes = large(MIB);
    put(&vault, "ice/a", &bytes, later(92)).unwrap();
    assert!(begun.elapsed().as_secs_f64() > 1.8, "{:?}", begun.elapsed());
    assert!(fetched(&vault, "ice/a") == bytes);
}
