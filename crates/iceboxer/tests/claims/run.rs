//! A run as a whole: what it stores, what it skips, and how it ends.

use std::fs;
use std::os::unix::fs::MetadataExt;

use chrono::{TimeDelta, Utc};
use cli::Exit;
use iceboxer::ledger::LedgerState;
use iceboxer::plan::{Again, Plan};
use vault::{MemoryVault, VaultError};

use crate::rig::{Scratch, Spec, days_from_now, everything, meta, run};

#[test]
fn each_recipient_alone_opens_every_segment() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.recipient("one"), scratch.recipient("two"));
    let name = scratch.snapshot("web01", &everything());
    run(scratch.plan(&[one.clone(), two.clone()], vec![scratch.target()])).unwrap();
    let record = scratch.record(&format!("web01/{name}"));
    assert!(record.segments.len() > 3, "the first, some whole ones, and a rest");
    for gone in [one, two] {
        let print = gone.fingerprint().as_str();
        let kept = scratch.export("kept", &["--export-secret-keys", print]);
        scratch.gpg_ok(&["--yes", "--delete-secret-keys", print]);
        scratch.thaw(&format!("web01/{name}"));
        scratch.gpg_ok(&["--import", kept.to_str().unwrap()]);
    }
    // The format that GnuPG 2.2 reads, without compression or signature.
    let first = scratch.path("vault/objects").join(&record.segments[0].object);
    let packets = String::from_utf8(scratch.gpg_ok(&["--list-packets", first.to_str().unwrap()])).unwrap();
    assert_eq!(packets.matches(":pubkey enc packet: version 3").count(), 2, "{packets}");
    assert!(packets.contains("mdc_method: 2") && packets.contains(":literal data packet:"), "{packets}");
    assert!(!packets.contains("compressed packet") && !packets.contains("signature packet"), "{packets}");
}

#[test]
fn what_is_stored_is_locked_and_in_the_ledger() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let name = scratch.snapshot("web01", &everything());
    run(scratch.plan(&recipients, vec![scratch.target()])).unwrap();
    let record = scratch.record(&format!("web01/{name}"));
    let vault = scratch.target().vault;
    let mut shortened = 0;
    for object in scratch.objects() {
        let object: vault::ObjectName = format!("ice/{object}").parse().unwrap();
        let object = object.into();
        let lock = vault.lock(&object).unwrap();
        assert!(lock.retain_until >= Utc::now() + TimeDelta::days(92));
        assert!(lock.retain_until <= Utc::now() + TimeDelta::days(94));
        let shorter = vault.extend_lock(&object, lock.retain_until - TimeDelta::days(1)).unwrap_err();
        assert!(matches!(shorter, VaultError::LockRefused { .. }));
        shortened += 1;
    }
    assert_eq!(shortened, record.segments.len() + 2);
    let ledger = LedgerState::read(&scratch.path("ledger")).unwrap();
    let [entry] = ledger.entries() else { panic!("{ledger:?}") };
    assert_eq!(entry.ice, record.ice);
    assert!(days_from_now(&entry.retain_until) >= 91);
    assert_eq!(entry.bytes(), record.segments.iter().map(|segment| segment.bytes).sum::<u64>());
}

#[test]
fn nothing_of_a_host_stays_in_the_staging_folder_and_it_is_for_its_owner_only() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    scratch.snapshot("web01", &everything());
    run(scratch.plan(&recipients, vec![scratch.target()])).unwrap();
    assert!(scratch.is_staging_empty("web01"));
    assert_eq!(fs::metadata(scratch.path("staging/web01")).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn a_snapshot_that_is_off_site_is_sealed_again_only_when_asked() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let first = scratch.snapshot("web01", &everything());
    let plan = || scratch.plan(&recipients, vec![scratch.target()]);
    run(plan()).unwrap();
    let objects = scratch.objects();
    run(plan()).unwrap();
    assert_eq!(scratch.objects(), objects);
    run(Plan { again: Again::Seal, ..plan() }).unwrap();
    assert_eq!(scratch.record(&format!("web01/{first}.2")).ice.to_string(), format!("web01/{first}.2"));
    assert_eq!(scratch.objects().len(), objects.len() * 2);
    scratch.thaw(&format!("web01/{first}.2"));
    let second = scratch.snapshot("web01", &vec![(b"a", Spec::Folder, meta(0o755, 0, 1))]);
    run(plan()).unwrap();
    scratch.record(&format!("web01/{second}"));
    assert_eq!(LedgerState::read(&scratch.path("ledger")).unwrap().entries().len(), 3);
}

#[test]
fn every_vault_gets_its_own_ice_and_one_that_lacks_it_gets_it_later() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    scratch.snapshot("web01", &everything());
    run(scratch.plan(&recipients, vec![scratch.target()])).unwrap();
    let before = scratch.objects();
    run(scratch.plan(&recipients, vec![scratch.target(), scratch.other()])).unwrap();
    assert_eq!(scratch.objects(), before, "the first vault has it already");
    assert_eq!(scratch.other().vault.list(&"ice/".parse().unwrap()).unwrap().count(), before.len());
    let vaults: Vec<String> = LedgerState::read(&scratch.path("ledger"))
        .unwrap()
        .entries()
        .iter()
        .map(|e| e.vault.clone())
        .collect();
    assert_eq!(vaults, ["local", "other"]);
}

#[test]
fn one_host_that_fails_does_not_stop_the_others() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let bad = scratch.snapshot("aaa", &everything());
    fs::remove_file(scratch.path("history/aaa").join(bad).join("tree/etc/hosts")).unwrap();
    let good = scratch.snapshot("bbb", &everything());
    let failed = run(scratch.plan(&recipients, vec![scratch.target()])).unwrap_err();
    assert_eq!(failed.exit(), Exit::SNAPSHOT_DIFFERS);
    scratch.record(&format!("bbb/{good}"));
}

#[test]
fn a_host_that_does_not_exist_is_named() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let mut plan = scratch.plan(&recipients, vec![scratch.target()]);
    plan.hosts = vec!["nowhere".parse().unwrap()];
    let failed = run(plan).unwrap_err();
    assert_eq!(failed.exit(), Exit::USAGE);
    assert!(failed.chain().contains("nowhere"), "{}", failed.chain());
}

#[test]
fn without_room_to_stage_nothing_is_begun() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    // 2^50 bytes of zeros: a sparse file in the history, far beyond any disk.
    let name = scratch.snapshot("web01", &vec![(b"a", Spec::File(Vec::new()), meta(0o644, 0, 1))]);
    crate::rig::claim_size(&scratch, "web01", &name, 1 << 50);
    let failed = run(scratch.plan(&recipients, vec![scratch.target()])).unwrap_err();
    assert_eq!(failed.exit(), Exit::NO_STAGING, "{}", failed.chain());
    assert!(scratch.is_staging_empty("web01"));
    assert!(scratch.objects().is_empty());
}

#[test]
fn a_vault_in_memory_is_as_good_as_any() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    scratch.snapshot("web01", &everything());
    let memory = scratch.target_of("memory", Box::new(MemoryVault::default()));
    assert_eq!(run(scratch.plan(&recipients, vec![memory])).unwrap(), Exit::WHOLE);
}

#[test]
fn only_one_iceboxer_works_in_a_staging_folder() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    fs::create_dir(scratch.path("staging")).unwrap();
    let dir = durable::Dir::open_root(&scratch.path("staging")).unwrap();
    let held = dir.try_lock(durable::Name::literal("lock")).unwrap().unwrap();
    assert_eq!(run(scratch.plan(&recipients, vec![scratch.target()])).unwrap_err().exit(), Exit::BUSY);
    drop(held);
    assert!(run(scratch.plan(&recipients, vec![scratch.target()])).is_ok());
}
