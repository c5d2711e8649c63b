//! Certificates, folders, and the program itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use chrono::{TimeDelta, Utc};
use iceboxer::preflight::{Finding, preflight};

use super::world::{World, codes};
use crate::rig::{claim_size, everything, meta, output, run};

fn recipients(files: &[(&std::path::Path, &str)]) -> String {
    let one = |(file, print): &(&std::path::Path, &str)| {
        format!("[[recipients]]\ncertificate = {file:?}\nfingerprint = \"{print}\"\n")
    };
    files.iter().map(one).collect()
}

#[test]
fn each_certificate_that_cannot_be_used_is_named() {
    let world = World::new();
    let (scratch, [one, two]) = (&world.scratch, world.prints());
    let good = scratch.path("two.asc");
    let secret = scratch.export("secret", &["--armor", "--export-secret-keys", one]);
    let junk = scratch.path("junk.asc");
    fs::write(&junk, "no certificate").unwrap();
    let (absent, first) = (scratch.path("absent.asc"), scratch.path("one.asc"));
    let other = "AB".repeat(20);
    let found = |file: &std::path::Path, print: &str| -> Vec<Finding> {
        let text = world.text(Some(&recipients(&[(file, print), (&good, two)])));
        preflight(&world.settings(&text), &[], Utc::now()).unwrap()
    };
    assert_eq!(found(&first, one), [], "the control");
    for (file, print, code) in [
        (&absent, one.as_str(), "certificate-missing"),
        (&secret, one, "certificate-secret-key"),
        (&first, &other, "certificate-wrong-fingerprint"),
        (&junk, one, "certificate-unusable"),
    ] {
        assert_eq!(codes(&found(file, print)), [code]);
    }
    let text = world.text(Some(&recipients(&[(&first, one)])));
    let alone = preflight(&world.settings(&text), &[], Utc::now()).unwrap();
    assert_eq!(codes(&alone), ["one-recipient"]);
}

#[test]
fn the_end_of_a_certificate_is_told_in_time() {
    let world = World::new();
    let settings = world.settings(&world.text(None));
    let ends = Utc::now() + TimeDelta::days(730);
    for (before, code) in [
        (200, None),
        (170, Some("certificate-expires-180")),
        (80, Some("certificate-expires-90")),
        (20, Some("certificate-expires-30")),
        (-1, Some("certificate-expired")),
    ] {
        let found = preflight(&settings, &[], ends - TimeDelta::days(before)).unwrap();
        assert_eq!(codes(&found), code.into_iter().collect::<Vec<_>>(), "{before}");
        assert_eq!(found.len(), if code.is_some() { 2 } else { 0 }, "of each certificate");
    }
}

#[test]
fn folders_that_are_not_there_and_a_history_that_is_not_sound_are_named() {
    let world = World::new();
    let [history, staging, ledger] = ["history", "staging", "ledger"].map(|name| world.scratch.path(name));
    world.scratch.snapshot("web01", &everything());
    assert_eq!(world.found(), [], "the control");

    fs::remove_dir(&staging).unwrap();
    assert_eq!(codes(&world.found()), ["folder-absent"]);
    fs::write(&staging, "a file").unwrap();
    assert_eq!(codes(&world.found()), ["folder-unusable"]);
    fs::remove_file(&staging).unwrap();
    fs::create_dir(&staging).unwrap();

    fs::write(ledger.join("ledger"), "{}\n").unwrap();
    assert_eq!(codes(&world.found()), ["ledger-damaged"]);
    fs::remove_file(ledger.join("ledger")).unwrap();

    fs::write(history.join("web01/log"), "{}\n").unwrap();
    assert_eq!(codes(&world.found()), ["history-unsound"]);
    fs::rename(&history, world.scratch.path("elsewhere")).unwrap();
    assert_eq!(codes(&world.found()), ["history-missing"]);
}

#[test]
fn drills_that_nobody_did_are_named_once_there_is_ice() {
    let world = World::new();
    let drills = world.scratch.path("drills");
    assert_eq!(world.found(), [], "the control: nothing to drill yet");
    let unset = world
        .text(None)
        .lines()
        .filter(|line| !line.starts_with("drill_records"))
        .collect::<Vec<_>>()
        .join("\n");
    assert_eq!(codes(&preflight(&world.settings(&unset), &[], Utc::now()).unwrap()), ["no-drill-record"]);

    world.scratch.snapshot("web01", &everything());
    let recipients = [world.scratch.recipient("three")];
    assert_eq!(run(world.scratch.plan(&recipients, vec![world.scratch.target()])).unwrap(), cli::Exit::WHOLE);
    assert_eq!(codes(&world.found()), ["no-drill-record"]);
    fs::write(drills.join("2026-01-01.json"), "{}\n").unwrap();
    assert_eq!(world.found(), []);
    fs::remove_dir_all(&drills).unwrap();
    assert_eq!(codes(&world.found()), ["folder-unusable"], "a run would end there");
}

#[test]
fn the_largest_image_of_all_hosts_is_held_against_the_room() {
    let world = World::new();
    let tree = vec![(&b"a"[..], crate::rig::Spec::File(Vec::new()), meta(0o644, 0, 1))];
    world.scratch.snapshot("web01", &everything());
    let name = world.scratch.snapshot("web02", &tree);
    assert_eq!(world.found(), []);
    // A file as large as a disk that nobody has, with holes: the manifest says so, and nothing else is looked at.
    claim_size(&world.scratch, "web02", &name, 1 << 60);
    let found = world.found();
    assert_eq!(codes(&found), ["no-staging-room"]);
    assert!(found[0].seen.contains("there is room for"), "{found:?}");
}

#[test]
fn vaults_in_folders_and_vaults_together_are_judged() {
    let mut world = World::new();
    let vault = world.scratch.path("vault");
    let folder = |name: &str, path: &std::path::Path| {
        format!("[[vaults]]\nname = \"{name}\"\nurl = \"file:{}\"\nretention_days = 92\n", path.display())
    };
    let here = |found: &[Finding], code| found.iter().filter(|one| one.check.code == code).count();
    let set = |world: &mut World, text: String| {
        world.replace(text);
        world.found()
    };

    let found = set(&mut world, folder("a", &vault));
    assert_eq!((here(&found, "one-place"), here(&found, "same-disk")), (1, 1), "{found:?}");
    assert_eq!((here(&found, "folder-open"), here(&found, "same-place")), (0, 0));
    std::os::unix::fs::symlink(&vault, world.scratch.path("again")).unwrap();
    let again = world.scratch.path("again");
    let found = set(&mut world, format!("{}{}", folder("a", &vault), folder("b", &again)));
    assert_eq!(here(&found, "same-place"), 1, "{found:?}");
    fs::set_permissions(&vault, fs::Permissions::from_mode(0o777)).unwrap();
    let found = set(&mut world, folder("a", &vault));
    assert_eq!(here(&found, "folder-open"), 1, "{found:?}");
    let absent = world.scratch.path("not mounted");
    let found = set(&mut world, folder("a", &absent));
    assert_eq!(here(&found, "folder-missing"), 1, "{found:?}");
}

#[test]
fn a_class_that_is_billed_for_longer_than_the_lock_is_named() {
    let mut world = World::new();
    for (class, days, named) in
        [("GLACIER", 92, false), ("DEEP_ARCHIVE", 179, true), ("DEEP_ARCHIVE", 180, false)]
    {
        let (mut bucket, rights) = super::world::good();
        bucket.default_retention = Some((fake_s3::Mode::Compliance, 400));
        world.set(bucket, rights, &format!("storage_class = \"{class}\"\nretention_days = {days}"));
        let expected: &[&str] = if named { &["retention-below-minimum"] } else { &[] };
        assert_eq!(codes(&world.about("off-site")), expected, "{class} {days}");
    }
}

#[test]
fn the_program_ends_with_0_with_3_for_warnings_and_with_the_code_of_the_first_failure() {
    let mut world = World::new();
    let config = world.scratch.path("ice.toml");
    let ran = |world: &World, words: &[&str]| {
        fs::write(&config, world.text(None)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_iceboxer"));
        let output = output(command.arg("preflight").args(words).arg("--config").arg(&config));
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap(), text, String::from_utf8(output.stderr).unwrap())
    };
    let (code, said, _) = ran(&world, &[]);
    assert_eq!((code, said.as_str()), (0, "nothing found\n"));
    assert_eq!(ran(&world, &["nowhere"]).0, 2);

    let (mut bucket, rights) = super::world::good();
    bucket.lifecycle = None;
    world.set(bucket.clone(), rights.clone(), "");
    assert_eq!(ran(&world, &["off-site"]).0, 3);

    bucket.default_retention = Some((fake_s3::Mode::Governance, 400));
    world.set(bucket, rights, "");
    let (code, said, errors) = ran(&world, &["--json"]);
    assert_eq!(code, 32, "{errors}");
    assert!(errors.contains("vault off-site: governance-mode: "), "{errors}");
    let (table, report) = said.trim_end().rsplit_once('\n').unwrap();
    assert!(table.starts_with("failure  governance-mode "), "{table}");
    assert!(table.contains("fix: ") && table.contains("iceboxer setup"), "{table}");
    let report: serde_json::Value = serde_json::from_str(report).unwrap();
    let findings = report["details"]["findings"].as_array().unwrap();
    // The second vault is gone from the settings: all ice is with one provider.
    let codes: Vec<_> = findings.iter().map(|finding| finding["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["governance-mode", "no-abort-rule", "one-place"]);
    assert_eq!(
        (&report["counts"]["failures"], &report["counts"]["warnings"], &report["counts"]["advice"]),
        (&1.into(), &1.into(), &1.into())
    );
}
