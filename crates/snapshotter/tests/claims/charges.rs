//! What a history is charged with: what a push makes it hold, however few bytes the push itself has.

use std::fs;

use formats::change::Change;
use formats::entry::{Attribute, Body, Entry, Tag};
use formats::session::Code;

use crate::push::Push;
use crate::state::{Item, State, file, path, summary};
use crate::stories::{accepted, first};
use crate::world::World;

const VALUE_BYTES: usize = 60_000;
const NAMES: u64 = 40;

/// Files without a byte, whose attributes shrink to nothing on their way.
fn heavy() -> Vec<Entry> {
    let heavy = State((0..NAMES).map(|n| (path(&format!("{n:02}")), file(""))).collect());
    let mut entries = heavy.entries();
    for entry in &mut entries {
        let Body::Node(node) = &mut entry.body else { panic!("a file is a node") };
        let (name, value) = (b"user.a".to_vec(), vec![0; VALUE_BYTES]);
        node.meta.attributes = vec![Attribute { tag: Tag::Extended, name, value }];
    }
    entries
}

/// What entries hold beyond 128 bytes each, as docs/formats/snapshot-log.md says.
fn long_bytes(entries: &[Entry]) -> u64 {
    let held = |entry: &Entry| {
        let mut line = vec![0; 4];
        entry.encode(&mut line).unwrap();
        let target = match entry.node().map(|node| &node.kind) {
            Some(formats::entry::Kind::Symlink { target }) => target.len(),
            _ => 0,
        };
        (line.len() + entry.path.file_name().len() + target) as u64
    };
    entries.iter().map(|entry| held(entry).saturating_sub(128)).sum()
}

fn push_of(push: u8, entries: Vec<Entry>) -> Push {
    let sum = summary(&entries);
    let changes = entries.into_iter().map(Change::Put).collect();
    Push { root: sum.root, entries: sum.entries, changes, ..Push::whole(push, &State::of([("-", file(""))])) }
}

fn lines(world: &World) -> Vec<serde_json::Value> {
    let log = fs::read_to_string(world.path("history/web01/log")).unwrap();
    log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn budget(bytes: u64) -> String {
    format!("history_bytes = {bytes}\n")
}

#[test]
fn entries_are_charged_with_what_they_hold_in_each_snapshot_that_has_them() {
    let world = World::limited(&budget(10_000_000));
    let entries = heavy();
    let long = long_bytes(&entries);
    assert!(long > NAMES * (VALUE_BYTES as u64 - 100));
    let push = push_of(1, entries.clone());
    assert!(push.bytes().len() < 20_000, "it is sent as next to nothing");
    world.seal(1, &push.bytes());
    world.ingest(0);
    let used = 128 * NAMES + long;
    assert_eq!(world.published().admission.history_used_bytes, used);
    // One more name, and all that were there lie in one more manifest.
    let mut more = entries;
    let one = State::of([("z", Item::Symlink(vec![b'x'; 1_000]))]).entries();
    more.extend(one.clone());
    let mut delta = push_of(2, more.clone());
    delta.changes = one.into_iter().map(Change::Put).collect();
    delta.header.base = Some(push.root);
    world.seal(2, &delta.bytes());
    world.ingest(0);
    let long_more = long_bytes(&more);
    assert!(long_more > long + 1_900, "a target lies in the manifest and in the tree");
    assert_eq!(world.published().admission.history_used_bytes, used + 128 * (NAMES + 1) + long_more);
    for (line, long) in lines(&world).iter().zip([long, long_more]) {
        assert_eq!(
            (&line["format"], &line["event"]["long_entry_bytes"]),
            (&"firn.log/1.2".into(), &long.into())
        );
    }
    assert_eq!(world.run(&["verify"]).code, 0);
}

#[test]
fn short_entries_leave_the_line_in_the_log_as_it_was() {
    let world = World::new();
    assert_eq!(long_bytes(&first().entries()), 0);
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    assert_eq!(world.verdict(1), accepted(&first()));
    let [line] = lines(&world).try_into().unwrap();
    assert_eq!((&line["format"], line["event"].get("long_entry_bytes")), (&"firn.log/1.0".into(), None));
}

/// Its line stays for good, and who could add lines without end could make every reader slow.
#[test]
fn a_push_without_a_change_is_charged_with_its_line_and_ends_where_the_budget_does() {
    let world = World::limited(&budget(1_000_000));
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    let used = || world.published().admission.history_used_bytes;
    let before = used();
    let config = fs::read_to_string(&world.config).unwrap();
    fs::write(&world.config, config.replace(&budget(1_000_000), &budget(before + 513))).unwrap();
    for push in 2..=4 {
        world.seal(push.into(), &Push::delta(push, &first(), &first()).bytes());
        world.ingest(0);
    }
    assert_eq!((used(), world.log().unchanged_pushes().len()), (before + 2 * 512, 2));
    world.assert_rejected(4, Code::OverBudget);
}

/// The push has nothing else right, which would be found out at its end: all its manifest never comes to be.
#[test]
fn a_push_of_long_entries_ends_where_the_budget_does() {
    let long = long_bytes(&heavy());
    let cost = 128 * NAMES + long;
    for (budget_bytes, code) in [(cost - 1, Code::OverBudget), (cost, Code::WrongRoot)] {
        let world = World::limited(&budget(budget_bytes));
        let mut push = push_of(1, heavy());
        push.entries += 1;
        world.seal(1, &push.bytes());
        world.ingest(0);
        world.assert_rejected(1, code);
    }
    let world = World::limited(&budget(cost));
    world.seal(1, &push_of(1, heavy()).bytes());
    world.ingest(0);
    assert_eq!(world.log().snapshots().len(), 1, "to the byte");
}
