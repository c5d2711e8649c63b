//! Servers that lie or fail.

use fake_glacier::{Fault, Times};

use super::*;

#[test]
fn an_answer_that_names_another_tree_hash_is_believed_by_nobody() {
    for bytes in [100, 3 * MIB] {
        let rig = Rig::keeping(93);
        rig.server.count("ice");
        let vault = rig.writer();
        rig.server.arm(Fault::WrongTreeHash, Times::Count(1));
        let error = put(&vault, "ice/a", &large(bytes), later(92)).unwrap_err();
        assert!(matches!(error, VaultError::Altered { .. }), "{error}");
        assert_eq!((error.exit_code(), rig.server.hits(Fault::WrongTreeHash)), (37, 1));
        assert!(listed(&vault, "").is_empty(), "it is not known as good");
        put(&vault, "ice/a", &large(bytes), later(92)).unwrap();
    }
}

#[test]
fn a_server_that_is_busy_is_asked_again() {
    let rig = Rig::keeping(93);
    let vault = rig.writer();
    rig.server.arm(Fault::ServerError503, Times::Count(2));
    put(&vault, "ice/a", b"abc", later(92)).unwrap();
    assert_eq!(rig.server.hits(Fault::ServerError503), 2);
}

#[test]
fn an_archive_whose_answer_was_lost_is_stored_again_and_both_are_as_announced() {
    let rig = Rig::keeping(93);
    let vault = rig.both();
    rig.server.arm(Fault::CutAnswer, Times::Count(1));
    let lock = put(&vault, "ice/a", b"abc", later(92)).unwrap();
    assert_eq!(rig.server.hits(Fault::CutAnswer), 1);
    assert_eq!(rig.server.archives("ice").len(), 2);
    assert_eq!(rig.thawed(&vault, &lock.object_ref()), b"abc");
}

#[test]
fn parts_whose_last_answer_was_lost_are_not_known_and_can_be_put_again() {
    let rig = Rig::keeping(93);
    rig.server.count("ice");
    let vault = rig.both();
    let bytes = large(3 * MIB);
    rig.server.arm(Fault::CutAnswer, Times::Count(1));
    let error = put(&vault, "ice/a", &bytes, later(92)).unwrap_err();
    assert!(matches!(error, VaultError::Unreachable { .. }), "{error}");
    assert!(matches!(vault.lock(&object("ice/a")).unwrap_err(), VaultError::Missing { .. }));
    let lock = put(&vault, "ice/a", &bytes, later(92)).unwrap();
    assert!(rig.thawed(&vault, &lock.object_ref()) == bytes);
}

#[test]
fn a_bit_that_turned_over_on_the_way_fails_the_reading() {
    let rig = Rig::keeping(93);
    let vault = rig.both();
    put(&vault, "ice/a", b"abc", later(92)).unwrap();
    vault.thaw(&object("ice/a"), STANDARD).unwrap();
    rig.hours(5);
    rig.server.arm(Fault::FlippedBit, Times::Count(1));
    let mut bytes = Vec::new();
    let error = vault.fetch(&object("ice/a")).unwrap().read_to_end(&mut bytes).unwrap_err();
    assert!(error.to_string().contains("tree hash"), "{error}");
    assert_eq!(rig.server.hits(Fault::FlippedBit), 1);
    assert_eq!(rig.thawed(&vault, &object("ice/a")), b"abc");
}
