//! The immutable flag, where this machine has it: root, and a file system that knows it.

use std::fs::{self, File};
use std::path::Path;

use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use crate::conformance::{conforms, fetched, later, object, put};
use crate::{FileVault, Immutable, Outcome, Vault, VaultError};

/// A folder whose files lose the flag before it is removed.
struct Folder(tempfile::TempDir);

impl Drop for Folder {
    fn drop(&mut self) {
        each(self.0.path(), &mut |file| {
            if let Ok(flags) = ioctl_getflags(file) {
                let _ = ioctl_setflags(file, flags - IFlags::IMMUTABLE);
            }
        });
    }
}

fn each(folder: &Path, act: &mut dyn FnMut(&File)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            each(&path, act);
        } else {
            act(&File::open(path).unwrap());
        }
    }
}

/// A vault with the flag; none, said aloud, where it cannot be had.
fn flagged(test: &str) -> Option<(FileVault, Folder)> {
    let folder = Folder(tempfile::tempdir().unwrap());
    let probe = File::create(folder.0.path().join("probe")).unwrap();
    let set = ioctl_getflags(&probe).and_then(|flags| ioctl_setflags(&probe, flags | IFlags::IMMUTABLE));
    if let Err(errno) = set {
        println!("SKIPPED: {test}: no immutable flag here ({errno})");
        return None;
    }
    ioctl_setflags(&probe, ioctl_getflags(&probe).unwrap() - IFlags::IMMUTABLE).unwrap();
    fs::remove_file(folder.0.path().join("probe")).unwrap();
    Some((FileVault::open(folder.0.path(), Immutable::Required).unwrap(), folder))
}

fn is_immutable(folder: &Folder, path: &str) -> bool {
    let file = File::open(folder.0.path().join(path)).unwrap();
    ioctl_getflags(&file).unwrap().contains(IFlags::IMMUTABLE)
}

#[test]
fn a_file_vault_with_the_flag_keeps_the_contract() {
    if flagged("a_file_vault_with_the_flag_keeps_the_contract").is_some() {
        conforms(|| flagged("").unwrap());
    }
}

#[test]
fn objects_and_locks_are_immutable_also_after_the_lock_was_extended() {
    let Some((vault, folder)) = flagged("objects_and_locks_are_immutable_also_after_the_lock_was_extended")
    else {
        return;
    };
    put(&vault, "ice/a", b"abc", later(92)).unwrap();
    for round in 0..2 {
        for path in ["objects/ice/a", "locks/ice/a.json"] {
            assert!(is_immutable(&folder, path), "{round}: {path}");
            let whole = folder.0.path().join(path);
            assert!(fs::remove_file(&whole).is_err() && fs::write(&whole, b"x").is_err(), "{path}");
        }
        let until = later(100 + round);
        assert!(vault.extend_lock(&object("ice/a"), until).unwrap().retain_until >= until);
    }
    assert_eq!(fetched(&vault, "ice/a"), b"abc");
    assert_eq!(fs::read_dir(folder.0.path().join("unfinished")).unwrap().count(), 0);
}

#[test]
fn a_put_killed_before_the_flag_gets_it_with_the_next_lock() {
    let Some((vault, folder)) = flagged("a_put_killed_before_the_flag_gets_it_with_the_next_lock") else {
        return;
    };
    let plain = FileVault::open(folder.0.path(), Immutable::Never).unwrap();
    let lock = put(&plain, "ice/a", b"abc", later(92)).unwrap();
    assert!(!is_immutable(&folder, "objects/ice/a"));
    vault.extend_lock(&object("ice/a"), lock.retain_until).unwrap();
    assert!(is_immutable(&folder, "objects/ice/a") && is_immutable(&folder, "locks/ice/a.json"));
}

#[test]
fn what_is_immutable_withstands_every_attempt_and_what_is_not_says_so() {
    let Some((vault, folder)) = flagged("what_is_immutable_withstands_every_attempt_and_what_is_not_says_so")
    else {
        return;
    };
    let canary = put(&vault, "canary/2026-01", b"a canary", later(92)).unwrap();
    let probes = vault.prove_lock(&canary).unwrap();
    for probe in &probes {
        println!("{:40} {}", probe.call, probe.outcome);
    }
    let refused = probes.iter().filter(|probe| matches!(probe.outcome, Outcome::Refused { .. })).count();
    assert_eq!((refused, probes.len()), (15, 17));
    let agreed: Vec<_> =
        probes.iter().filter(|p| matches!(p.outcome, Outcome::ByAgreement { .. })).map(|p| p.call).collect();
    assert_eq!(agreed, ["take the flag off the object", "take the flag off the lock file"]);

    // Without the flag nothing is tried: the canary would be gone.
    let plain = FileVault::open(folder.0.path(), Immutable::Never).unwrap();
    let other = put(&plain, "canary/2026-02", b"a canary", later(92)).unwrap();
    let probes = plain.prove_lock(&other).unwrap();
    assert_eq!(probes.iter().filter(|p| matches!(p.outcome, Outcome::ByAgreement { .. })).count(), 14);
    assert!(probes.iter().all(|probe| !probe.outcome.is_broken()));
    assert_eq!(fetched(&plain, "canary/2026-02"), b"a canary");
}

#[test]
fn where_the_flag_is_required_and_cannot_be_had_a_put_fails() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let path = folder.0.path().to_owned();
    // A thread without the right to set it, as an ordinary account has none.
    let attempts = std::thread::spawn(move || {
        let mut sets = capabilities(None).unwrap();
        sets.effective.remove(CapabilitySet::LINUX_IMMUTABLE);
        set_capabilities(None, sets).unwrap();
        let required = FileVault::open(&path, Immutable::Required).unwrap();
        let error = put(&required, "a", b"abc", later(92)).unwrap_err();
        assert!(matches!(error, VaultError::LockMissing { .. }), "{error}");
        assert_eq!(error.exit_code(), 32);
        let possible = FileVault::open(&path, Immutable::WherePossible).unwrap();
        put(&possible, "b", b"abc", later(92)).unwrap();
        let lock = possible.lock(&object("b")).unwrap();
        let probes = possible.prove_lock(&lock).unwrap();
        assert_eq!(probes.iter().filter(|p| matches!(p.outcome, Outcome::ByAgreement { .. })).count(), 14);
    });
    attempts.join().unwrap();
}
