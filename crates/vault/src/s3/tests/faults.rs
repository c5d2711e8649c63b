//! Servers that do not do what they say: the vault survives it, or says what is wrong. Each fault must have struck.

use fake_s3::{Fault, Times};
use formats::ContentHash;

use super::{MIB, Rig, large};
use crate::conformance::{fetched, later, object, put};
use crate::{Vault, VaultError};

/// Puts an object in one call and one in parts while the fault is armed, and sees that both are whole and locked.
fn survives(fault: Fault, times: Times, struck_at_least: u64) {
    let rig = Rig::locked();
    let vault = rig.writer();
    rig.server.arm(fault, times);
    for (name, bytes) in [("ice/small", large(1_000)), ("ice/large", large(12 * MIB))] {
        let until = later(92);
        let lock = put(&vault, name, &bytes, until).unwrap();
        assert!(lock.retain_until >= until, "{fault:?}: {lock:?}");
        let versions = rig.server.versions("ice", &format!("firn/{name}"));
        let first = versions.last().unwrap();
        assert!(first.retention.unwrap().1 >= until, "{fault:?}: {first:?}");
        assert!(fetched(&vault, name) == bytes, "{fault:?}: {name}");
        assert_eq!(lock.hash, ContentHash::of(&bytes));
    }
    assert!(rig.server.uploads("ice").is_empty(), "{fault:?}");
    assert!(rig.server.hits(fault) >= struck_at_least, "{fault:?} struck {} times", rig.server.hits(fault));
}

#[test]
fn a_lock_lost_on_multipart_is_set_again() {
    survives(Fault::LockLostOnMultipart, Times::Always, 1);
}

#[test]
fn a_shortened_lock_is_set_again() {
    survives(Fault::LockShortened(30), Times::Always, 2);
}

#[test]
fn a_server_that_cannot_read_locks_back_is_asked_otherwise() {
    survives(Fault::RetentionReadBackFails, Times::Always, 1);
}

#[test]
fn a_storm_of_503_passes() {
    survives(Fault::ServerError503Storm, Times::Count(6), 6);
}

#[test]
fn a_storm_of_429_passes() {
    survives(Fault::SlowDown429, Times::Count(6), 6);
}

#[test]
fn a_cut_part_is_sent_again() {
    survives(Fault::CutPart, Times::Count(2), 2);
}

#[test]
fn an_answer_that_was_cut_off_is_no_failure() {
    survives(Fault::CutAnswer, Times::Count(2), 2);
}

#[test]
fn a_list_that_lags_behind_is_asked_again() {
    survives(Fault::StaleList(1), Times::Count(4), 4);
}

#[test]
fn a_server_that_stays_away_is_out_of_reach() {
    let rig = Rig::locked();
    let vault = rig.writer();
    put(&vault, "ice/a", b"abc", later(92)).unwrap();
    let endpoint = rig.server.endpoint();
    drop(rig);
    let error = vault.lock(&object("ice/a")).unwrap_err();
    assert!(matches!(error, VaultError::Unreachable { .. }), "{endpoint}: {error:?}");
}

#[test]
fn a_name_that_another_put_took_meanwhile_is_theirs() {
    for ignored in [false, true] {
        let rig = Rig::locked();
        let (vault, admin) = (rig.writer(), rig.admin());
        rig.overwrite(&admin, "ice/a", b"theirs");
        // The first list does not show it yet: so it came between.
        rig.server.arm(Fault::StaleList(1), Times::Count(1));
        if ignored {
            rig.server.arm(Fault::IgnoreIfNoneMatch, Times::Always);
        }
        let error = put(&vault, "ice/a", b"ours", later(92)).unwrap_err();
        assert!(matches!(error, VaultError::Exists { .. }), "{error:?}");
        assert_eq!(rig.server.hits(Fault::StaleList(0)), 1);
        assert_eq!(rig.server.hits(Fault::IgnoreIfNoneMatch), u64::from(ignored));
        assert_eq!(fetched(&vault, "ice/a"), b"theirs", "the first version stays what the name means");
    }
}

#[test]
fn bytes_that_a_server_damaged_show_when_they_are_fetched() {
    let rig = Rig::locked();
    let vault = rig.writer();
    rig.server.arm(Fault::WrongChecksumAccepted, Times::Always);
    for bytes in [large(1_000), large(12 * MIB)] {
        let name = format!("ice/{}", bytes.len());
        let lock = put(&vault, &name, &bytes, later(92)).unwrap();
        // No answer of the server tells; the hash that the lock carries does.
        assert_ne!(ContentHash::of(&fetched(&vault, &name)), lock.hash);
    }
    assert!(rig.server.hits(Fault::WrongChecksumAccepted) >= 2);
}

#[test]
fn a_version_that_was_replaced_is_not_taken_for_ours() {
    let rig = Rig::locked();
    let (vault, admin) = (rig.writer(), rig.admin());
    let lock = put(&vault, "ice/a", b"ours", later(92)).unwrap();
    rig.server.arm(Fault::OverwriteReplaces, Times::Always);
    rig.overwrite(&admin, "ice/a", b"theirs");
    assert!(rig.server.hits(Fault::OverwriteReplaces) > 0);
    assert!(matches!(vault.lock(&lock.object_ref()).unwrap_err(), VaultError::Missing { .. }));
    assert!(matches!(vault.lock(&object("ice/a")).unwrap_err(), VaultError::LockMissing { .. }));
}
