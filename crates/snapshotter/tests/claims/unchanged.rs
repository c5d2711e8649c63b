//! A push in which nothing had changed: one line of the log, and nothing else of the disk.

use std::fs;

use chrono::{SecondsFormat, Utc};
use formats::published::Verdict;
use formats::records::log::{Event, Ingest};
use formats::{HostId, Root};
use history::{History, LogAppender, SnapshotName};

use crate::push::Push;
use crate::state::{Item, State, file};
use crate::world::{World, give_away};

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
    let late = || {
        let ended = world.run(&["--json", "status", "web01"]);
        ended.report()["details"]["hosts"][0]["late"].to_string()
    };
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
    assert!(!late().contains("push"), "{} at {}", late(), now.to_rfc3339_opts(SecondsFormat::Secs, true));
}
