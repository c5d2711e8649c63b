//! The provider's clock, its refusals, and buckets that cannot lock.

use chrono::{TimeDelta, Utc};
use fake_s3::{Bucket, Key, Mode, Skew, Statement, Versioning};

use super::{Rig, WRITER};
use crate::conformance::{fetched, later, listed, object, put};
use crate::{Vault, VaultError};

#[test]
fn dates_are_counted_by_the_providers_clock() {
    let rig = Rig::locked();
    rig.server.clock().set_skew(Skew::Ignored);
    rig.server.advance_days(400);
    let vault = rig.writer();
    let ahead = vault.clock().unwrap() - Utc::now();
    assert!((ahead - TimeDelta::days(400)).abs() < TimeDelta::minutes(1), "{ahead}");
    let error = put(&vault, "ice/a", b"abc", later(300)).unwrap_err();
    assert!(matches!(error, VaultError::LockRefused { .. }), "{error}");
    assert!(rig.server.keys("ice").is_empty());
    put(&vault, "ice/a", b"abc", later(500)).unwrap();
}

#[test]
fn refused_credentials_say_so_and_a_missing_permission_is_named() {
    let rig = Rig::locked();
    let known = rig.server.add_admin();
    for key in [
        Key { access: known.access, secret: "wrong".to_owned() },
        Key { access: "AKIAUNKNOWN".to_owned(), secret: "wrong".to_owned() },
    ] {
        let error = put(&rig.vault(&key, |_| {}), "ice/a", b"abc", later(92)).unwrap_err();
        assert!(matches!(error, VaultError::Denied { permission: None, .. }), "{error:?}");
        assert_eq!(error.exit_code(), 36);
        assert!(error.advice().unwrap().contains("credentials"));
    }
    for denied in [
        "s3:ListBucketVersions",
        "s3:PutObject",
        "s3:PutObjectRetention",
        "s3:GetObjectVersion",
        "s3:GetObjectRetention",
    ] {
        let rights = vec![Statement::allow(&WRITER), Statement::deny(&[denied])];
        let vault = rig.vault(&rig.server.add_user("less", rights), |_| {});
        let error = put(&vault, &format!("ice/{}", &denied[3..]), b"abc", later(92)).unwrap_err();
        assert_eq!(error.exit_code(), 36, "{denied}: {error:?}");
        assert!(error.advice().unwrap().contains(denied), "{denied}: {:?}", error.advice());
    }
}

#[test]
fn a_bucket_without_object_lock_takes_nothing() {
    for versioning in [Versioning::Off, Versioning::Enabled] {
        let rig = Rig::new(Bucket { versioning, ..Bucket::default() });
        let vault = rig.writer();
        let error = put(&vault, "ice/a", b"abc", later(92)).unwrap_err();
        assert!(matches!(error, VaultError::LockRefused { .. }), "{error:?}");
        assert_eq!(error.exit_code(), 32);
        assert!(listed(&vault, "").is_empty());
    }
}

#[test]
fn a_lock_that_can_be_lifted_is_none() {
    let rig = Rig::new(Bucket { default_retention: Some((Mode::Governance, 200)), ..Bucket::default() });
    let (vault, admin) = (rig.writer(), rig.admin());
    rig.overwrite(&admin, "ice/a", b"not ours");
    let error = vault.lock(&object("ice/a")).unwrap_err();
    assert!(matches!(error, VaultError::LockMissing { .. }), "{error:?}");
    let lock = put(&vault, "ice/b", b"ours", later(92)).unwrap();
    let [version] = &rig.server.versions("ice", "firn/ice/b")[..] else { panic!("one version") };
    assert_eq!(version.retention, Some((Mode::Compliance, lock.retain_until)));
    assert_eq!(fetched(&vault, "ice/b"), b"ours");
}

#[test]
fn a_bucket_that_is_not_there_is_out_of_reach_and_nothing_is_missing() {
    let rig = Rig::locked();
    let vault = rig.admin();
    rig.server.add_bucket("other", Bucket::default());
    vault.wait(vault.store.client.delete_bucket().bucket("ice").send()).unwrap();
    let mut named = object("ice/a");
    named.version = "a-version".parse().ok();
    for object in [object("ice/a"), named] {
        let error = vault.lock(&object).unwrap_err();
        assert_eq!(error.exit_code(), 30, "{error:?}");
    }
}
