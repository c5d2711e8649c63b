//! The provider's clock, its refusals, and what a bucket's policy is worth.

use chrono::{TimeDelta, Utc};
use fake_gcs::{Bucket, Grant, Mode, Skew, Versioning};
use reqwest::Method;
use serde_json::json;

use super::{Rig, WRITER, delete, overwrite, raw};
use crate::conformance::{fetched, later, listed, object, put};
use crate::gs::client::Call;
use crate::inspection::{Fact, Support};
use crate::stamp::utc_text;
use crate::{Vault, VaultError};

const DAY: i64 = 86_400;

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
fn a_wrong_clock_on_this_machine_is_named() {
    let rig = Rig::locked();
    rig.server.advance_days(400);
    let error = rig.writer().clock().unwrap_err();
    assert_eq!(error.exit_code(), 36, "{error:?}");
    assert!(error.advice().unwrap().contains("the clock of this machine"));
}

#[test]
fn refused_keys_say_so_and_a_missing_permission_is_named() {
    let rig = Rig::locked();
    let known = rig.server.add_account("known", vec![Grant::role("roles/storage.admin")]).unwrap();
    let other = Rig::locked().server.add_account("known", vec![]).unwrap();
    let unknown = known.replace("00001", "00009");
    for key in [other, unknown] {
        let error = put(&rig.vault_with(&key, |_| {}), "ice/a", b"abc", later(92)).unwrap_err();
        assert!(matches!(error, VaultError::Denied { permission: None, .. }), "{error:?}");
        assert!(!format!("{error:?}").contains("PRIVATE"));
    }
    for denied in [
        "storage.objects.list",
        "storage.objects.create",
        "storage.objects.setRetention",
        "storage.objects.get",
    ] {
        let rights: Vec<&str> =
            WRITER.into_iter().chain(["storage.objects.create"]).filter(|right| *right != denied).collect();
        let vault = rig.vault(vec![Grant::permissions(&rights)], |_| {});
        let error = put(&vault, &format!("ice/{denied}"), b"abc", later(92)).unwrap_err();
        assert_eq!(error.exit_code(), 36, "{denied}: {error:?}");
        assert!(error.advice().unwrap().contains(denied), "{denied}: {:?}", error.advice());
    }
}

#[test]
fn a_locked_policy_of_the_bucket_is_a_lock_and_needs_no_more_than_to_create() {
    let rig = Rig::new(Bucket { retention_seconds: Some(92 * DAY), locked: true, ..Bucket::default() });
    let less = ["storage.objects.get", "storage.objects.list", "storage.buckets.get"];
    let vault =
        rig.vault(vec![Grant::role("roles/storage.objectCreator"), Grant::permissions(&less)], |_| {});
    let until = later(92) - TimeDelta::minutes(1);
    let lock = put(&vault, "ice/a", b"abc", until).unwrap();
    assert!(lock.retain_until >= until && lock.retain_until <= later(92), "{lock:?}");
    assert_eq!(rig.server.versions("ice", "firn/ice/a")[0].retention, None);
    assert_eq!(vault.lock(&object("ice/a")).unwrap(), lock);
    // What lies beyond the policy would be a lock of the object's own, which this bucket does not have.
    let error = put(&vault, "ice/b", b"abc", later(93)).unwrap_err();
    assert!(matches!(error, VaultError::LockRefused { .. }), "{error:?}");
    assert_eq!(listed(&vault, ""), ["ice/a"]);
    for vault in [vault, rig.writer(), rig.admin()] {
        assert!(!vault.can_extend());
        let error = vault.extend_lock(&object("ice/a"), later(93)).unwrap_err();
        assert!(matches!(error, VaultError::LockRefused { .. }), "{error:?}");
    }
    assert_eq!([overwrite(&rig.admin(), "ice/a", b"x"), delete(&rig.admin(), "ice/a")], [403, 403]);
}

#[test]
fn locks_move_only_where_the_bucket_takes_them_and_the_account_may_set_them() {
    let without =
        |denied: &str| -> Vec<&str> { WRITER.into_iter().filter(|right| *right != denied).collect() };
    let locked = Bucket {
        object_retention: true,
        retention_seconds: Some(92 * DAY),
        locked: true,
        ..Bucket::default()
    };
    for (plan, rights, moves) in [
        (locked.clone(), WRITER.to_vec(), true),
        (Bucket { retention_seconds: None, locked: false, ..locked.clone() }, WRITER.to_vec(), true),
        (Bucket { object_retention: false, ..locked.clone() }, WRITER.to_vec(), false),
        (locked.clone(), without("storage.objects.setRetention"), false),
        (locked.clone(), without("storage.objects.update"), false),
        (locked.clone(), without("storage.buckets.get"), true),
    ] {
        let rig = Rig::new(plan.clone());
        let vault =
            rig.vault(vec![Grant::role("roles/storage.objectCreator"), Grant::permissions(&rights)], |_| {});
        assert_eq!(vault.can_extend(), moves, "{plan:?} {rights:?}");
        let asked = rig.asked("buckets.testIamPermissions");
        assert_eq!(vault.can_extend(), moves);
        assert_eq!(rig.asked("buckets.testIamPermissions"), asked, "asked for once");
        let found = vault.inspect();
        let crate::Inspection::Bucket(found) = found else { panic!("a bucket") };
        let support = if moves { Support::Possible } else { Support::Absent };
        assert_eq!(found.locks_move, Fact::Seen(support));
        let until = later(92) - TimeDelta::minutes(1);
        put(&vault, "ice/a", b"abc", until).unwrap();
        let extended = vault.extend_lock(&object("ice/a"), later(93));
        assert_eq!(extended.is_ok(), moves, "{plan:?} {rights:?}: {extended:?}");
        if let Err(error) = extended {
            assert!(matches!(error, VaultError::LockRefused { .. }), "{error:?}");
        }
    }
}

#[test]
fn the_longer_of_both_locks_counts() {
    for (bucket_days, asked_days, expected_days) in [(92, 200, 200), (200, 92, 200)] {
        let rig = Rig::new(Bucket {
            object_retention: true,
            retention_seconds: Some(bucket_days * DAY),
            locked: true,
            ..Bucket::default()
        });
        let vault = rig.writer();
        let lock = put(&vault, "ice/a", b"abc", later(asked_days)).unwrap();
        let off = lock.retain_until - later(expected_days);
        assert!(off.abs() < TimeDelta::minutes(1), "{off}");
    }
}

#[test]
fn a_policy_that_can_be_lifted_is_no_lock() {
    let plan = Bucket { retention_seconds: Some(1_000 * DAY), ..Bucket::default() };
    let rig = Rig::new(plan.clone());
    let error = put(&rig.writer(), "ice/a", b"abc", later(92)).unwrap_err();
    assert!(matches!(error, VaultError::LockRefused { .. }), "{error:?}");
    // With locks of their own, objects have them.
    let rig = Rig::new(Bucket { object_retention: true, ..plan });
    let lock = put(&rig.writer(), "ice/a", b"abc", later(92)).unwrap();
    assert!(lock.retain_until < later(93));
    assert_eq!(
        rig.server.versions("ice", "firn/ice/a")[0].retention,
        Some((Mode::Locked, lock.retain_until))
    );
}

#[test]
fn a_bucket_without_any_lock_takes_nothing() {
    for versioning in [Versioning::Off, Versioning::Enabled] {
        let rig = Rig::new(Bucket { versioning, ..Bucket::default() });
        let vault = rig.writer();
        let error = put(&vault, "ice/a", b"abc", later(92)).unwrap_err();
        assert!(matches!(error, VaultError::LockRefused { .. }), "{error:?}");
        assert_eq!(error.exit_code(), 32);
        assert!(listed(&vault, "").is_empty() && rig.server.uploads().is_empty());
    }
}

#[test]
fn a_lock_that_can_be_lifted_is_none() {
    let rig = Rig::locked();
    let (vault, admin) = (rig.writer(), rig.admin());
    assert_eq!(overwrite(&admin, "ice/a", b"not ours"), 200);
    let error = vault.lock(&object("ice/a")).unwrap_err();
    assert!(matches!(error, VaultError::LockMissing { .. }), "{error:?}");
    let url = admin.store.url(&["storage", "v1", "b", "ice", "o", "firn/ice/a"], &[]);
    let unlocked = json!({ "retention": { "mode": "Unlocked", "retainUntilTime": utc_text(&later(900)) } });
    assert_eq!(raw(&admin, Call::new(Method::PATCH, url).json(&unlocked)).status, 200);
    let error = vault.lock(&object("ice/a")).unwrap_err();
    assert!(error.to_string().contains("can be lifted"), "{error}");
}

#[test]
fn the_writer_can_neither_delete_nor_replace_nor_shorten() {
    let rig = Rig::locked();
    let vault = rig.writer();
    let lock = put(&vault, "ice/a", b"abc", later(92)).unwrap();
    assert_eq!((delete(&vault, "ice/a"), overwrite(&vault, "ice/a", b"x")), (403, 403));
    for change in [
        json!({ "retention": null }),
        json!({ "retention": { "mode": "Locked", "retainUntilTime": utc_text(&later(91)) } }),
        json!({ "retention": { "mode": "Unlocked", "retainUntilTime": utc_text(&later(93)) } }),
    ] {
        for query in [&[][..], &[("overrideUnlockedRetention", "true")]] {
            for who in [&vault, &rig.admin()] {
                let url = who.store.url(&["storage", "v1", "b", "ice", "o", "firn/ice/a"], query);
                assert_eq!(raw(who, Call::new(Method::PATCH, url).json(&change)).status, 403, "{change}");
            }
        }
    }
    let bucket = Call::new(Method::PATCH, vault.store.bucket_url(&[])).json(&json!({ "lifecycle": {} }));
    assert_eq!(raw(&vault, bucket).status, 403);
    assert_eq!(vault.lock(&object("ice/a")).unwrap(), lock);
    // The positive control: what is not locked any more is deleted by who may.
    rig.server.clock().set_skew(Skew::Ignored);
    rig.server.advance_days(93);
    assert_eq!((delete(&vault, "ice/a"), delete(&rig.admin(), "ice/a")), (403, 204));
}

#[test]
fn who_only_restores_needs_no_look_at_the_bucket() {
    let rig = Rig::locked();
    let lock = put(&rig.writer(), "ice/a", b"abc", later(92)).unwrap();
    let drill = rig.vault(vec![Grant::role("roles/storage.objectViewer")], |_| {});
    assert_eq!(drill.lock(&object("ice/a")).unwrap(), lock);
    assert_eq!((fetched(&drill, "ice/a"), listed(&drill, "")), (b"abc".to_vec(), vec!["ice/a".to_owned()]));
    assert!(drill.clock().is_ok());
}

#[test]
fn a_bucket_that_is_not_there_is_out_of_reach_and_nothing_is_missing() {
    let rig = Rig::locked();
    let vault = rig.admin();
    let lock = put(&vault, "ice/a", b"abc", later(92)).unwrap();
    rig.server.remove_bucket("ice");
    for error in [vault.lock(&object("ice/a")).unwrap_err(), vault.lock(&lock.object_ref()).unwrap_err()] {
        assert_eq!(error.exit_code(), 30, "{error:?}");
    }
}
