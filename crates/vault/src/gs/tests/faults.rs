//! Servers that do not do what they say: the vault survives it, or says what is wrong. Each fault must have struck.

use fake_gcs::{Fault, Times};
use formats::ContentHash;

use super::{MIB, Rig, large, overwrite};
use crate::conformance::{fetched, later, object, put};
use crate::{Vault, VaultError};

/// Puts an object in one part and one in several while the fault is armed, and sees that both are whole and locked.
fn survives(fault: Fault, times: Times, struck_at_least: u64) {
    let rig = Rig::locked();
    let vault = rig.writer();
    rig.server.arm(fault, times);
    for (name, bytes) in [("ice/small", large(1_000)), ("ice/large", large(12 * MIB))] {
        let until = later(92);
        let lock = put(&vault, name, &bytes, until).unwrap();
        assert!(lock.retain_until >= until, "{fault:?}: {lock:?}");
        let [version] = &rig.server.versions("ice", &format!("firn/{name}"))[..] else {
            panic!("one version")
        };
        assert!(version.retention.unwrap().1 >= until, "{fault:?}: {version:?}");
        assert!(fetched(&vault, name) == bytes, "{fault:?}: {name}");
        assert_eq!(lock.hash, ContentHash::of(&bytes));
    }
    assert!(rig.server.uploads().is_empty(), "{fault:?}");
    assert!(rig.server.hits(fault) >= struck_at_least, "{fault:?} struck {} times", rig.server.hits(fault));
}

#[test]
fn a_lost_lock_is_set_again() {
    survives(Fault::LockLost, Times::Always, 2);
}

#[test]
fn a_shortened_lock_is_set_again() {
    survives(Fault::LockShortened(30), Times::Always, 2);
}

#[test]
fn a_storm_of_503_passes() {
    survives(Fault::Storm503, Times::Count(6), 6);
}

#[test]
fn a_storm_of_429_passes() {
    survives(Fault::TooMany429, Times::Count(3), 3);
}

#[test]
fn a_cut_part_goes_on_where_it_was_cut() {
    survives(Fault::CutPart, Times::Count(3), 3);
}

#[test]
fn a_part_of_which_only_some_is_kept_goes_on_there() {
    survives(Fault::KeepLess(333_333), Times::Count(4), 4);
    survives(Fault::KeepLess(3 * 512 * 1024), Times::Count(4), 4);
    survives(Fault::KeepLess(0), Times::Count(2), 2);
}

#[test]
fn an_answer_that_was_cut_off_is_no_failure() {
    survives(Fault::CutAnswer, Times::Count(4), 4);
}

#[test]
fn a_body_that_breaks_off_is_asked_for_again() {
    survives(Fault::CutBody, Times::Count(4), 4);
}

#[test]
fn an_upload_that_the_server_forgot_is_no_object() {
    let rig = Rig::locked();
    let vault = rig.writer();
    let bytes = large(12 * MIB);
    // The first part was kept and confirmed: it is no longer at hand.
    rig.server.arm(Fault::ForgetUpload, Times::Count(1));
    let error = put(&vault, "ice/a", &bytes, later(92)).unwrap_err();
    assert!(matches!(error, VaultError::Unreachable { .. }), "{error:?}");
    assert_eq!(rig.server.hits(Fault::ForgetUpload), 1);
    assert!(rig.server.keys("ice").is_empty() && rig.server.uploads().is_empty());
    put(&vault, "ice/a", &bytes, later(92)).unwrap();
    assert!(fetched(&vault, "ice/a") == bytes);
}

#[test]
fn a_lock_that_cannot_be_had_is_named() {
    for fault in [Fault::LockLost, Fault::LockShortened(30)] {
        let rig = Rig::locked();
        let vault = rig.writer();
        rig.server.arm(fault, Times::Always);
        rig.server.arm(Fault::ChangeIgnored, Times::Always);
        let error = put(&vault, "ice/a", b"abc", later(92)).unwrap_err();
        assert!(matches!(error, VaultError::LockMissing { .. }), "{fault:?}: {error:?}");
        assert_eq!(rig.server.hits(Fault::ChangeIgnored), 1);
    }
    let rig = Rig::locked();
    let vault = rig.writer();
    put(&vault, "ice/a", b"abc", later(92)).unwrap();
    rig.server.arm(Fault::ChangeIgnored, Times::Always);
    let error = vault.extend_lock(&object("ice/a"), later(100)).unwrap_err();
    assert!(matches!(error, VaultError::LockMissing { .. }), "{error:?}");
}

#[test]
fn a_wrong_checksum_is_told_at_once_and_damage_that_no_answer_tells_when_it_is_fetched() {
    let rig = Rig::locked();
    let vault = rig.writer();
    for bytes in [large(1_000), large(12 * MIB)] {
        let name = |what: &str| format!("ice/{what}{}", bytes.len());
        rig.server.arm(Fault::WrongChecksum, Times::Count(1));
        let error = put(&vault, &name("wrong"), &bytes, later(92)).unwrap_err();
        assert!(matches!(error, VaultError::Altered { .. }), "{error:?}");
        rig.server.arm(Fault::DamagedBytes, Times::Count(1));
        let lock = put(&vault, &name("damaged"), &bytes, later(92)).unwrap();
        assert_ne!(ContentHash::of(&fetched(&vault, &name("damaged"))), lock.hash);
    }
    assert_eq!((rig.server.hits(Fault::WrongChecksum), rig.server.hits(Fault::DamagedBytes)), (2, 2));
}

#[test]
fn a_server_that_stays_away_is_out_of_reach() {
    let rig = Rig::locked();
    let vault = rig.writer();
    put(&vault, "ice/a", b"abc", later(92)).unwrap();
    drop(rig);
    let error = vault.lock(&object("ice/a")).unwrap_err();
    assert!(matches!(error, VaultError::Unreachable { .. }), "{error:?}");
}

#[test]
fn a_name_that_another_put_took_meanwhile_is_theirs() {
    let rig = Rig::locked();
    let (vault, admin) = (rig.writer(), rig.admin());
    assert_eq!(overwrite(&admin, "ice/a", b"theirs"), 200);
    // The first list does not show it yet: so it came between.
    rig.server.arm(Fault::EmptyList, Times::Count(1));
    let error = put(&vault, "ice/a", b"ours", later(92)).unwrap_err();
    assert!(matches!(error, VaultError::Exists { .. }), "{error:?}");
    assert_eq!(rig.server.hits(Fault::EmptyList), 1);
    assert_eq!(rig.server.versions("ice", "firn/ice/a").len(), 1);
    assert_eq!(fetched(&vault, "ice/a"), b"[116,104,101,105,114,115]");
}

#[test]
fn a_version_that_was_replaced_is_not_taken_for_ours() {
    let rig = Rig::locked();
    let (vault, admin) = (rig.writer(), rig.admin());
    let lock = put(&vault, "ice/a", b"ours", later(92)).unwrap();
    assert_eq!(overwrite(&admin, "ice/a", b"theirs"), 403);
    rig.server.arm(Fault::DeleteAllowed, Times::Always);
    assert_eq!(overwrite(&admin, "ice/a", b"theirs"), 200);
    assert!(rig.server.hits(Fault::DeleteAllowed) > 0);
    assert!(matches!(vault.lock(&lock.object_ref()).unwrap_err(), VaultError::Missing { .. }));
    assert!(matches!(vault.lock(&object("ice/a")).unwrap_err(), VaultError::LockMissing { .. }));
}

#[test]
fn a_token_goes_to_no_other_server() {
    let rig = Rig::locked();
    let vault = rig.writer();
    rig.server.arm(Fault::Elsewhere, Times::Always);
    let error = put(&vault, "ice/a", b"abc", later(92)).unwrap_err();
    assert!(format!("{error:?}").contains("names another server"), "{error:?}");
    assert_eq!(rig.server.hits(Fault::Elsewhere), 1);
}
