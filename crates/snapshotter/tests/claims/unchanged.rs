//! A push in which nothing had changed: one line of the log, and nothing else of the disk.

use std::fs::{self, File};

use chrono::{SecondsFormat, Utc};
use formats::published::Verdict;
use formats::records::log::{Event, Ingest};
use formats::session::Code;
use formats::{HostId, Root};
use history::{History, LogAppender, SnapshotName};

use crate::heal;
use crate::push::Push;
use crate::redact_meets::redact;
use crate::state::{Item, State, file};
use crate::world::{Ended, World, give_away};

fn first() -> State {
    State::of([("etc", Item::Folder), ("etc/hosts", file("127.0.0.1")), ("etc/motd", file("hello"))])
}

/// Names in a folder, and in all that are in it.
fn names(world: &World) -> usize {
    world.picture("history/web01").len()
}

fn world() -> World {
    let world = World::new();
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    world
}

#[test]
fn a_push_that_changed_nothing_costs_a_line_of_the_log_and_no_tree() {
    let world = world();
    let (lines, before) = (world.log().lines(), names(&world));
    world.seal(2, &Push::delta(2, &first(), &first()).bytes());
    let ended = world.run(&["--json", "ingest"]);
    let counts = &ended.report()["counts"];
    assert_eq!((&counts["accepted"], &counts["unchanged"]), (&1.into(), &1.into()), "{ended:?}");
    let log = world.log();
    let newest = log.latest().unwrap();
    assert_eq!((log.snapshots().len(), log.lines(), names(&world)), (1, lines + 1, before), "{ended:?}");
    assert_eq!(world.verdict(2), Some(Verdict::Accepted { root: first().summary().root }));
    assert_eq!((world.sealed(), world.published().base), (0, Some(newest.root)));
    assert_eq!(log.unchanged_pushes().len(), 1);
    let push = &ended.report()["details"]["pushes"][0];
    assert_eq!((&push["end"], &push["snapshot"]), (&"unchanged".into(), &newest.name.to_string().into()));
    // The list tells how long it was so; and what comes next builds on it.
    let listed = world.run(&["list", "web01"]).out;
    assert!(listed.contains(&format!("unchanged at {}", log.unchanged_pushes()[0].accepted)), "{listed}");
    let second = first().with("etc/motd", file("changed"));
    world.seal(3, &Push::delta(3, &first(), &second).bytes());
    world.ingest(0);
    assert_eq!(world.log().snapshots().len(), 2, "the control: with a change there is a tree");
    assert_eq!(fs::read(world.tree(2).join("etc/motd")).unwrap(), b"changed");
    // The same push once more has its verdict already.
    world.seal(4, &Push::delta(2, &first(), &first()).bytes());
    let again = world.ingest(0);
    assert!(again.out.contains("was judged before"), "{again:?}");
}

/// Whoever says that nothing has changed is believed only where all of it can be seen.
#[test]
fn what_does_not_build_on_the_newest_snapshot_is_a_tree() {
    let world = world();
    let second = first().with("etc/motd", file("changed"));
    world.seal(2, &Push::delta(2, &first(), &second).bytes());
    // On the first, when the second is the newest; whole; and on the newest, which by then has the root of the first.
    world.seal(3, &Push::delta(3, &first(), &first()).bytes());
    world.seal(4, &Push::whole(4, &first()).bytes());
    world.ingest(0);
    assert_eq!((world.log().snapshots().len(), world.log().unchanged_pushes().len()), (4, 0));
    world.seal(5, &Push::delta(5, &first(), &first()).bytes());
    world.ingest(0);
    assert_eq!((world.log().snapshots().len(), world.log().unchanged_pushes().len()), (4, 1));
    // A seal that lies about what the changes come to is a wrong root, as always.
    world.seal(6, &Push { root: Root::from_bytes([9; 32]), ..Push::delta(6, &first(), &first()) }.bytes());
    world.seal(7, &Push { entries: 9, ..Push::delta(7, &first(), &first()) }.bytes());
    world.ingest(0);
    for push in [6, 7] {
        world.assert_rejected(push, formats::session::Code::WrongRoot);
    }
}

/// How many snapshots, and how many pushes that are none.
fn came_to(world: &World) -> (usize, usize) {
    let log = world.log();
    (log.snapshots().len(), log.unchanged_pushes().len())
}

fn quiet(world: &World, push: u8, change: impl FnOnce(Push) -> Push) -> (usize, usize) {
    let push_of = change(Push::delta(push, &first(), &first()));
    world.seal(push.into(), &push_of.bytes());
    world.ingest(0);
    came_to(world)
}

/// A snapshot tells what was left out of it, and a push that left out otherwise is not that snapshot.
#[test]
fn a_push_that_left_out_more_or_less_is_a_tree() {
    let world = world();
    assert_eq!(quiet(&world, 2, |push| push), (1, 1), "the control");
    assert_eq!(quiet(&world, 3, |push| Push { left_out: 7, ..push }), (2, 1));
    assert_eq!(world.log().latest().unwrap().left_out, 7);
    assert_eq!(quiet(&world, 4, |push| Push { left_out: 7, ..push }), (2, 2), "as much as before");
    assert_eq!(quiet(&world, 5, |push| push), (3, 2), "and what was mended is seen to be");
}

/// Bytes that nobody asked for are charged, as those of a change are.
#[test]
fn a_push_that_brings_contents_is_a_tree_and_pays_for_them() {
    let world = world();
    let contents = vec![b"nothing of it is in any list of changes".to_vec()];
    assert_eq!(quiet(&world, 2, |push| Push { contents: contents.clone(), ..push }), (2, 0));
    assert_eq!(world.log().latest().unwrap().new_bytes, contents[0].len() as u64);
    assert_eq!(quiet(&world, 3, |push| push), (2, 1));
}

/// What a push without a change stands for is looked at, as far as a push with one would.
#[test]
fn a_damaged_manifest_is_met_by_a_push_that_changed_nothing_and_the_next_is_whole() {
    let world = world();
    assert_eq!(quiet(&world, 2, |push| push), (1, 1), "the control");
    let name = world.log().latest().unwrap().name.clone();
    let path = world.path(&format!("history/web01/manifests/{name}.manifest"));
    let mut bytes = fs::read(&path).unwrap();
    bytes[60] ^= 4;
    fs::write(&path, bytes).unwrap();
    world.seal(3, &Push::delta(3, &first(), &first()).bytes());
    world.ingest(29);
    world.assert_rejected(3, Code::UnknownBase);
    assert_eq!((world.published().base, came_to(&world)), (None, (1, 1)));
    world.seal(4, &Push::whole(4, &first()).bytes());
    world.ingest(0);
    first().assert_tree(&world.tree(2));
    assert_eq!(quiet(&world, 5, |push| push), (2, 2));
}

/// With a content of the newest snapshot lost or redacted, a host that says that nothing has changed has to bring it, and that is a tree.
fn has_to_bring(world: &World) {
    world.seal(4, &Push::delta(4, &heal::state(3), &heal::state(3)).bytes());
    world.ingest(0);
    world.assert_rejected(4, Code::MissingContent);
    assert_eq!(came_to(world), (3, 0));
    world.seal(5, &heal::unchanged(5, 3).bytes());
    world.ingest(0);
    assert_eq!(came_to(world), (4, 0));
    heal::state(3).assert_tree(&world.tree(4));
    world.seal(6, &Push::delta(6, &heal::state(3), &heal::state(3)).bytes());
    world.ingest(0);
    assert_eq!(came_to(world), (4, 1), "then it is a line again");
}

#[test]
fn where_something_has_rotted_a_push_that_changed_nothing_is_a_tree() {
    let world = heal::world(3);
    heal::flip(&world, 2, "copy");
    assert_eq!(world.run(&["verify", "--repair"]).code, 29);
    has_to_bring(&world);
}

#[test]
fn where_something_was_redacted_a_push_that_changed_nothing_is_a_tree() {
    let world = heal::world(3);
    redact(&world, heal::hash(), (1..=3).flat_map(|n| heal::NAMES.map(|name| (n, name))));
    has_to_bring(&world);
}

/// Each state that was imported has a time of its own.
#[test]
fn what_is_imported_is_a_tree_each_time() {
    let world = World::new();
    let second = Push::delta(2, &first(), &first());
    for (push, time) in [(Push::whole(1, &first()), "1000000"), (second, "2000000")] {
        let path = world.path("brought");
        fs::write(&path, push.bytes()).unwrap();
        let mut command = world.command(&["ingest-host", "web01", "--from-input", "--imported-at", time]);
        let ended = Ended::of(command.stdin(File::open(&path).unwrap()));
        assert_eq!(ended.code, 0, "{ended:?}");
    }
    assert_eq!(came_to(&world), (2, 0));
    first().assert_tree(&world.tree(2));
}

#[test]
fn a_counter_that_was_used_raises_its_alarm_where_nothing_has_changed_too() {
    let world = world();
    let mut push = Push::delta(2, &first(), &first());
    push.header.counter = 1;
    world.seal(2, &push.bytes());
    let ended = world.ingest(0);
    let log = world.log();
    assert_eq!((log.snapshots().len(), log.alarms().len()), (1, 1), "{ended:?}");
    assert!(log.hold().is_some(), "an alarm is never without its hold");
}

/// A host on which nothing changes pushes in time: its newest snapshot is as old as the state, and not as the push.
#[test]
fn a_host_on_which_nothing_changes_is_not_late() {
    let world = World::new();
    let history = History::open(&world.path("history")).unwrap();
    let place = history.host_or_new(&HostId::parse("web01").unwrap()).unwrap();
    give_away(&world.path("history/web01"));
    let old = Utc::now() - chrono::TimeDelta::days(20);
    {
        let alone = place.write_lock().unwrap().unwrap();
        let mut log = LogAppender::open(&place, &alone).unwrap();
        let header = crate::push::header(1, 1, None);
        let sum = first().summary();
        let event = Ingest {
            sequence: 1,
            name: SnapshotName::new(old, 1).unwrap().to_string(),
            root: sum.root,
            entries: sum.entries,
            left_out: 0,
            base: None,
            push: header.push,
            installation: header.installation,
            counter: 1,
            started: old.timestamp(),
            zone: header.zone,
            new_bytes: 14,
            changes: 3,
            long_entry_bytes: 0,
            emergency: false,
            imported: false,
            measured: None,
        };
        log.append(Event::Ingest(event), old).unwrap();
    }
    for name in ["log", ".lock"] {
        give_away(&world.path(&format!("history/web01/{name}")));
    }
    let status = || world.run(&["--json", "status"]);
    let late = || status().report()["details"]["hosts"][0]["late"].to_string();
    assert!(late().contains("push"), "the control: it is late by its snapshot alone: {}", late());
    let now = Utc::now();
    {
        let alone = place.write_lock().unwrap().unwrap();
        let mut log = LogAppender::open(&place, &alone).unwrap();
        let header = crate::push::header(2, 2, Some(first().summary().root));
        let event = formats::records::log::Unchanged {
            sequence: 1,
            root: first().summary().root,
            left_out: 0,
            push: header.push,
            installation: header.installation,
            counter: 2,
            started: now.timestamp(),
            zone: header.zone,
            emergency: false,
        };
        log.append(Event::Unchanged(event), now).unwrap();
    }
    let time = now.to_rfc3339_opts(SecondsFormat::Secs, true);
    assert!(!late().contains("push"), "{} at {time}", late());
    // And it is told why a snapshot of 20 days ago is enough.
    let status = status();
    assert!(status.out.contains(&format!("unchanged at {time}")), "{status:?}");
    assert_eq!(status.report()["details"]["hosts"][0]["newest"]["unchanged_at"], time);
}
