//! A push in which nothing had changed: one line of the log, and nothing else of the disk.

mod lacks;
mod late;

use std::fs::{self, File};

use chrono::Utc;
use formats::published::Verdict;
use formats::records::log::{Alarm, Event};
use formats::session::Code;
use formats::{ContentHash, InstallationId, Root};
use history::LogAppender;

use crate::pruned::place;
use crate::push::Push;
use crate::state::{Item, State, file};
use crate::world::{Ended, World};

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
    assert_eq!(push["entries"], newest.entries);
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

fn append(world: &World, event: Event) {
    let place = place(world);
    let alone = place.write_lock().unwrap().unwrap();
    LogAppender::open(&place, &alone).unwrap().append(event, Utc::now()).unwrap();
}

/// A seal is the host's word. It counts where the push builds on the newest snapshot, and lists no change.
#[test]
fn a_seal_of_the_newest_snapshot_makes_no_other_push_the_same() {
    let world = world();
    let second = first().with("etc/motd", Item::Symlink(b"hosts".to_vec()));
    world.seal(2, &Push::delta(2, &first(), &second).bytes());
    world.ingest(0);
    let (old, new) = (first().summary().root, second.summary().root);
    let nothing = |number: u8, base: Option<Root>, lender: Option<Root>| {
        let mut push = Push::delta(number, &second, &second);
        (push.header.base, push.header.lender) = (base, lender);
        push
    };
    let third = second.with("etc/hosts", Item::Symlink(b"motd".to_vec()));
    let changed = Push { root: new, ..Push::delta(6, &second, &third) };
    assert_eq!((changed.contents.len(), changed.entries), (0, second.summary().entries), "the control");
    for (number, push) in [
        (3, nothing(3, Some(old), None)),
        (4, nothing(4, None, Some(new))),
        (5, nothing(5, None, None)),
        (6, changed),
    ] {
        world.seal(number.into(), &push.bytes());
        world.ingest(0);
        world.assert_rejected(number, Code::WrongRoot);
    }
    world.seal(7, &nothing(7, Some(new), None).bytes());
    world.ingest(0);
    assert_eq!(came_to(&world), (2, 1), "the control");
}

/// Who is told no base sends all; what was on its way by then is not believed without a look at what it builds on.
#[test]
fn after_a_reset_a_push_that_changed_nothing_is_a_tree() {
    let world = world();
    append(&world, Event::Reset { reason: "a test".to_owned() });
    assert_eq!(quiet(&world, 2, |push| push), (2, 0));
    assert_eq!(quiet(&world, 3, |push| push), (2, 1), "that is the base again");
}

/// A host may have fewer entries by now than its newest snapshot has.
#[test]
fn a_push_that_changed_nothing_is_within_the_limits() {
    let world = World::limited("entries = 3\n");
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    assert_eq!(quiet(&world, 2, |push| push), (1, 1), "the control");
    let config = fs::read_to_string(&world.config).unwrap();
    fs::write(&world.config, config.replace("entries = 3", "entries = 2")).unwrap();
    assert_eq!(quiet(&world, 3, |push| push), (1, 1));
    world.assert_rejected(3, Code::OverBudget);
}

/// What has its verdict is that push, and no other that calls itself so.
#[test]
fn another_push_under_the_id_of_one_that_changed_nothing_is_noted() {
    let world = world();
    quiet(&world, 2, |push| push);
    let lines = world.log().lines();
    quiet(&world, 2, |push| push);
    assert_eq!(world.log().lines(), lines, "the control: the same once more");
    let of = |installation: u8, counter: u64| {
        quiet(&world, 2, |mut push| {
            push.header.installation = InstallationId::from_bytes([installation; 16]);
            push.header.counter = counter;
            push
        });
        world.log().lines() - lines
    };
    assert_eq!([of(9, 2), of(1, 9)], [1, 2]);
    assert_eq!(world.verdict(2), Some(Verdict::Accepted { root: first().summary().root }));
}

/// A snapshot tells what was left out of it, and a push that left out otherwise is not that snapshot.
#[test]
fn a_push_that_left_out_more_or_less_is_a_tree() {
    let world = world();
    assert_eq!(quiet(&world, 2, |push| push), (1, 1), "the control");
    assert_eq!(quiet(&world, 3, |push| Push { left_out: 7, ..push }), (2, 1));
    assert_eq!(world.log().latest().unwrap().left_out, 7);
    world.seal(4, &Push { left_out: 7, ..Push::delta(4, &first(), &first()) }.bytes());
    let ended = world.run(&["--json", "ingest"]);
    assert_eq!(ended.report()["details"]["pushes"][0]["left_out"], 7, "{ended:?}");
    assert_eq!(came_to(&world), (2, 2), "as much as before");
    let log = fs::read_to_string(world.path("history/web01/log")).unwrap();
    assert!(log.lines().last().unwrap().contains("\"left_out\":7"), "{log}");
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

/// All of it is read: an end that is missing is as bad as a beginning, and another's manifest is none of it.
#[test]
fn a_manifest_that_is_cut_short_or_of_another_snapshot_is_met_too() {
    for is_cut in [true, false] {
        let world = world();
        let second = first().with("etc/motd", file("changed"));
        world.seal(2, &Push::delta(2, &first(), &second).bytes());
        world.ingest(0);
        let manifests: Vec<_> = world
            .log()
            .snapshots()
            .iter()
            .map(|one| world.path(&format!("history/web01/manifests/{}.manifest", one.name)))
            .collect();
        let [old, new] = [0, 1].map(|place: usize| fs::read(&manifests[place]).unwrap());
        fs::write(&manifests[1], if is_cut { &new[..new.len() - 1] } else { &old[..] }).unwrap();
        world.seal(3, &Push::delta(3, &second, &second).bytes());
        world.ingest(29);
        world.assert_rejected(3, Code::UnknownBase);
        assert_eq!((world.published().base, came_to(&world)), (None, (2, 0)));
    }
}

/// What the log says is held against the manifest, and not against itself.
#[test]
fn a_manifest_with_another_number_of_entries_than_the_log_has_is_met_too() {
    let world = world();
    let path = world.path("history/web01/log");
    let text = fs::read_to_string(&path).unwrap();
    let (body, _) = text.split_once(",\"check\":\"").unwrap();
    let body = body.replace("\"entries\":3,", "\"entries\":4,");
    fs::write(&path, format!("{body},\"check\":\"{}\"}}\n", ContentHash::of(body.as_bytes()))).unwrap();
    assert_eq!(world.log().latest().unwrap().entries, 4, "the control");
    world.seal(2, &Push { entries: 4, ..Push::delta(2, &first(), &first()) }.bytes());
    world.ingest(29);
    world.assert_rejected(2, Code::UnknownBase);
    assert_eq!(came_to(&world), (1, 0));
}

/// Each state that was imported has a time of its own.
#[test]
fn what_is_imported_is_a_tree_each_time() {
    let world = World::new();
    let second = Push::delta(2, &first(), &first());
    let import = |push: &Push, time: &str| {
        let path = world.path("brought");
        fs::write(&path, push.bytes()).unwrap();
        let mut command = world.command(&["ingest-host", "web01", "--from-input", "--imported-at", time]);
        Ended::of(command.stdin(File::open(&path).unwrap()))
    };
    for (push, time) in [(Push::whole(1, &first()), "1000000"), (second, "2000000")] {
        let ended = import(&push, time);
        assert_eq!(ended.code, 0, "{ended:?}");
    }
    assert_eq!(came_to(&world), (2, 0));
    first().assert_tree(&world.tree(2));
    // Nothing older comes after a push of the host's own, also where that is a line.
    assert_eq!(quiet(&world, 3, |push| push), (2, 1));
    let ended = import(&Push::delta(4, &first(), &first()), "3000000");
    assert!(ended.code == 2 && ended.err.contains("cannot come next"), "{ended:?}");
    fs::create_dir_all(world.path("kept/daily.0/web01/etc")).unwrap();
    let kept = world.path("kept");
    let words = ["import", "rsnapshot", kept.to_str().unwrap(), "--host", "web01", "--dry-run"];
    let ended = world.run(&words);
    assert!(ended.code == 2 && ended.err.contains("has snapshots of its own"), "{ended:?}");
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
    assert!(ended.err.contains("the push is kept, and expiry is on hold"), "{ended:?}");
    let explained = world.run(&["explain", "web01"]).out;
    assert!(explained.contains("nothing had changed in the push"), "{explained}");
}

/// As a run leaves it that was killed between the alarm and the line of its push.
#[test]
fn an_alarm_that_was_raised_before_a_kill_is_raised_once() {
    let world = world();
    let mut push = Push::delta(2, &first(), &first());
    push.header.counter = 1;
    let (what, installation) = (Alarm::CounterReused, push.header.installation);
    append(&world, Event::Hold { reason: "a test".to_owned(), snapshot: None });
    append(&world, Event::Alarm { what, push: push.header.push, installation, tripwire: None });
    world.seal(2, &push.bytes());
    world.ingest(0);
    let log = world.log();
    assert_eq!((came_to(&world), log.alarms().len(), log.holds().len()), ((1, 1), 1, 1));
}
