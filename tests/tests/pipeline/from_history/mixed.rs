//! A history whose manifests lie there in both forms, as on the day after an update: it is one history, and stock zstd reads both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pipeline_tests::checker::Moment;
use pipeline_tests::verbs::Hear;
use pipeline_tests::{Host, Options, Outcome, Scratch, data, settings};

use super::HOST;
use crate::rig;

const DOCUMENT: &str = include_str!("../../../../docs/history.md");

fn manifests(scratch: &Scratch) -> Vec<PathBuf> {
    let entries = fs::read_dir(scratch.history(HOST).join("manifests")).unwrap();
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

fn push(scratch: &Scratch, host: &Host) {
    let (push, ingest) = scratch.push_and_ingest(host, Hear::Kept).unwrap();
    ingest.expect("the push was never sealed").expect_code(&[0]).unwrap();
    push.expect_code(&[0]).unwrap();
}

/// What the line of the document makes of this manifest.
fn as_documented(scratch: &Scratch, manifest: &Path) -> Vec<u8> {
    let line = DOCUMENT.lines().find(|line| line.trim().starts_with("zstd -dcf ")).unwrap().trim();
    let named = line.split(' ').nth(2).unwrap();
    let script = line.replace(named, manifest.to_str().unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-euc", &script]).current_dir(&scratch.folder);
    Outcome::of(&mut shell).unwrap().expect_code(&[0]).unwrap();
    fs::read(scratch.folder.join("17.manifest")).unwrap()
}

#[test]
fn plain_and_squeezed_manifests_are_one_history_and_zstd_reads_both() {
    let test = "plain_and_squeezed_manifests_are_one_history_and_zstd_reads_both";
    if !rig::is_root_or_skipped(test) || !rig::has_or_skipped(test, &["zstd"]) {
        return;
    }
    let _turn = rig::turn();
    let mut scratch = rig::scratch(&Options::default());
    let root = scratch.folder.join("hosts/disk/files");
    data::write_small_files(&root, 31, 40, 2000).unwrap();
    let host = scratch.add_host(HOST, std::slice::from_ref(&root)).unwrap();
    let waits = settings::Push { verdict_wait_seconds: 120, ..settings::Push::default() };
    settings::write_push(&scratch, &host, &waits).unwrap();
    for name in ["first", "second"] {
        rig::file(&root.join(name), name.as_bytes());
        push(&scratch, &host);
    }
    let before = manifests(&scratch);
    assert_eq!(before.len(), 2);
    for manifest in &before {
        let squeezed = fs::read(manifest).unwrap();
        Outcome::of(Command::new("zstd").arg("-t").arg(manifest)).unwrap().expect_code(&[0]).unwrap();
        let plain = as_documented(&scratch, manifest);
        assert!(plain.starts_with(b"firn.man") && plain.len() > squeezed.len());
        // As it was before manifests were squeezed.
        fs::write(manifest, &plain).unwrap();
        assert_eq!(as_documented(&scratch, manifest), plain);
    }
    // On a base whose manifest is plain.
    rig::file(&root.join("third"), b"third");
    push(&scratch, &host);
    let after = manifests(&scratch);
    let heads: Vec<bool> =
        after.iter().map(|path| fs::read(path).unwrap().starts_with(b"firn.man")).collect();
    assert_eq!(heads, [true, true, false]);
    let found = rig::sound(&scratch, &host, Moment::Quiet);
    assert_eq!(
        (found.snapshots.len(), found.count("reset")),
        (3, 0),
        "a delta was taken, and nothing asked for again"
    );
    Outcome::of(&mut scratch.snapshotter(&["verify"])).unwrap().expect_code(&[0]).unwrap();
    let snapshot = |number: usize| after[number].file_stem().unwrap().to_str().unwrap();
    for (first, name) in ["first", "second", "third"].into_iter().enumerate() {
        let told = Outcome::of(&mut scratch.snapshotter(&["find", name])).unwrap().expect_code(&[0]).unwrap();
        let is_told = told.stdout.contains(snapshot(first)) && told.stdout.contains(snapshot(2));
        assert!(is_told && (first == 0 || !told.stdout.contains(snapshot(first - 1))), "{}", told.said());
    }
    scratch.ice().unwrap().expect_code(&[0]).unwrap();
    scratch.verify(HOST).unwrap().expect_code(&[0]).unwrap();
}
