//! Ice counts only with a catalogue that its server signed and that holds the record to the byte.

use std::fs;

use serde_json::json;

use super::ices::{Ice, Machine, ice_of};
use super::keys::other_key;
use super::servers::{Signature, catalogue, server};
use super::tree::small;

fn signed(by: Signature) -> Ice {
    Ice { signature: by, ..ice_of(&small()) }
}

fn lay_catalogue(machine: &Machine, ice: &Ice, bytes: &[u8]) {
    machine.lay_object(&format!("ice/{}/catalogue.pgp", ice.id()), bytes);
}

#[test]
fn who_signed_is_told_and_recorded_ice_of_others_is_refused() {
    let machine = Machine::with(&signed(Signature::Server));
    let ran = machine.verify().ends_with(0);
    let fingerprint = ran.report["details"]["signed_by"].as_str().unwrap();
    assert!(!fingerprint.is_empty() && !server().certificate().is_empty());
    for by in [Signature::OtherServer, Signature::Nobody] {
        machine.lay(&signed(by));
        machine.verify().ends_with(44).because("no server that the settings name has signed it");
        assert_eq!(machine.records().last().unwrap()["failure"]["code"], 44);
        machine.restore().ends_with(44);
        machine.assert_nothing_restored();
    }
}

#[test]
fn without_a_servers_certificate_ice_is_proved_with_a_warning() {
    let machine = Machine::with(&signed(Signature::OtherServer));
    machine.settings_without_server("");
    let ran = machine.verify().ends_with(0);
    assert!(ran.stderr.contains("who made this ice is not known"), "{}", ran.stderr);
    assert!(ran.report["details"]["signed_by"].is_null());
    // Even then a catalogue is a signed one.
    machine.lay(&signed(Signature::Nobody));
    machine.verify().ends_with(42).because("it ends too early");
}

#[test]
fn a_record_that_its_catalogue_does_not_hold_to_the_byte_is_refused() {
    let ice = ice_of(&small());
    let machine = Machine::with(&ice);
    let mut record = ice.record.clone();
    record["left_out"] = json!(1);
    machine.lay_record(ice.id(), format!("{record}\n").as_bytes());
    machine.verify().ends_with(44).because("is the catalogue of another record");
    machine.lay_record(ice.id(), format!("{}", ice.record).as_bytes());
    machine.verify().ends_with(44);
    machine.lay_record(ice.id(), format!("{}\n", ice.record).as_bytes());
    machine.verify().ends_with(0);
}

#[test]
fn a_catalogue_that_is_missing_long_or_for_others_is_named() {
    let ice = ice_of(&small());
    let machine = Machine::with(&ice);
    let file = machine.object(&ice, "catalogue.pgp");
    let good = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    machine.verify().ends_with(31).because("is not in the vault");
    lay_catalogue(&machine, &ice, &vec![0; 18 << 20]);
    machine.verify().ends_with(42).because("longer than any catalogue");
    let line = format!("{}\n", ice.record);
    let others = catalogue(line.as_bytes(), &[other_key().public()], Signature::Server);
    lay_catalogue(&machine, &ice, &others);
    machine.verify().ends_with(40);
    lay_catalogue(&machine, &ice, &[&good[..], &[0]].concat());
    machine.verify().ends_with(42);
    lay_catalogue(&machine, &ice, &good);
    machine.verify().ends_with(0);
}

#[test]
fn a_flipped_bit_anywhere_in_a_catalogue_is_found() {
    let ice = ice_of(&small());
    let machine = Machine::with(&ice);
    let good = fs::read(machine.object(&ice, "catalogue.pgp")).unwrap();
    let mut flips = 0;
    for at in (0..good.len()).step_by(good.len() / 60) {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        lay_catalogue(&machine, &ice, &bad);
        let ran = machine.verify();
        assert!([40, 42, 44].contains(&ran.code), "byte {at}: {} {}", ran.code, ran.stderr);
        flips += 1;
    }
    assert!(flips >= 60);
    lay_catalogue(&machine, &ice, &good);
    machine.verify().ends_with(0);
}

#[test]
fn a_copy_of_the_objects_is_as_good_though_it_has_no_versions() {
    let mut ice = ice_of(&small());
    for segment in ice.record["segments"].as_array_mut().unwrap() {
        segment["version"] = json!("3sL4kqtJlcpXroDTDmJ");
    }
    Machine::with(&ice).verify().ends_with(0);
    ice.record["segments"][0]["version"] = json!("");
    Machine::with(&ice).verify().ends_with(28);
}

#[test]
fn a_segment_may_lie_in_the_folder_of_an_earlier_ice() {
    let mut ice = ice_of(&small());
    let machine = Machine::new();
    let earlier = "ice/web01/20260101T000000Z-0000000000/0001.pgp";
    ice.record["segments"][1]["object"] = json!(earlier);
    machine.lay(&ice);
    fs::remove_file(machine.object(&ice, "0001.pgp")).unwrap();
    machine.verify().ends_with(31);
    machine.lay_object(earlier, &ice.segments[1]);
    machine.verify().ends_with(0);
}

#[test]
fn a_named_file_without_a_certificate_is_refused_and_turns_nothing_off() {
    let machine = Machine::with(&signed(Signature::OtherServer));
    let good = fs::read(machine.path("server.asc")).unwrap();
    for empty in [&b""[..], b"\n", b"no certificate\n"] {
        fs::write(machine.path("server.asc"), empty).unwrap();
        let ran = machine.verify().ends_with(2).because("the server's certificate");
        assert!(ran.report["error"]["advice"].as_str().unwrap().contains("signing-key.asc"));
        machine.restore().ends_with(2);
    }
    fs::write(machine.path("server.asc"), good).unwrap();
    machine.verify().ends_with(44);
}
