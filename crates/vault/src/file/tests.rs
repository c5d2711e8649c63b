//! What only a vault in a folder has to show.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use crate::conformance::{conforms, fetched, later, listed, name, put};
use crate::{FileVault, Vault, VaultError};

fn fresh() -> (FileVault, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (FileVault::open(folder.path()).unwrap(), folder)
}

fn leftovers(root: &Path) -> usize {
    fs::read_dir(root.join("unfinished")).unwrap().count()
}

#[test]
fn a_file_vault_keeps_the_contract() {
    conforms(fresh);
}

#[test]
fn objects_are_read_only_and_nothing_unfinished_stays() {
    let (vault, folder) = fresh();
    put(&vault, "ice/a", b"abc", later(92)).unwrap();
    vault.extend_lock(&name("ice/a"), later(95)).unwrap();
    let object = folder.path().join("objects/ice/a");
    assert_eq!(fs::metadata(object).unwrap().mode() & 0o7777, 0o400);
    let lock = fs::read_to_string(folder.path().join("locks/ice/a.json")).unwrap();
    assert!(
        lock.starts_with("{\"format\":\"firn.lock/1.0\",\"object\":\"ice/a\",\"bytes\":3,\"hash\":\""),
        "{lock}"
    );
    assert_eq!(leftovers(folder.path()), 0);
}

#[test]
fn what_a_killed_put_left_is_never_listed_and_is_cleared_by_the_next() {
    let (vault, folder) = fresh();
    put(&vault, "ice/a", b"abc", later(92)).unwrap();
    // Killed while writing the bytes, and before that another one between the lock and the object.
    fs::write(folder.path().join("unfinished/object"), b"half").unwrap();
    fs::write(folder.path().join("unfinished/lock"), b"{").unwrap();
    let lock = fs::read_to_string(folder.path().join("locks/ice/a.json")).unwrap();
    fs::write(folder.path().join("locks/ice/b.json"), lock.replace("ice/a", "ice/b")).unwrap();
    assert_eq!(listed(&vault, ""), ["ice/a"]);
    assert!(matches!(vault.lock(&name("ice/b")).unwrap_err(), VaultError::Missing { .. }));
    put(&vault, "ice/b", b"other", later(92)).unwrap();
    assert_eq!(leftovers(folder.path()), 0);
    assert_eq!(fetched(&vault, "ice/b"), b"other");
    assert_eq!(vault.lock(&name("ice/b")).unwrap().bytes, 5);
}

#[test]
fn an_object_whose_lock_is_gone_or_not_its_own_says_so() {
    let (vault, folder) = fresh();
    put(&vault, "a", b"abc", later(92)).unwrap();
    put(&vault, "b", b"four", later(92)).unwrap();
    let (a, b) = (folder.path().join("locks/a.json"), folder.path().join("locks/b.json"));
    let good = fs::read_to_string(&a).unwrap();
    fs::remove_file(&a).unwrap();
    let bad = [
        "",
        "{}",
        "{\"format\":\"firn.lock/2.0\"}",
        &good.replace("\"bytes\":3", "\"bytes\":4"),
        &good.replace("Z\"", "+00:00\""),
    ];
    let other = fs::read_to_string(&b).unwrap();
    let long = "x".repeat(70_000);
    let mut refused = 0;
    for text in std::iter::once(None).chain(bad.into_iter().chain([&*other, &*long]).map(Some)) {
        if let Some(text) = text {
            fs::write(&a, text).unwrap();
        }
        let error = vault.lock(&name("a")).unwrap_err();
        assert!(matches!(error, VaultError::LockMissing { .. }), "{text:?}: {error}");
        assert_eq!(error.exit_code(), 32);
        refused += 1;
    }
    assert_eq!(refused, 8);
    fs::write(&a, good).unwrap();
    assert!(vault.lock(&name("a")).is_ok());
}

#[test]
fn a_symbolic_link_in_the_vault_leads_nowhere() {
    let (vault, folder) = fresh();
    put(&vault, "ice/a", b"abc", later(92)).unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("b"), b"secret").unwrap();
    symlink(outside.path(), folder.path().join("objects/away")).unwrap();
    symlink(outside.path().join("b"), folder.path().join("objects/ice/link")).unwrap();
    assert_eq!(listed(&vault, ""), ["ice/a"]);
    for through in ["away/b", "ice/link"] {
        assert_eq!(vault.fetch(&name(through)).err().unwrap().exit_code(), 30, "{through}");
    }
    assert_eq!(put(&vault, "away/c", b"abc", later(92)).unwrap_err().exit_code(), 30);
    assert!(!outside.path().join("c").exists());
    assert!(matches!(put(&vault, "ice/link", b"abc", later(92)).unwrap_err(), VaultError::Exists { .. }));
    assert_eq!(fs::read(outside.path().join("b")).unwrap(), b"secret");
}

#[test]
fn two_writers_at_once_both_store_and_one_name_has_one_winner() {
    let (_, folder) = fresh();
    let winners: usize = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let root = folder.path();
                scope.spawn(move || {
                    let vault = FileVault::open(root).unwrap();
                    put(&vault, &format!("ice/{writer}"), b"own", later(92)).unwrap();
                    usize::from(put(&vault, "ice/same", b"same", later(92)).is_ok())
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    assert_eq!(winners, 1);
    assert_eq!(listed(&FileVault::open(folder.path()).unwrap(), "ice/").len(), 5);
}
