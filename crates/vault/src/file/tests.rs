//! What only a vault in a folder has to show.

mod flags;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use std::process::Command;

use crate::conformance::{conforms, fetched, later, listed, object, put};
use crate::{FileVault, Immutable, Vault, VaultError};

fn fresh() -> (FileVault, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (FileVault::open(folder.path(), Immutable::Never).unwrap(), folder)
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
    vault.extend_lock(&object("ice/a"), later(95)).unwrap();
    let stored = folder.path().join("objects/ice/a");
    assert_eq!(fs::metadata(stored).unwrap().mode() & 0o7777, 0o400);
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
    assert!(matches!(vault.lock(&object("ice/b")).unwrap_err(), VaultError::Missing { .. }));
    put(&vault, "ice/b", b"other", later(92)).unwrap();
    assert_eq!(leftovers(folder.path()), 0);
    assert_eq!(fetched(&vault, "ice/b"), b"other");
    assert_eq!(vault.lock(&object("ice/b")).unwrap().bytes, 5);
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
        let error = vault.lock(&object("a")).unwrap_err();
        assert!(matches!(error, VaultError::LockMissing { .. }), "{text:?}: {error}");
        assert_eq!(error.exit_code(), 32);
        refused += 1;
    }
    assert_eq!(refused, 8);
    fs::write(&a, good).unwrap();
    assert!(vault.lock(&object("a")).is_ok());
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
        assert_eq!(vault.fetch(&object(through)).err().unwrap().exit_code(), 30, "{through}");
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
                    let vault = FileVault::open(root, Immutable::Never).unwrap();
                    put(&vault, &format!("ice/{writer}"), b"own", later(92)).unwrap();
                    usize::from(put(&vault, "ice/same", b"same", later(92)).is_ok())
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    assert_eq!(winners, 1);
    assert_eq!(listed(&FileVault::open(folder.path(), Immutable::Never).unwrap(), "ice/").len(), 5);
}

/// Set for a second run of this binary under strace, to the vault it works in.
const AGAIN: &str = "FIRN_VAULT_TEST_FOLDER";

/// What brings bytes and names to the disk, in order, while this test's own second run works in the vault: `sync` and `name`, each with
/// a path beneath the vault. None where strace is not there.
fn steps(test: &str, root: &Path) -> Option<Vec<String>> {
    let log = tempfile::NamedTempFile::new().unwrap();
    let done = Command::new("strace")
        .args(["-f", "-y", "-e", "trace=fsync,renameat,renameat2", "-o"])
        .arg(log.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("file::tests::{test}")])
        .env(AGAIN, root)
        .output();
    if !done.is_ok_and(|done| done.status.success()) {
        println!("SKIPPED: {test}: strace is not installed");
        return None;
    }
    let root = root.canonicalize().unwrap();
    let trace = fs::read_to_string(log.path()).unwrap();
    let step = |line: &str| {
        // The last path in angle brackets: the file or folder synced, or the folder that gets the name.
        let path = line.rsplit_once('<')?.1;
        let (path, rest) = path.split_once('>')?;
        let path = Path::new(path).strip_prefix(&root).ok()?.to_str()?;
        let name = rest.split('"').nth(1);
        Some(name.map_or_else(|| format!("sync {path}"), |name| format!("name {path}/{name}")))
    };
    Some(trace.lines().filter_map(step).collect())
}

/// The vault of a second run.
fn again() -> Option<FileVault> {
    std::env::var_os(AGAIN).map(|root| FileVault::open(Path::new(&root), Immutable::Never).unwrap())
}

#[test]
fn an_object_is_on_the_disk_before_its_lock_and_its_lock_before_its_name() {
    if let Some(vault) = again() {
        return drop(put(&vault, "ice/a", b"abc", later(92)).unwrap());
    }
    let (_, folder) = fresh();
    let test = "an_object_is_on_the_disk_before_its_lock_and_its_lock_before_its_name";
    let Some(steps) = steps(test, folder.path()) else { return };
    let expected = [
        "sync unfinished/object",
        "sync unfinished/lock",
        "name locks/ice/a.json",
        "sync locks/ice",
        "sync locks",
        "sync ",
        "name objects/ice/a",
        "sync objects/ice",
        "sync objects",
        "sync ",
    ];
    assert_eq!(steps, expected);
}

#[test]
fn what_a_killed_put_named_is_on_the_disk_before_anybody_is_told() {
    if let Some(vault) = again() {
        return drop(vault.lock(&object("ice/a")).unwrap());
    }
    // Killed after the renaming: the object shows, and a power cut could still take its name away.
    let (vault, folder) = fresh();
    put(&vault, "ice/a", b"abc", later(92)).unwrap();
    let test = "what_a_killed_put_named_is_on_the_disk_before_anybody_is_told";
    let Some(steps) = steps(test, folder.path()) else { return };
    assert_eq!(steps, ["sync locks/ice", "sync locks", "sync ", "sync objects/ice", "sync objects", "sync "]);
}
