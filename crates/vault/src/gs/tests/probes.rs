//! The denial matrix: every call that could break a lock is refused to the writer's account, and where one is not, it is named.

use fake_gcs::{Bucket, Fault, Grant, Times, Versioning};

use super::{Rig, WRITER};
use crate::conformance::{later, put};
use crate::gs::GsVault;
use crate::{Lock, Outcome, Probe, Vault, VaultError};

fn canary(vault: &GsVault) -> Lock {
    put(vault, "canary/2026-01", b"a canary", later(92)).unwrap()
}

/// A writer who may do more than he should.
fn widened(rig: &Rig, more: &[&str]) -> GsVault {
    let writer = [Grant::role("roles/storage.objectCreator"), Grant::permissions(&WRITER)];
    rig.vault(writer.into_iter().chain([Grant::permissions(more)]).collect(), |_| {})
}

fn broken(probes: &[Probe]) -> Vec<&'static str> {
    probes.iter().filter(|probe| probe.outcome.is_broken()).map(|probe| probe.call).collect()
}

#[test]
fn every_call_that_could_break_a_lock_is_refused_to_the_writer() {
    for versioning in [Versioning::Off, Versioning::Enabled] {
        let rig = Rig::new(Bucket { object_retention: true, versioning, ..Bucket::default() });
        let vault = rig.writer();
        let canary = canary(&vault);
        let probes = vault.prove_lock(&canary).unwrap();
        for probe in &probes {
            println!("{:60} {}", probe.call, probe.outcome);
            assert!(matches!(probe.outcome, Outcome::Refused { .. }), "{}: {}", probe.call, probe.outcome);
        }
        assert_eq!(probes.len(), 22);
        assert_eq!(vault.lock(&canary.object_ref()).unwrap(), canary);
    }
}

#[test]
fn a_bucket_that_locks_for_longer_than_asked_is_no_broken_lock() {
    for object_retention in [true, false] {
        let rig = Rig::new(Bucket {
            object_retention,
            retention_seconds: Some(200 * 86_400),
            locked: true,
            ..Bucket::default()
        });
        let vault = rig.writer();
        let canary = canary(&vault);
        // The second time it has a lock of its own.
        for _ in 0..2 {
            let probes = vault.prove_lock(&canary).unwrap();
            assert_eq!(broken(&probes), Vec::<&str>::new());
            let taken = probes.iter().filter(|probe| matches!(probe.outcome, Outcome::Held { .. })).count();
            assert_eq!(taken > 0, object_retention, "{probes:?}");
        }
        assert_eq!(vault.lock(&canary.object_ref()).unwrap(), canary);
    }
}

#[test]
fn a_lock_of_its_own_beyond_the_buckets_that_gives_way_is_named() {
    let rig = Rig::new(Bucket {
        object_retention: true,
        retention_seconds: Some(30 * 86_400),
        locked: true,
        ..Bucket::default()
    });
    let vault = rig.writer();
    let canary = canary(&vault);
    rig.server.arm(Fault::ShortenAllowed, Times::Always);
    assert!(broken(&vault.prove_lock(&canary).unwrap()).contains(&"objects.patch, a day shorter"));
}

#[test]
fn a_right_too_many_is_named_with_the_calls_that_it_opens() {
    const BUCKET: [&str; 4] = [
        "buckets.patch, retentionPolicy",
        "buckets.patch, versioning",
        "buckets.patch, lifecycle",
        "buckets.patch, softDeletePolicy",
    ];
    let cases: [(&str, Versioning, Vec<&str>); 6] = [
        ("storage.objects.delete", Versioning::Off, vec!["storage.objects.delete"]),
        (
            "storage.objects.delete",
            Versioning::Enabled,
            vec!["objects.insert, over it", "storage.objects.delete", "objects.delete"],
        ),
        (
            "storage.objects.overrideUnlockedRetention",
            Versioning::Off,
            vec!["storage.objects.overrideUnlockedRetention"],
        ),
        ("storage.buckets.update", Versioning::Off, [&BUCKET[..], &["storage.buckets.update"]].concat()),
        ("storage.buckets.delete", Versioning::Off, vec!["storage.buckets.delete", "buckets.delete"]),
        ("storage.buckets.setIamPolicy", Versioning::Off, vec!["storage.buckets.setIamPolicy"]),
    ];
    for (right, versioning, opens) in cases {
        let rig = Rig::new(Bucket { object_retention: true, versioning, ..Bucket::default() });
        let vault = widened(&rig, &[right]);
        let canary = canary(&vault);
        let probes = vault.prove_lock(&canary).unwrap();
        assert_eq!(broken(&probes), opens, "{right}");
        // What was tried on the bucket changed nothing.
        assert_eq!(vault.lock(&canary.object_ref()).unwrap(), canary);
    }
}

#[test]
fn a_lock_that_gives_way_is_named_whatever_was_answered() {
    for (fault, call) in [
        (Fault::DeleteAllowed, "objects.insert, over it"),
        (Fault::ShortenAllowed, "objects.patch, a day shorter"),
    ] {
        let rig = Rig::locked();
        let vault = rig.writer();
        let canary = canary(&vault);
        rig.server.arm(fault, Times::Always);
        let probes = vault.prove_lock(&canary).unwrap();
        let broken = broken(&probes);
        assert!(
            broken.contains(&call) && broken.contains(&"all of these, whatever was answered"),
            "{broken:?}"
        );
        assert!(rig.server.hits(fault) > 0);
    }
}

#[test]
fn a_canary_without_a_lock_proves_nothing() {
    let rig = Rig::locked();
    let vault = rig.writer();
    let mut canary = canary(&vault);
    canary.retain_until += chrono::TimeDelta::days(1);
    assert!(matches!(vault.prove_lock(&canary).unwrap_err(), VaultError::LockMissing { .. }));
}

#[test]
fn a_store_that_does_not_answer_proves_nothing() {
    let rig = Rig::locked();
    let vault = rig.writer();
    let canary = canary(&vault);
    drop(rig);
    assert_eq!(vault.prove_lock(&canary).unwrap_err().exit_code(), 30);
}
