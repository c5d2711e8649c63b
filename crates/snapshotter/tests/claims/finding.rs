//! `find` and `diff`: what manifests tell.

use std::fs;

use crate::push::Push;
use crate::state::{Item, State, file};
use crate::world::World;

fn first() -> State {
    State::of([
        ("etc", Item::Folder),
        ("etc/a.conf", file("one")),
        ("etc/gone.conf", file("gone")),
        ("etc/mode", file("same")),
        ("x", Item::First(2, b"two names".to_vec())),
        ("y", Item::Link("x")),
    ])
}

/// Four snapshots: a.conf changes in the second, is away in the third and back in the fourth.
fn world() -> World {
    let world = World::new();
    let second =
        first().with("etc/a.conf", file("longer")).with("etc/mode", Item::Mode(0o600, b"same".to_vec()));
    let third = second.without("etc/a.conf").without("etc/gone.conf").with("srv", Item::Folder);
    let fourth = third.with("etc/a.conf", file("longer")).with("srv/a.conf", file("other"));
    let states = [first(), second, third, fourth];
    world.seal(1, &Push::whole(1, &states[0]).bytes());
    for (number, pair) in states.windows(2).enumerate() {
        let number = number as u8 + 2;
        world.seal(number.into(), &Push::delta(number, &pair[0], &pair[1]).bytes());
    }
    // A whole push of the same state has the root of the one before.
    world.seal(5, &Push::whole(5, &states[3]).bytes());
    world.ingest(0);
    assert_eq!(world.log().snapshots().len(), 5);
    world
}

#[test]
fn a_pattern_that_ends_with_a_slash_finds_folders_alone() {
    let world = world();
    let found = |pattern: &str| world.run(&["--json", "find", pattern]).report()["counts"]["found"].clone();
    assert_eq!(found("etc"), 1);
    assert_eq!(found("etc/"), 1);
    assert_eq!(found("a.conf/"), 0);
    assert_eq!(found("/*/"), 2, "etc and srv, not x and y");
    assert_eq!(found("/*"), 4);
}

#[test]
fn a_name_is_found_with_its_versions_and_their_snapshots() {
    let world = world();
    let names: Vec<String> =
        world.log().snapshots().iter().map(|snapshot| snapshot.name.to_string()).collect();
    let ended = world.run(&["--json", "find", "a.conf"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let report = ended.report();
    assert_eq!(report["counts"]["found"], 2);
    let found = &report["details"]["found"];
    assert_eq!((&found[0]["path"], &found[1]["path"]), (&"etc/a.conf".into(), &"srv/a.conf".into()));
    assert_eq!(
        (&found[0]["first"], &found[0]["last"]),
        (&names[0].as_str().into(), &names[4].as_str().into())
    );
    let spans: Vec<_> = found[0]["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| (v["size"].as_u64().unwrap(), v["first"].as_str().unwrap(), v["last"].as_str().unwrap()))
        .collect();
    assert_eq!(
        spans,
        [(3, &*names[0], &*names[0]), (6, &*names[1], &*names[1]), (6, &*names[3], &*names[4])]
    );
    assert_eq!(found[0]["versions"][0]["mtime"], "2023-11-14T22:13:20Z");
    let lines: Vec<&str> = ended.out.lines().collect();
    assert!(lines[0].starts_with(&format!("web01  etc/a.conf  {} .. {}", names[0], names[4])), "{lines:?}");
    assert!(lines[1].contains("3 bytes  2023-11-14T22:13:20Z"), "{lines:?}");
}

#[test]
fn patterns_find_what_they_say_and_nothing_is_no_error() {
    let world = world();
    for (pattern, count) in [
        ("*.conf", 3),
        ("/etc/*.conf", 2),
        ("/*/a.conf", 2),
        ("/**", 8),
        ("etc", 1),
        ("y", 1),
        ("nothing-of-that-name", 0),
    ] {
        let ended = world.run(&["--json", "find", pattern, "--host", "web01"]);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert_eq!(ended.report()["counts"]["found"].as_u64().unwrap_or(0), count, "{pattern}");
    }
    assert_eq!(world.run(&["find", "a//b"]).code, 2);
    assert_eq!(world.run(&["find", "x", "--host", "db1"]).code, 2);
}

#[test]
fn a_damaged_manifest_is_named_and_the_others_are_searched() {
    let world = world();
    let name = world.log().snapshots()[1].name.clone();
    let manifest = world.path(&format!("history/web01/manifests/{name}.manifest"));
    let bytes = fs::read(&manifest).unwrap();
    fs::write(&manifest, &bytes[..bytes.len() - 60]).unwrap();
    let ended = world.run(&["--json", "find", "a.conf"]);
    assert_eq!(ended.code, 28, "{ended:?}");
    assert!(ended.err.contains(name.as_str()), "{ended:?}");
    assert_eq!(ended.report()["counts"]["found"], 2);
}

#[test]
fn snapshots_that_share_a_damaged_manifest_are_all_named() {
    let world = world();
    let snapshots = world.log().snapshots().to_vec();
    let (fourth, fifth) = (snapshots[3].name.clone(), snapshots[4].name.clone());
    let manifest = world.path(&format!("history/web01/manifests/{fourth}.manifest"));
    let bytes = fs::read(&manifest).unwrap();
    fs::write(&manifest, &bytes[..bytes.len() - 60]).unwrap();
    let ended = world.run(&["--json", "find", "a.conf"]);
    assert_eq!(ended.code, 28, "{ended:?}");
    assert!(ended.err.contains(fourth.as_str()) && ended.err.contains(fifth.as_str()), "{ended:?}");
}

#[test]
fn a_manifest_of_a_later_version_is_refused_and_not_guessed_at() {
    let world = world();
    let name = world.log().snapshots()[1].name.clone();
    let manifest = world.path(&format!("history/web01/manifests/{name}.manifest"));
    let mut bytes = fs::read(&manifest).unwrap();
    // Of the manifest, if it is plain, and of the form in which it is kept.
    let mut plain = zstd::stream::decode_all(bytes.as_slice()).unwrap();
    plain[8..10].copy_from_slice(&9_u16.to_le_bytes());
    bytes[16..18].copy_from_slice(&9_u16.to_le_bytes());
    for bytes in [plain, bytes] {
        fs::write(&manifest, bytes).unwrap();
        let ended = world.run(&["find", "a.conf"]);
        assert!(ended.code == 28 && ended.err.contains("version"), "{ended:?}");
    }
}

#[test]
fn one_host_does_not_stop_the_search_of_the_others() {
    let world = world();
    for host in ["aaa", "bbb"] {
        fs::create_dir(world.path(&format!("history/{host}"))).unwrap();
    }
    fs::write(world.path("history/bbb/log"), "no log\n").unwrap();
    for name in ["aaa", "bbb", "bbb/log"] {
        crate::world::give_away(&world.path(&format!("history/{name}")));
    }
    let ended = world.run(&["--json", "find", "a.conf"]);
    assert_eq!(ended.code, 28, "{ended:?}");
    assert_eq!(ended.report()["counts"]["found"], 2, "{ended:?}");
    assert!(ended.err.contains("bbb") && !ended.err.contains("aaa"), "{ended:?}");
    assert_eq!(world.run(&["find", "a.conf", "--host", "web01"]).code, 0);
}

#[test]
fn a_path_that_is_in_neither_snapshot_is_no_sameness() {
    let world = world();
    let first = world.log().snapshots()[0].name.to_string();
    assert_eq!(world.run(&["diff", "web01", &first, "latest", "etc/a.confg"]).code, 43);
    assert_eq!(world.run(&["diff", "web01", &first, "latest", "etc/gone.conf"]).code, 0);
    assert_eq!(world.run(&["diff", "web01", "latest", "latest", "etc"]).code, 0);
}

#[test]
fn what_differs_is_told_path_by_path() {
    let world = world();
    let names: Vec<String> =
        world.log().snapshots().iter().map(|snapshot| snapshot.name.to_string()).collect();
    let diff = |a: &str, b: &str, path: &[&str]| {
        let ended = world.run(&[&["--json", "diff", "web01", a, b], path].concat());
        assert_eq!(ended.code, 0, "{ended:?}");
        let mut lines: Vec<String> = ended.out.lines().map(str::to_owned).collect();
        lines.pop();
        (lines, ended.report())
    };
    let (lines, report) = diff(&names[0], &names[1], &[]);
    assert_eq!(lines, ["c etc/a.conf", "m etc/mode  (mode 0644 -> 0600)"]);
    assert_eq!((&report["counts"]["content"], &report["counts"]["metadata"]), (&1.into(), &1.into()));
    let (lines, _) = diff(&names[1], "latest", &[]);
    assert_eq!(lines, ["- etc/gone.conf", "+ srv", "+ srv/a.conf"]);
    assert_eq!(diff("latest", &names[1], &["srv"]).0, ["- srv", "- srv/a.conf"]);
    assert_eq!(diff(&names[3], "latest", &[]).0, [""; 0]);
    assert_eq!(diff(&names[0], "latest", &["etc/mode"]).0, ["m etc/mode  (mode 0644 -> 0600)"]);
}

#[test]
fn a_first_name_that_went_is_a_change_of_links_and_not_of_content() {
    let world = World::new();
    let second = first().without("x").with("y", file("two names"));
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.seal(2, &Push::delta(2, &first(), &second).bytes());
    world.ingest(0);
    let first = world.log().snapshots()[0].name.to_string();
    let ended = world.run(&["diff", "web01", &first, "latest"]);
    assert_eq!(ended.out, "- x\nm y  (links 2 -> 1, hard link)\n");
}

#[test]
fn show_takes_times_too() {
    let world = world();
    let name = world.log().latest().unwrap().name.to_string();
    let ended = world.run(&["show", "web01", "9999-12-31"]);
    assert!(ended.code == 0 && ended.out.contains(&name), "{ended:?}");
}
