//! `list` and `report`: what there is, and what was proved.

use std::fs;

use serde_json::json;

use super::ices::{Machine, ice_of, seal, snapshots};
use super::images;
use super::keys::key;
use super::tree::small;

#[test]
fn an_ice_is_listed_with_its_lock_size_and_age() {
    let ice = ice_of(&small());
    let machine = Machine::with(&ice);
    let ran = machine.run(&["list"]).ends_with(0);
    let listed = &ran.report["details"]["ices"][0];
    assert_eq!(listed["ice"], ice.id());
    assert_eq!(listed["vault"], "local");
    assert_eq!(listed["retain_until"], "2100-01-01T00:00:00Z");
    assert_eq!(listed["image_bytes"], ice.record["image"]["bytes"]);
    assert_eq!(listed["snapshots"][0]["entries"], 8);
    assert!(listed["age_seconds"].as_i64().unwrap() > 0);
    assert!(ran.stdout.starts_with(&format!("{}  1 snapshots  1 MiB", ice.id())), "{}", ran.stdout);
    assert!(ran.stdout.contains("locked until 2100-01-01T00:00:00Z"), "{}", ran.stdout);
}

#[test]
fn an_empty_vault_lists_nothing_and_verifies_nothing() {
    let machine = Machine::new();
    let ran = machine.run(&["list"]).ends_with(0);
    assert_eq!(ran.report["details"]["ices"], json!([]));
    machine.verify().ends_with(43).because("there is no ice web01/latest");
}

#[test]
fn an_ice_without_its_record_does_not_count() {
    let ice = ice_of(&small());
    let machine = Machine::with(&ice);
    fs::remove_file(machine.object(&ice, "ice.json")).unwrap();
    assert_eq!(machine.run(&["list"]).ends_with(0).report["counts"]["ices"], 0);
    machine.verify().ends_with(43);
    machine.open(&["verify", ice.id()]).ends_with(43);
}

#[test]
fn the_latest_is_the_newest_snapshot_sealed_last() {
    let old = snapshots(&[small()]);
    let image = images::write(&images::names(&old));
    let mut newer = small();
    newer.file("new", "new");
    let two = snapshots(&[small(), newer.clone()]);
    let two_image = images::write(&images::names(&two));
    let machine = Machine::with(&seal(&two, &two_image, 1 << 20, key()));
    machine.lay(&seal(&old, &image, 1 << 20, key()));
    let ran = machine.verify().ends_with(0);
    assert_eq!(ran.report["details"]["ice"], format!("web01/{}", images::name(2)));
    // The second sealing of the same snapshot.
    let mut again = seal(&two, &two_image, 1 << 20, key());
    let id = format!("{}.2", again.id());
    again.record["ice"] = json!(id);
    for (number, segment) in again.record["segments"].as_array_mut().unwrap().iter_mut().enumerate() {
        segment["object"] = json!(format!("ice/{id}/{number:04}.pgp"));
    }
    machine.lay(&again);
    assert_eq!(machine.verify().ends_with(0).report["details"]["ice"], id);
    assert_eq!(machine.run(&["list", "web01"]).ends_with(0).report["counts"]["ices"], 3);
    assert_eq!(machine.run(&["list", "web02"]).ends_with(0).report["counts"]["ices"], 0);
}

#[test]
fn the_latest_has_the_highest_number_though_the_servers_clock_was_ahead_once() {
    let mut old = snapshots(&[small()]);
    "20370102T030405Z-0000000001".clone_into(&mut old[0].name);
    let image = images::write(&images::names(&old));
    let machine = Machine::with(&seal(&old, &image, 1 << 20, key()));
    let ran = machine.verify().ends_with(0);
    assert!(!ran.stderr.contains("later date"), "{}", ran.stderr);
    let two = snapshots(&[small(), small()]);
    machine.lay(&seal(&two, &images::write(&images::names(&two)), 1 << 20, key()));
    let ran = machine.verify().ends_with(0);
    assert!(ran.stderr.contains("web01/20370102T030405Z-0000000001 has a later date"), "{}", ran.stderr);
    assert_eq!(ran.report["details"]["ice"], format!("web01/{}", images::name(2)));
    let listed = machine.run(&["list", "web01"]).ends_with(0).report["details"]["ices"].clone();
    assert_eq!(listed[1]["ice"], format!("web01/{}", images::name(2)), "newest last");
}

#[test]
fn names_that_are_no_ice_are_usage_errors() {
    let machine = Machine::with(&ice_of(&small()));
    for bad in [
        "web01",
        "",
        "/",
        "web01/",
        "web01/..",
        "../latest",
        "web01/latest/x",
        "WEB01/latest",
        "web01/20260102",
    ] {
        machine.open(&["verify", bad]).ends_with(2);
    }
    machine.open(&["verify", "web02/latest"]).ends_with(43);
    machine.open(&["verify", "web01/latest", "--vault", "other"]).ends_with(2).because("no vault other");
}

#[test]
fn a_lock_that_ran_out_or_is_not_there_is_said() {
    let ice = ice_of(&small());
    let machine = Machine::with(&ice);
    let lock = machine.vault().join(format!("locks/ice/{}/ice.json.json", ice.id()));
    let text = fs::read_to_string(&lock).unwrap().replace("2100-01-01", "2026-01-03");
    fs::remove_file(&lock).unwrap();
    fs::write(&lock, text).unwrap();
    assert!(machine.run(&["list"]).stdout.contains("LOCK RAN OUT"));
    fs::remove_file(&lock).unwrap();
    let ran = machine.run(&["list"]).ends_with(3);
    assert!(ran.stdout.contains("NO LOCK"), "{}", ran.stdout);
}

#[test]
fn a_vault_that_is_away_is_said_and_another_is_used() {
    let machine = Machine::with(&ice_of(&small()));
    let settings = fs::read_to_string(machine.path("drill.toml")).unwrap();
    let away = "[[vaults]]\nname = \"away\"\nurl = \"file:/nonexistent/vault\"\n";
    fs::write(machine.path("drill.toml"), settings.replacen("[[vaults]]", &format!("{away}[[vaults]]"), 1))
        .unwrap();
    let ran = machine.run(&["list"]).ends_with(3);
    assert_eq!(ran.report["counts"]["ices"], 1);
    assert_eq!(ran.report["left_out"][0]["path"], "away");
    let ran = machine.verify().ends_with(0);
    assert!(ran.stderr.contains("vault away"), "{}", ran.stderr);
    machine.open(&["verify", "web01/latest", "--vault", "away"]).ends_with(30);
    machine.run(&["list", "--vault", "away"]).ends_with(30);
    machine.open(&["verify", "web02/latest"]).ends_with(30);
}

#[test]
fn drills_are_reported_from_their_records() {
    let ice = ice_of(&small());
    let machine = Machine::with(&ice);
    machine.verify().ends_with(0);
    fs::write(machine.path("records/20000101T000000Z-junk.json"), "junk").unwrap();
    let ran = machine.run(&["report"]).ends_with(3);
    assert_eq!(ran.report["details"]["drills"][0]["result"], "proved");
    assert!(ran.stdout.contains("0 min old  proved"), "{}", ran.stdout);
    assert_eq!(machine.run(&["report", "web02"]).report["counts"]["drills"], 0);
}
