//! A host that was broken into, and what is left of it on the server.

use std::fs;

use pipeline_tests::Outcome;
use pipeline_tests::stock::{below, diff};

use super::world::{ACCEPTED, World, expect, noise};

/// Documents of the host, as a person writes them.
const DOCUMENTS: u64 = 120;

#[test]
fn a_host_that_was_encrypted_is_on_hold_and_its_last_good_version_comes_back() {
    let world = World::new();
    let document = |n: u64| format!("home/letter{n:03}.txt");
    for n in 0..DOCUMENTS {
        world.write(
            &document(n),
            format!("letter {n}: dear reader, the snow is deep this year\n").repeat(20).as_bytes(),
        );
    }
    expect(world.push_and_ingest(), ACCEPTED);
    let origin = world.scratch.folder.join("origin");
    expect(
        Outcome::of(std::process::Command::new("cp").arg("-a").arg(&world.source).arg(&origin)).unwrap(),
        0,
    );
    let before = world.now();
    // The control: a day's work raises nothing.
    world.write(&document(0), b"dear reader, nothing new\n");
    expect(world.push_and_ingest(), ACCEPTED);
    let quiet = world.newest_is_now(2);
    assert_eq!((quiet.count("alarm"), quiet.count("hold")), (0, 0));
    fs::copy(origin.join(document(0)), world.source.join(document(0))).unwrap();
    expect(world.push_and_ingest(), ACCEPTED);

    for n in 0..DOCUMENTS {
        let path = world.source.join(document(n));
        let bytes = fs::metadata(&path).unwrap().len() as usize;
        fs::write(&path, noise(n + 7, bytes)).unwrap();
    }
    expect(world.push_and_ingest(), ACCEPTED);
    let found = world.newest_is_now(4);
    let what: Vec<&str> = found.events.iter().filter_map(|event| event["what"].as_str()).collect();
    assert_eq!((what, found.count("hold")), (vec!["changed", "noise"], 1));
    let good = found.snapshots[2].name.clone();

    let explained = expect(Outcome::of(&mut world.scratch.snapshotter(&["explain", "web01"])).unwrap(), 0);
    assert!(
        explained.stdout.contains("letter") && explained.stdout.contains("release web01"),
        "{}",
        explained.said()
    );
    assert_eq!(explained.report().unwrap()["details"]["last_good"], *good);
    expect(Outcome::of(&mut world.scratch.snapshotter(&["verify"])).unwrap(), 0);
    let planned = expect(Outcome::of(&mut world.scratch.snapshotter(&["prune", "--plan"])).unwrap(), 0);
    assert_eq!(planned.report().unwrap()["counts"]["planned"], 0, "{}", planned.said());
    assert_eq!(world.sound().snapshots.len(), 4);

    let back = world.scratch.folder.join("back");
    let words = ["restore", "web01", &good, "--to", back.to_str().unwrap()];
    let restored = Outcome::of(&mut world.scratch.snapshotter_as_admin(&words)).unwrap();
    expect(restored, 0);
    assert_eq!(diff(&origin, &below(&back, &world.source)).unwrap(), "");
    assert_ne!(diff(&world.source, &below(&back, &world.source)).unwrap(), "", "the control");
    world.is(&world.sound().snapshots[0], &before);

    let words = ["release", "web01", "--reason", "restored; the keys were changed"];
    expect(Outcome::of(&mut world.scratch.snapshotter(&words)).unwrap(), 0);
    let found = world.sound();
    let reasons: Vec<&str> = found
        .events
        .iter()
        .filter(|event| event["kind"] == "release")
        .filter_map(|event| event["reason"].as_str())
        .collect();
    assert_eq!(reasons, ["restored; the keys were changed"]);
}
