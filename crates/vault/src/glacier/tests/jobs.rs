//! What takes hours: inventories and thaws.

use super::*;
use crate::ObjectFolder;

#[test]
fn another_machine_learns_from_the_inventory_what_there_is() {
    let rig = Rig::keeping(93);
    let writer = rig.writer();
    let lock = put(&writer, "ice/web01/s/0000.pgp", b"abc", later(92)).unwrap();
    let foreign = writer.store.client.upload_archive().account_id("-").vault_name("ice");
    writer.wait(foreign.archive_description("holiday pictures").body(b"xyz".to_vec().into()).send()).unwrap();
    let reader = rig.reader();
    for asked in [
        reader.list(&ObjectFolder::all()).map(drop),
        reader.lock(&lock.object_ref()).map(drop),
        reader.thaw(&lock.object_ref(), STANDARD).map(drop),
        reader.fetch(&object("ice/web01/s/0000.pgp")).map(drop),
    ] {
        let unknown = asked.unwrap_err();
        assert!(
            matches!(unknown, VaultError::Inventory { .. }),
            "never counted is not known to be empty: {unknown}"
        );
        assert_eq!(unknown.exit_code(), 35);
    }
    rig.hours(25);
    let folder: ObjectFolder = "ice/".parse().unwrap();
    for _ in 0..2 {
        let asked = reader.list(&folder).err().unwrap();
        assert!(matches!(asked, VaultError::Inventory { .. }), "{asked}");
        assert_eq!(asked.exit_code(), 35);
        assert_eq!(reader.lock(&lock.object_ref()).unwrap_err().exit_code(), 35, "not known is not missing");
    }
    let jobs = rig.server.requests().iter().filter(|line| line.0 == "InitiateJob").count();
    assert_eq!(jobs, 1, "asked for once");
    rig.hours(5);
    assert_eq!(listed(&reader, ""), ["ice/web01/s/0000.pgp"]);
    let seen = reader.lock(&object("ice/web01/s/0000.pgp")).unwrap();
    assert_eq!((seen.version, seen.bytes, seen.hash), (lock.version.clone(), 3, lock.hash));
    assert!(seen.retain_until >= lock.retain_until);
    assert_eq!(rig.thawed(&reader, &lock.object_ref()), b"abc");

    // What comes later is seen after the next inventory; until then, what is known is shown.
    put(&writer, "ice/web02/s/0000.pgp", b"abc", lock.retain_until - TimeDelta::days(1)).unwrap();
    rig.hours(25);
    assert_eq!(listed(&reader, "").len(), 1);
    rig.hours(5);
    assert_eq!(listed(&reader, "").len(), 2);
    // The writer never asks for one: it knows, and may not.
    assert_eq!(listed(&writer, "").len(), 2);
}

#[test]
fn a_machine_that_lost_its_index_puts_nothing_before_it_knows() {
    let rig = Rig::keeping(200);
    put(&rig.writer(), "ice/a", b"first", later(92)).unwrap();
    rig.server.count("ice");
    let (blind, both) = (rig.writer(), rig.both());
    let denied = put(&blind, "ice/a", b"second", later(92)).unwrap_err();
    assert!(matches!(denied, VaultError::Denied { permission: Some("glacier:ListJobs"), .. }), "{denied:?}");
    assert_eq!(put(&both, "ice/a", b"second", later(92)).unwrap_err().exit_code(), 35);
    rig.hours(5);
    let taken = put(&both, "ice/a", b"second", later(92)).unwrap_err();
    assert!(matches!(taken, VaultError::Exists { .. }), "{taken}");
    assert_eq!(rig.server.archives("ice").len(), 1);
}

#[test]
fn the_first_archive_of_a_name_is_the_object_and_others_are_named_by_their_id() {
    let rig = Rig::keeping(200);
    let writer = rig.writer();
    let first = put(&writer, "ice/a", b"first", later(92)).unwrap();
    rig.hours(1);
    // A thief's, under the same name.
    let thief = rig.writer();
    let second = put(&thief, "ice/a", b"thief", later(92)).unwrap();
    rig.server.count("ice");
    let reader = rig.both();
    assert!(reader.list(&ObjectFolder::all()).is_err());
    rig.hours(5);
    assert_eq!(listed(&reader, ""), ["ice/a"]);
    assert_eq!(reader.lock(&object("ice/a")).unwrap().version, first.version);
    assert_eq!(rig.thawed(&reader, &object("ice/a")), b"first");
    assert_eq!(rig.thawed(&reader, &second.object_ref()), b"thief");
}

#[test]
fn a_thaw_tells_its_hours_and_asking_again_changes_nothing() {
    let rig = Rig::keeping(93);
    let vault = rig.both();
    put(&vault, "ice/a", &large(100_000), later(92)).unwrap();
    let a = object("ice/a");
    assert!(matches!(vault.fetch(&a).err().unwrap(), VaultError::Frozen { .. }));
    let asked = || rig.server.requests().iter().filter(|line| line.0 == "InitiateJob").count();
    assert_eq!(asked(), 0, "a long archive is thawed by whoever asks for that, and pays for it");
    let within = Some(TimeDelta::hours(12));
    assert_eq!(vault.thaw(&a, Wish { tier: Tier::Bulk, days: 3 }).unwrap(), Thawed::Underway { within });
    assert_eq!(vault.thaw(&a, STANDARD).unwrap(), Thawed::Underway { within: None });
    assert_eq!(asked(), 1);
    rig.hours(9);
    let Thawed::Ready { until: Some(until) } = vault.thaw(&a, STANDARD).unwrap() else { panic!("ready") };
    assert!(
        until > rig.server.now() + TimeDelta::hours(20) && until < rig.server.now() + TimeDelta::hours(24)
    );
    rig.hours(25);
    assert!(
        matches!(vault.fetch(&a).err().unwrap(), VaultError::Frozen { .. }),
        "the output was there for a day"
    );
}

#[test]
fn a_short_archive_is_asked_for_by_reading_it_with_the_short_ones_beside_it() {
    let rig = Rig::keeping(93);
    let vault = rig.both();
    for (name, bytes) in [
        ("ice/s/ice.json", 10),
        ("ice/s/catalogue.pgp", 10),
        ("ice/s/0000.pgp", 100_000),
        ("ice/t/ice.json", 10),
    ] {
        put(&vault, name, &large(bytes), later(92)).unwrap();
    }
    for _ in 0..2 {
        assert!(matches!(vault.fetch(&object("ice/s/ice.json")).err().unwrap(), VaultError::Frozen { .. }));
    }
    assert_eq!(rig.server.requests().iter().filter(|line| line.0 == "InitiateJob").count(), 2);
    rig.hours(5);
    for name in ["ice/s/ice.json", "ice/s/catalogue.pgp"] {
        let mut bytes = Vec::new();
        vault.fetch(&object(name)).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, large(10));
    }
}

#[test]
fn jobs_of_others_for_another_form_or_a_part_are_not_taken_for_ours() {
    use aws_sdk_glacier::types::JobParameters;
    let rig = Rig::keeping(200);
    let writer = rig.writer();
    let bytes = large(2 * MIB);
    let lock = put(&writer, "ice/a", &bytes, later(92)).unwrap();
    rig.server.count("ice");
    let reader = rig.reader();
    let begin = |job: JobParameters| {
        let call = reader.store.client.initiate_job().account_id("-").vault_name("ice").job_parameters(job);
        reader.wait(call.send()).unwrap();
    };
    begin(JobParameters::builder().r#type("inventory-retrieval").format("CSV").build());
    begin(
        JobParameters::builder()
            .r#type("inventory-retrieval")
            .format("CSV")
            .description("firn inventory")
            .build(),
    );
    let part = JobParameters::builder()
        .r#type("archive-retrieval")
        .archive_id(lock.version.as_ref().unwrap().as_str());
    begin(part.retrieval_byte_range("0-1048575").build());
    rig.hours(5);
    assert_eq!(reader.list(&ObjectFolder::all()).err().unwrap().exit_code(), 35, "ours is asked for now");
    rig.hours(5);
    assert_eq!(listed(&reader, ""), ["ice/a"]);
    assert!(matches!(reader.fetch(&object("ice/a")).err().unwrap(), VaultError::Frozen { .. }));
    assert!(rig.thawed(&reader, &object("ice/a")) == bytes);
}
