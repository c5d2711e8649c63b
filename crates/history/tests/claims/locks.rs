//! Who reads a snapshot, and who removes it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use formats::records::log::Event;
use history::{Error, Grown, HostHistory, Log, Snapshot};

use crate::redactions::redact;
use crate::scratch::{Scratch, ingest};

/// Three snapshots, with folders and no files.
fn three() -> Scratch {
    let scratch = Scratch::new();
    for sequence in 1..=3 {
        scratch.append(ingest(sequence));
    }
    for snapshot in scratch.host().log().unwrap().snapshots() {
        fs::create_dir(folder(&scratch, snapshot)).unwrap();
    }
    scratch
}

fn folder(scratch: &Scratch, snapshot: &Snapshot) -> PathBuf {
    scratch.log_path().with_file_name(snapshot.name.as_str())
}

/// As a prune does, once it has the lock: first the line, then the rename.
fn prune(scratch: &Scratch, snapshot: &Snapshot) {
    let (sequence, name, root) = (snapshot.sequence, snapshot.name.to_string(), snapshot.root);
    scratch.append(Event::Prune { sequence, name, root, planned: "2026-01-01T00:00:00Z".to_owned() });
    fs::rename(folder(scratch, snapshot), folder(scratch, snapshot).with_file_name("away")).unwrap();
}

fn two_and_first(scratch: &Scratch) -> (HostHistory, HostHistory, Snapshot) {
    let (one, other) = (scratch.host(), scratch.host());
    let first = one.log().unwrap().snapshots()[0].clone();
    (one, other, first)
}

#[test]
fn readers_of_a_snapshot_and_who_removes_it_keep_each_other_out() {
    let scratch = three();
    let (one, other, first) = two_and_first(&scratch);
    let second = one.log().unwrap().snapshots()[1].clone();
    let reading = (one.read_lock(&first).unwrap(), other.read_lock(&first).unwrap());
    assert!(other.removal_lock(&first.name).unwrap().is_none());
    assert!(other.removal_lock(&second.name).unwrap().is_some(), "the other one is nobody's");
    assert!(other.write_lock().unwrap().is_some(), "who reads holds up no writer");
    drop(reading);
    let removing = other.removal_lock(&first.name).unwrap();
    assert!(removing.is_some());
    assert!(one.removal_lock(&first.name).unwrap().is_none());
}

#[test]
fn a_reader_that_comes_between_the_log_and_the_folder_is_told_that_it_was_pruned() {
    let scratch = three();
    let (one, other, first) = two_and_first(&scratch);
    let removing = other.removal_lock(&first.name).unwrap().unwrap();
    std::thread::scope(|scope| {
        // It has found the name in the log, opens the folder, and waits for the lock.
        let reader = scope.spawn(|| one.read_lock(&first).map(drop));
        std::thread::sleep(Duration::from_millis(300));
        assert!(!reader.is_finished(), "the control: it waits");
        prune(&scratch, &first);
        drop(removing);
        assert!(matches!(reader.join().unwrap(), Err(Error::Pruned { .. })));
    });
    // The same after all that; and what was only lost, and not pruned, is no such thing.
    assert!(matches!(one.read_lock(&first), Err(Error::Pruned { .. })));
    let second = one.log().unwrap().snapshots()[0].clone();
    fs::remove_dir(folder(&scratch, &second)).unwrap();
    assert!(matches!(one.read_lock(&second), Err(Error::Folder(error)) if error.is_not_found()));
    // Whoever removes finds nobody there.
    assert!(other.removal_lock(&first.name).unwrap().is_some());
}

#[test]
fn a_removal_that_was_given_up_is_only_waited_for() {
    let scratch = three();
    let (one, other, first) = two_and_first(&scratch);
    let removing = other.removal_lock(&first.name).unwrap().unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| one.read_lock(&first).map(drop));
        std::thread::sleep(Duration::from_millis(100));
        drop(removing);
        assert!(reader.join().unwrap().is_ok());
    });
}

#[test]
fn what_is_to_be_read_of_a_log_is_there_though_something_was_pruned_meanwhile() {
    let scratch = three();
    let (one, other, first) = two_and_first(&scratch);
    let asked = std::cell::Cell::new(0);
    let all = |log: &Log| -> usize { log.snapshots().len() };
    let (log, reading) = one
        .log_to_read(|log| {
            asked.set(asked.get() + 1);
            if asked.get() == 1 {
                prune(&scratch, &first);
            }
            log.snapshots()
        })
        .unwrap();
    assert_eq!((asked.get(), all(&log), reading.len()), (2, 2, 2));
    for snapshot in log.snapshots() {
        assert!(other.removal_lock(&snapshot.name).unwrap().is_none());
    }
}

#[test]
fn what_was_redacted_before_a_reader_had_its_locks_is_in_the_log_that_it_reads_by() {
    let scratch = three();
    let (one, other, first) = two_and_first(&scratch);
    let mut before = one.log().unwrap();
    let removing = other.removal_lock(&first.name).unwrap().unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| one.log_to_read(|log| log.snapshots()));
        std::thread::sleep(Duration::from_millis(300));
        assert!(!reader.is_finished(), "the control: it waits");
        scratch.append(redact(0..1, 5));
        drop(removing);
        let (log, reading) = reader.join().unwrap().unwrap();
        assert_eq!((log.redacted().iter().count(), reading.len()), (1, 3));
    });
    let after = one.log().unwrap();
    assert!(before.redacted().is_empty());
    assert_eq!(one.read_on(&mut before).unwrap(), Grown::Yes);
    assert_eq!((before.lines(), before.log_head()), (after.lines(), after.log_head()));
    assert_eq!(before.redacted(), after.redacted());
    assert_eq!(one.read_on(&mut before).unwrap(), Grown::No);
}

#[test]
fn who_may_only_read_cannot_open_the_lock_of_who_writes() {
    let scratch = three();
    let lock = scratch.log_path().with_file_name(".lock");
    let mode = || fs::metadata(&lock).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(), 0o600);
    // One of before is closed by the next who writes.
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o640)).unwrap();
    drop(scratch.host().write_lock().unwrap().unwrap());
    assert_eq!(mode(), 0o600);
}
