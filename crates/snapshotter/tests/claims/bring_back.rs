//! `restore`: out of the history, whole, damaged or in part.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};

use crate::push::Push;
use crate::state::{Item, State, file};
use crate::world::{PROGRAM, World, is_root};

fn state() -> State {
    State::of([
        ("etc", Item::Folder),
        ("etc/app", Item::Folder),
        ("etc/app/conf", Item::Mode(0o640, b"second".to_vec())),
        ("etc/app/link", Item::Symlink(b"conf".to_vec())),
        ("etc/setid", Item::Mode(0o4755, b"power".to_vec())),
        ("fifo", Item::Fifo),
        ("one", Item::First(2, b"two names".to_vec())),
        ("two", Item::Link("one")),
    ])
}

/// Two snapshots: in the first, etc/app/conf is another.
fn world() -> World {
    let world = World::new();
    let first = state().with("etc/app/conf", file("first"));
    world.seal(1, &Push::whole(1, &first).bytes());
    world.seal(2, &Push::delta(2, &first, &state()).bytes());
    world.ingest(0);
    // The program may be another user, who makes the folder.
    fs::create_dir(world.path("out")).unwrap();
    crate::world::give_away(&world.path("out"));
    world
}

/// The history, but for the log, which has a line of each restore.
fn without_log(world: &World) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let log = world.path("history/web01/log");
    world.picture("history").into_iter().filter(|(path, _)| *path != log).collect()
}

/// Nothing was made but the folder itself, which the next restore takes.
fn is_bare(world: &World) -> bool {
    fs::read_dir(world.path("out/to")).map_or(true, |names| names.count() == 0)
}

fn restore(world: &World, words: &[&str]) -> crate::world::Ended {
    let to = world.path("out/to");
    let _ = fs::remove_dir_all(&to);
    world.run(&[&["--json", "restore", "web01"], words, &["--to", to.to_str().unwrap()]].concat())
}

#[test]
fn a_snapshot_comes_back_with_its_metadata_and_without_powers() {
    let world = world();
    let ended = restore(&world, &["latest"]);
    assert_eq!(ended.code, 3, "the set-id bit is named: {ended:?}");
    let report = ended.report();
    // Whoever is not root does not get the owners either.
    assert_eq!(report["counts"]["left_out"], if is_root() { 1 } else { 2 });
    assert_eq!((&report["counts"]["files"], &report["counts"]["hard_links"]), (&3.into(), &1.into()));
    let at = |name: &str| world.path("out/to").join(name);
    assert_eq!(fs::read(at("etc/app/conf")).unwrap(), b"second");
    let conf = fs::metadata(at("etc/app/conf")).unwrap();
    assert_eq!((conf.mode() & 0o7777, conf.mtime(), conf.mtime_nsec()), (0o640, 1_700_000_000, 5));
    assert_eq!(fs::metadata(at("etc/setid")).unwrap().mode() & 0o7777, 0o755);
    assert_eq!(fs::metadata(at("one")).unwrap().ino(), fs::metadata(at("two")).unwrap().ino());
    assert_eq!(fs::metadata(at("etc")).unwrap().mtime_nsec(), 5);
    if is_root() {
        let ended = restore(&world, &["latest", "--with-powers"]);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert_eq!(fs::metadata(at("etc/setid")).unwrap().mode() & 0o7777, 0o4755);
        assert_eq!(conf.uid(), 0, "root gives files back to their owners");
    }
}

#[test]
fn a_part_and_an_older_state_come_back_by_name_and_by_time() {
    let world = world();
    let log = world.log();
    let (first, second) = (log.snapshots()[0].clone(), log.snapshots()[1].clone());
    let conf = || fs::read(world.path("out/to/etc/app/conf")).unwrap();
    assert_eq!(restore(&world, &[first.name.as_str(), "etc/app"]).code, if is_root() { 0 } else { 3 });
    assert_eq!(conf(), b"first");
    assert!(!world.path("out/to/one").exists() && !world.path("out/to/etc/setid").exists());
    for when in [second.accepted.as_str(), &second.accepted[..10], "9999-12-31", "latest"] {
        restore(&world, &[when, "/etc/app/conf"]);
        assert_eq!(conf(), b"second", "{when}");
    }
    for (words, code) in [
        (&["2001-01-01"][..], 2),
        (&["yesterday"], 2),
        (&["20010101T000000Z-0000000009"], 2),
        (&["latest", "etc/passwd"], 43),
        (&["latest", "../etc"], 2),
    ] {
        let ended = restore(&world, words);
        assert_eq!(ended.code, code, "{words:?} {ended:?}");
        assert!(is_bare(&world), "{words:?} made something");
    }
}

#[test]
fn damaged_contents_are_named_with_a_code_of_their_own_and_the_rest_comes_back() {
    type Damage = fn(&std::path::Path);
    let damages: [(&str, Damage); 3] = [
        ("is another", |path| fs::write(path, "sec0nd").unwrap()),
        ("missing in the history", |path| fs::remove_file(path).unwrap()),
        ("another kind", |path| {
            fs::remove_file(path).unwrap();
            std::os::unix::fs::symlink("/etc/shadow", path).unwrap();
        }),
    ];
    for (what, damage) in damages {
        let world = world();
        damage(&world.tree(2).join("etc/app/conf"));
        let ended = restore(&world, &["latest"]);
        assert_eq!(ended.code, 29, "{ended:?}");
        let report = ended.report();
        assert_eq!(report["counts"]["differences"], 1);
        assert_eq!(report["details"]["differences"][0]["path"], "etc/app/conf");
        assert!(ended.err.contains(what), "{ended:?}");
        assert!(!world.path("out/to/etc/app/conf").exists());
        assert_eq!(fs::read(world.path("out/to/two")).unwrap(), b"two names");

        let mut tar = world.command(&["restore", "web01", "latest", "--tar"]);
        let output = tar.output().unwrap();
        assert_eq!(output.status.code(), Some(29));
        assert!(unpacked(&world, &output.stdout, "etc/app/conf").is_none());
        assert_eq!(unpacked(&world, &output.stdout, "one").unwrap(), b"two names");
    }
}

/// What tar finds under a name.
fn unpacked(world: &World, archive: &[u8], name: &str) -> Option<Vec<u8>> {
    let path = world.path("archive");
    fs::write(&path, archive).unwrap();
    let output = Command::new("tar").arg("-xOf").arg(&path).arg(name).output().unwrap();
    output.status.success().then_some(output.stdout)
}

#[test]
fn a_manifest_that_is_not_whole_restores_nothing() {
    let world = world();
    let name = world.log().latest().unwrap().name.clone();
    let manifest = world.path(&format!("history/web01/manifests/{name}.manifest"));
    let good = fs::read(&manifest).unwrap();
    let mut bad = good.clone();
    bad[60] ^= 1;
    fs::write(&manifest, &bad).unwrap();
    assert_eq!(restore(&world, &["latest"]).code, 28);
    let first = world.log().snapshots()[0].name.clone();
    fs::copy(world.path(&format!("history/web01/manifests/{first}.manifest")), &manifest).unwrap();
    assert_eq!(restore(&world, &["latest"]).code, 28, "a whole manifest, of another snapshot");
    assert!(is_bare(&world));
}

#[test]
fn an_archive_is_the_only_thing_on_standard_output() {
    let world = world();
    let ended = world.run(&["--json", "restore", "web01", "latest", "--tar"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("--json"), "{ended:?}");
    let output = world.command(&["restore", "web01", "latest", "--tar"]).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len() % 10_240), (Some(3), 0));
    assert_eq!(unpacked(&world, &output.stdout, "etc/app/conf").unwrap(), b"second");
    let part = world.command(&["restore", "web01", "latest", "etc/app", "--tar"]).output().unwrap();
    fs::write(world.path("archive"), &part.stdout).unwrap();
    let list = Command::new("tar").arg("-tf").arg(world.path("archive")).output().unwrap();
    assert_eq!(String::from_utf8(list.stdout).unwrap(), "etc/app/\netc/app/conf\netc/app/link\n");
}

#[test]
fn a_reader_of_the_archive_who_leaves_is_no_success() {
    let world = world();
    let mut tar = world.command(&["restore", "web01", "latest", "--tar"]);
    let mut child = tar.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(4));
}

#[test]
fn a_hand_copy_of_the_history_gets_its_metadata_and_the_history_keeps_its_own() {
    let world = world();
    let tree = world.tree(2);
    let before = without_log(&world);
    let by_hand = world.path("out/app");
    let cp = |what: &str| {
        let mut copy = Command::new("cp");
        assert!(copy.arg(what).arg(tree.join("etc/app")).arg(&by_hand).status().unwrap().success());
        if is_root() {
            assert!(
                Command::new("chown").args(["-hR", "65534:65534"]).arg(&by_hand).status().unwrap().success()
            );
        }
    };
    cp("-r");
    let onto =
        ["--json", "restore", "web01", "latest", "etc/app", "--metadata-onto", by_hand.to_str().unwrap()];
    let ended = world.run(&onto);
    assert_eq!(ended.code, if is_root() { 0 } else { 3 }, "{ended:?}");
    let counts = &ended.report()["counts"];
    assert_eq!((&counts["repaired"], &counts["missing"]), (&3.into(), &0.into()));
    let conf = fs::metadata(by_hand.join("conf")).unwrap();
    assert_eq!((conf.mode() & 0o7777, conf.mtime_nsec()), (0o640, 5));
    fs::remove_file(by_hand.join("link")).unwrap();
    fs::write(by_hand.join("conf"), "mine").unwrap();
    let ended = world.run(&onto);
    assert_eq!(ended.code, 3);
    let counts = &ended.report()["counts"];
    assert_eq!(
        (&counts["repaired"], &counts["missing"], &counts["differing"]),
        (&1.into(), &1.into(), &1.into())
    );
    assert_eq!(fs::read(by_hand.join("conf")).unwrap(), b"mine");
    assert_eq!(without_log(&world), before);
}

#[test]
fn nothing_is_restored_over_what_is_there() {
    let world = world();
    fs::write(world.path("out/mine"), "mine").unwrap();
    let out = world.path("out");
    let ended = world.run(&["restore", "web01", "latest", "--to", out.to_str().unwrap()]);
    assert_eq!(ended.code, 2, "{ended:?}");
    for target in [&["--tar", "--to", "/tmp/x"][..], &[]] {
        let ended = world.run(&[&["restore", "web01", "latest"], target].concat());
        assert_eq!(ended.code, 2, "one target, and not two: {ended:?}");
    }
}

#[test]
fn nothing_is_restored_into_the_history_itself() {
    let world = world();
    let before = world.picture("history");
    std::os::unix::fs::symlink(world.path("history"), world.path("out/link")).unwrap();
    let tree = world.tree(2);
    // A link at the end of a path is no folder to begin with.
    for (to, code) in
        [("history/new", 2), ("history/web01/new", 2), ("out/link/web01/manifests/new", 2), ("out/link", 4)]
    {
        let ended = world.run(&["restore", "web01", "latest", "--to", world.path(to).to_str().unwrap()]);
        assert_eq!(ended.code, code, "{to} {ended:?}");
    }
    for onto in [tree.join("etc"), tree.clone(), world.path("out/link/web01")] {
        let ended =
            world.run(&["restore", "web01", "latest", "etc", "--metadata-onto", onto.to_str().unwrap()]);
        assert_eq!(ended.code, 2, "{onto:?} {ended:?}");
    }
    assert_eq!(world.picture("history"), before);
}

#[test]
fn powers_come_back_into_a_folder_alone() {
    let world = world();
    let out = world.path("out");
    let ended =
        world.run(&["restore", "web01", "latest", "--with-powers", "--metadata-onto", out.to_str().unwrap()]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("--with-powers"), "{ended:?}");
}

/// Root keeps what restoring takes, and is held to the folder: a program that was led astray could write nowhere else.
#[test]
fn while_it_restores_it_can_reach_no_other_file() {
    if !is_root() {
        return println!("SKIPPED: while_it_restores_it_can_reach_no_other_file: needs root");
    }
    let world = World::new();
    // Large enough to be looked at while it is restored.
    let big = State::of([("big", file(vec![7; 96 << 20]))]);
    world.seal(1, &Push::whole(1, &big).bytes());
    world.ingest(0);
    let to = world.path("to");
    let mut child = Command::new(PROGRAM);
    child.arg("--config").arg(&world.config).args(["restore", "web01", "latest", "--to"]).arg(&to);
    let mut child = child.stdout(Stdio::null()).spawn().unwrap();
    let mut seen = None;
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let field = |name: &str| {
            status.lines().find_map(|line| line.strip_prefix(name)).map(|rest| rest.trim().to_owned())
        };
        if field("Seccomp:").as_deref() == Some("2") {
            seen = field("CapEff:");
        }
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let kept = u64::from_str_radix(&seen.expect("it was never confined"), 16).unwrap();
    let expected: u64 = [0, 1, 2, 3, 4, 9, 21, 27, 31].map(|bit| 1_u64 << bit).iter().sum();
    assert_eq!(kept, expected);
    assert_eq!(fs::metadata(to.join("big")).unwrap().permissions().mode() & 0o7777, 0o644);
}
