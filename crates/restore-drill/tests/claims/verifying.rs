//! `verify`: what is proved, and what is recorded.

use formats::Kind;
use serde_json::json;

use super::ices::{Machine, ice_of, seal, snapshots};
use super::images;
use super::keys::{key, other_key, seal_to};
use super::tree::{Tree, extended, noise, small};

#[test]
fn a_sound_ice_is_proved_and_recorded() {
    let ice = ice_of(&small());
    let machine = Machine::with(&ice);
    let ran = machine.verify().ends_with(0);
    assert!(ran.stdout.contains("is proved"), "{}", ran.stdout);
    machine.assert_nothing_left();
    let records = machine.records();
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!(record["format"], "firn.drill/1.0");
    assert_eq!(record["result"], "proved");
    assert_eq!(record["failure"], json!(null));
    assert_eq!(record["ice"], ice.id());
    assert_eq!(record["vault"], "local");
    assert_eq!(record["segments"], ice.segments.len());
    assert_eq!(record["bytes"], ice.segments.iter().map(Vec::len).sum::<usize>());
    assert_eq!(record["key"], key().fingerprint);
    assert_eq!(record["image_hash"], ice.record["image"]["hash"]);
    let snapshot = &record["snapshots"][0];
    assert_eq!(snapshot["root"], ice.record["snapshots"][0]["root"]);
    assert_eq!((&snapshot["entries"], &snapshot["files"]), (&json!(8), &json!(4)));
    assert_eq!(snapshot["content_bytes"], 600_020);
    assert_eq!(
        record["from_manifest"],
        json!([{"what": "nanoseconds", "count": 7}, {"what": "hard-links", "count": 1}])
    );
}

#[test]
fn every_snapshot_of_an_image_is_proved() {
    let (first, mut second) = (small(), small());
    second.file("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n");
    second.file("zz", noise(70_000));
    let snapshots = snapshots(&[first, second]);
    let image = images::write(&images::names(&snapshots));
    let machine = Machine::with(&seal(&snapshots, &image, 100_000, key()));
    machine.verify().ends_with(0);
    let record = &machine.records()[0];
    assert_eq!(record["snapshots"].as_array().unwrap().len(), 2);
    assert_eq!(record["segments"], 2 + (image.len() - 4097) / 100_000);
}

#[test]
fn an_ice_with_an_empty_snapshot_is_proved() {
    Machine::with(&ice_of(&Tree::default())).verify().ends_with(0);
}

#[test]
fn each_of_several_recipients_opens_it() {
    let tree = small();
    let mut ice = ice_of(&tree);
    let image = images::write(&images::names(&snapshots(&[tree])));
    ice.segments =
        vec![seal_to(&[other_key(), key()], &image[..4096]), seal_to(&[other_key(), key()], &image[4096..])];
    ice.agree();
    ice.recipients.push(other_key().public());
    let machine = Machine::with(&ice);
    machine.verify().ends_with(0);
    let other = other_key().secret();
    machine.run(&["verify", ice.id(), "--key", other.to_str().unwrap()]).ends_with(0);
    assert_eq!(machine.records().last().unwrap()["key"], other_key().fingerprint);
}

#[test]
fn what_an_image_cannot_hold_is_counted_and_not_missed() {
    let mut tree = small();
    tree.add("socket", Kind::Socket, 0o755);
    tree.symlink("long", "x".repeat(256));
    tree.symlink("short", "x".repeat(255));
    tree.file("old", "1960").mtime.seconds = -300_000_000;
    tree.file("far", "2200").mtime.seconds = 7_258_118_400;
    tree.file("tagged", "x").attributes = vec![extended("user.a", b"1")];
    tree.add("wide", Kind::CharDevice { major: 0x1000, minor: 0 }, 0o600);
    let ice = super::ices::ice_with(&tree, |names| names.retain(|name| !name.path.ends_with("/wide")));
    let machine = Machine::with(&ice);
    machine.verify().ends_with(0);
    let record = &machine.records()[0];
    assert_eq!(
        record["from_manifest"],
        json!([
            {"what": "extended-attributes", "count": 1},
            {"what": "nanoseconds", "count": 14},
            {"what": "hard-links", "count": 1},
            {"what": "long-symlinks", "count": 1},
            {"what": "sockets", "count": 1},
            {"what": "device-numbers", "count": 1},
            {"what": "clamped-mtimes", "count": 2},
        ])
    );
}

#[test]
fn owners_beyond_the_table_of_an_image_may_be_0_in_it_and_no_others() {
    let mut tree = Tree::default();
    for owner in 0..2_100u32 {
        let meta = tree.file(format!("f{owner:04}"), "");
        (meta.owner, meta.group) = (owner, 0);
    }
    let fit = |names: &mut Vec<images::Name>| {
        names.iter_mut().filter(|name| name.header.uid >= 2_048).for_each(|name| name.header.uid = 0);
    };
    let machine = Machine::with(&super::ices::ice_with(&tree, fit));
    machine.verify().ends_with(0);
    assert!(
        machine.records()[0]["from_manifest"]
            .as_array()
            .unwrap()
            .contains(&json!({"what": "owners", "count": 52}))
    );

    let wrong = super::ices::ice_with(&tree, |names| {
        fit(names);
        names.last_mut().unwrap().header.uid = 7;
    });
    Machine::with(&wrong).verify().ends_with(41).because("its owner is 7, and should be 2099");
}

#[test]
fn many_small_files_are_read_within_little_memory() {
    let mut tree = Tree::default();
    for number in 0..2_000u32 {
        // Not compressible: the reader's own cache would grow to 100 MB.
        tree.file(format!("f{number:05}"), noise(50_000 + number as usize));
    }
    let machine = Machine::with(&ice_of(&tree));
    machine.settings("memory_bytes = 120000000");
    machine.verify().ends_with(0);
}

#[test]
fn one_processor_is_enough() {
    let machine = Machine::with(&ice_of(&small()));
    let secret = key().secret();
    let verify = machine.command(&["verify", "web01/latest", "--key", secret.to_str().unwrap()]);
    let output = std::process::Command::new("taskset")
        .args(["-c", "0"])
        .arg(verify.get_program())
        .args(verify.get_args())
        .output()
        .unwrap();
    super::ices::ran(output).ends_with(0);
}
