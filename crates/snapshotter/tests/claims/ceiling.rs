//! Hard-link groups with more names than an inode can bear: short entries that stand for copies of a long content.

use std::collections::BTreeSet;
use std::fs;

use formats::session::Code;

use crate::push::Push;
use crate::state::{Item, State, file, inode, path};
use crate::stories::accepted;
use crate::world::World;

/// What ext4 lets an inode bear; where this is run on another file system, nothing is proved.
const NAMES_MAX: usize = 65_000;
/// Some of them too many.
const NAMES: usize = NAMES_MAX + 200;
const LENGTH: usize = 4_000_000;

fn content() -> Vec<u8> {
    (0..LENGTH as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// One inode with all these names.
fn group(first: Item, names: usize) -> State {
    let mut state = State::of([("a", first), ("d", Item::Folder)]);
    state.0.extend((1..names).map(|n| (path(&format!("d/{n:05}")), Item::Link("a"))));
    state
}

/// In a temporary folder, unless its file system has no such ceiling.
fn world(test: &str, limits: &str) -> Option<World> {
    let world = World::limited(limits);
    let (file, folder) = (world.path("file"), world.path("names"));
    fs::write(&file, "").unwrap();
    fs::create_dir(&folder).unwrap();
    let mut names = (1..=NAMES_MAX).map(|n| fs::hard_link(&file, folder.join(n.to_string())));
    let is_low = names.any(|linked| linked.is_err());
    fs::remove_dir_all(&folder).unwrap();
    if !is_low {
        println!("SKIPPED: {test}: no ceiling at {NAMES_MAX} names on this file system");
    }
    is_low.then_some(world)
}

/// How many copies the ingest says that it made, in its line and in its report alike; none if it says nothing of them.
fn copies(world: &World) -> Option<u64> {
    let ended = world.run(&["--json", "ingest"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let report = ended.report();
    let counted = report["counts"]["copies"].as_u64();
    assert_eq!(report["details"]["pushes"][0]["copies"].as_u64(), counted, "{report}");
    let line =
        counted.map(|counted| format!("web01: copied {counted} contents whose file had as many names"));
    assert!(ended.out.contains(line.as_deref().unwrap_or("web01: accepted")), "{ended:?}");
    assert_eq!(ended.out.contains("copied"), counted.is_some(), "{ended:?}");
    counted
}

#[test]
fn a_group_with_too_many_names_has_one_more_inode_and_is_charged_with_it() {
    let test = "a_group_with_too_many_names_has_one_more_inode_and_is_charged_with_it";
    let Some(world) = world(test, &format!("expanded_bytes = {}\n", 2 * LENGTH + 3)) else { return };
    let state = group(Item::First(NAMES as u32, content()), NAMES);
    let push = Push::whole(1, &state).bytes();
    world.seal(1, &push);
    assert_eq!(copies(&world), Some(1));
    assert_eq!(world.verdict(1), accepted(&state));
    let tree = world.tree(1);
    let inodes: BTreeSet<_> = state.0.keys().map(|path| inode(&tree.join(path.to_string()))).collect();
    // The top folder's one entry that is a folder has an inode, too.
    assert_eq!(inodes.len(), 1 + 2);
    assert_eq!(world.log().snapshots()[0].new_bytes, 2 * LENGTH as u64);
    // The next snapshot finds the first inode as good as full.
    let next = state.with("z", file("new"));
    world.seal(2, &Push::delta(2, &state, &next).bytes());
    assert_eq!(copies(&world), Some(2));
    assert_eq!(world.log().snapshots()[1].new_bytes, 2 * LENGTH as u64 + 3);
    // The control: a file with few names is no copy, and nothing is said of any.
    let few = State::of([("a", file("few"))]);
    world.seal(3, &Push::whole(3, &few).bytes());
    assert_eq!(copies(&world), None);
    assert_eq!(world.run(&["verify"]).code, 0);
}

#[test]
fn copies_of_a_group_must_fit_into_what_a_push_may_bring() {
    let test = "copies_of_a_group_must_fit_into_what_a_push_may_bring";
    let Some(world) = world(test, &format!("expanded_bytes = {}\n", 2 * LENGTH - 1)) else { return };
    world.seal(1, &Push::whole(1, &group(Item::First(NAMES as u32, content()), NAMES)).bytes());
    world.ingest(0);
    world.assert_rejected(1, Code::OverBudget);
}

#[test]
fn a_symbolic_link_with_too_many_names_is_made_again() {
    let Some(world) = world("a_symbolic_link_with_too_many_names_is_made_again", "") else { return };
    let state = group(Item::FirstSymlink(NAMES as u32, b"target".to_vec()), NAMES);
    world.seal(1, &Push::whole(1, &state).bytes());
    world.ingest(0);
    assert_eq!(world.verdict(1), accepted(&state));
    for (path, item) in &state.0 {
        let place = world.tree(1).join(path.to_string());
        let target = fs::read_link(place).ok();
        assert_eq!(target.is_none(), *item == Item::Folder);
        assert!(target.is_none_or(|target| target.as_os_str() == "target"));
    }
}
