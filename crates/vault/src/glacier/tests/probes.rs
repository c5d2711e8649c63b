//! Attempts to break the lock.

use fake_glacier::{Fault, Times};

use super::*;
use crate::Outcome;

fn canary(vault: &GlacierVault) -> Lock {
    put(vault, "canary/2026-01", b"a line", later(92)).unwrap()
}

fn broken(probes: &[Probe]) -> Vec<&'static str> {
    probes.iter().filter(|probe| probe.outcome.is_broken()).map(|probe| probe.call).collect()
}

#[test]
fn with_the_least_of_rights_every_attempt_is_refused() {
    let rig = Rig::keeping(93);
    let vault = rig.writer();
    let probes = vault.prove_lock(&canary(&vault)).unwrap();
    assert_eq!(broken(&probes), Vec::<&str>::new());
    let calls: Vec<_> = probes.iter().map(|probe| probe.call).collect();
    for call in [
        "AbortVaultLock",
        "InitiateVaultLock, the same policy",
        "SetVaultAccessPolicy",
        "DeleteVaultAccessPolicy",
        "SetVaultNotifications",
        "SetDataRetrievalPolicy",
        "AddTagsToVault, none",
        "DeleteVault",
        "DeleteArchive",
    ] {
        assert!(calls.contains(&call), "{call}");
    }
    let refused = probes.iter().filter(|probe| matches!(probe.outcome, Outcome::Refused { .. })).count();
    assert!(refused >= 9, "{probes:?}");
}

#[test]
fn with_all_rights_the_lock_holds_and_what_is_permitted_is_named_and_does_no_harm() {
    let rig = Rig::keeping(93);
    let vault = rig.vault(&rig.server.add_user("admin", &["glacier:*"]), |_| {});
    let canary = canary(&vault);
    let probes = vault.prove_lock(&canary).unwrap();
    let outcome = |call: &str| &probes.iter().find(|probe| probe.call == call).unwrap().outcome;
    for call in [
        "DeleteArchive",
        "AbortVaultLock",
        "InitiateVaultLock, the same policy",
        "all of these, whatever was answered",
    ] {
        assert!(matches!(outcome(call), Outcome::Refused { .. }), "{call}: {:?}", outcome(call));
    }
    let found = broken(&probes);
    assert_eq!(
        found,
        ["DeleteVaultAccessPolicy", "SetDataRetrievalPolicy", "AddTagsToVault, none", "DeleteVault"]
    );
    assert_eq!(vault.lock(&canary.object_ref()).unwrap(), canary);
    assert!(rig.server.tags("ice").is_empty());
}

#[test]
fn a_lock_that_does_not_hold_is_found() {
    for (fault, call) in [
        (Fault::DeleteAllowed, "DeleteArchive"),
        (Fault::UnlockedAndDenied, "all of these, whatever was answered"),
    ] {
        let rig = Rig::keeping(93);
        let vault = rig.writer();
        let canary = canary(&vault);
        rig.server.arm(fault, Times::Always);
        assert_eq!(broken(&vault.prove_lock(&canary).unwrap()), [call], "{fault:?}");
        assert!(rig.server.hits(fault) > 0);
    }
}

#[test]
fn a_store_that_fails_or_never_had_a_lock_proves_nothing() {
    let rig = Rig::keeping(93);
    let vault = rig.writer();
    let canary = canary(&vault);
    rig.server.unlock_vault("ice");
    assert_eq!(vault.prove_lock(&canary).unwrap_err().exit_code(), 32);
    let rig = Rig::keeping(93);
    let vault = rig.writer();
    let canary = self::canary(&vault);
    rig.server.arm(Fault::ServerError503, Times::Always);
    assert_eq!(vault.prove_lock(&canary).unwrap_err().exit_code(), 30);
}
