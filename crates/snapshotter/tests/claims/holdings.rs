//! The list of the base's contents, for hosts that lost their state.

use std::fs;
use std::path::PathBuf;

use formats::holdings::{END_BYTES, HEAD_BYTES, Head};
use formats::published::Verdict;
use formats::session::Code;

use crate::push::Push;
use crate::state::{Item, State, file};
use crate::world::World;

fn first() -> State {
    State::of([
        ("a", file("first content")),
        ("b", file("second content")),
        ("dir", Item::Folder),
        ("dir/equal", file("first content")),
        ("dir/link", Item::Symlink(b"../a".to_vec())),
        ("empty", file("")),
    ])
}

fn path(world: &World) -> PathBuf {
    world.path("jails/web01/state/holdings")
}

/// What lies there; none if nothing does.
fn listed(world: &World) -> Option<(Head, Vec<[u8; 32]>)> {
    let bytes = fs::read(path(world)).ok()?;
    let head = Head::decode(&bytes[..HEAD_BYTES]).unwrap();
    assert_eq!(head.file_bytes(), Some(bytes.len() as u64));
    assert_eq!(bytes[bytes.len() - END_BYTES..], *head.root.as_bytes());
    let hashes = bytes[HEAD_BYTES..bytes.len() - END_BYTES].as_chunks::<32>().0.to_vec();
    Some((head, hashes))
}

/// The list is that of this state, and the published base is its root.
fn assert_lists(world: &World, state: &State) {
    let (head, hashes) = listed(world).expect("no list");
    let mut expected: Vec<[u8; 32]> =
        state.contents().iter().map(|content| *blake3::hash(content).as_bytes()).collect();
    expected.sort_unstable();
    expected.dedup();
    assert_eq!(hashes, expected);
    assert_eq!((head.root, head.count), (state.summary().root, expected.len() as u64));
    assert_eq!(world.published().base, Some(head.root));
    let others = fs::read_dir(world.path("jails/web01/state")).unwrap().count();
    assert_eq!(others, 2, "nothing is left of its making");
}

#[test]
fn the_contents_of_the_base_are_listed_and_those_of_the_next_base_replace_them() {
    let world = World::new();
    world.ingest(0);
    assert!(listed(&world).is_none(), "there is no base");
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    assert_lists(&world, &first());
    let next = first().with("c", file("third content")).without("b");
    world.seal(2, &Push::delta(2, &first(), &next).bytes());
    world.ingest(0);
    assert_lists(&world, &next);
    // A push that is rejected changes nothing.
    let before = fs::read(path(&world)).unwrap();
    let mut wrong = Push::delta(3, &next, &first());
    wrong.entries += 1;
    world.seal(3, &wrong.bytes());
    world.ingest(0);
    world.assert_rejected(3, Code::WrongRoot);
    assert_eq!(fs::read(path(&world)).unwrap(), before);
}

#[test]
fn a_list_that_is_missing_torn_or_of_another_state_is_made_anew() {
    let world = World::new();
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    let good = fs::read(path(&world)).unwrap();
    let mut other = good.clone();
    other[20] ^= 1;
    let mut torn = good.clone();
    torn[good.len() - 32..].fill(0);
    for (what, bytes) in [
        ("missing", None),
        ("another root", Some(other)),
        ("torn", Some(torn)),
        ("cut", Some(good[..60].to_vec())),
    ] {
        match bytes {
            None => fs::remove_file(path(&world)).unwrap(),
            Some(bytes) => fs::write(path(&world), bytes).unwrap(),
        }
        world.ingest(0);
        assert_eq!(fs::read(path(&world)).unwrap(), good, "{what}");
    }
    // One that is as it should be is not written again.
    let before = fs::metadata(path(&world)).unwrap().modified().unwrap();
    world.ingest(0);
    assert_eq!(fs::metadata(path(&world)).unwrap().modified().unwrap(), before);
}

#[test]
fn where_there_is_no_base_any_more_there_is_no_list() {
    let world = World::new();
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    assert!(listed(&world).is_some());
    let log = world.log();
    let name = log.latest().unwrap().name.as_str().to_owned();
    fs::remove_dir_all(world.path("history/web01").join(name)).unwrap();
    world.run(&["ingest"]);
    assert_eq!(world.published().base, None);
    assert!(listed(&world).is_none());
}

#[test]
fn what_the_list_says_is_there_is_found_by_a_push_that_takes_it_from_the_lender() {
    let world = World::new();
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    let (head, hashes) = listed(&world).unwrap();
    // All of it is had, and nothing of it sent, under other names.
    let new = State::of([("x", file("second content")), ("y", file("first content")), ("z", file(""))]);
    let mut push = Push::whole(2, &new);
    push.header.lender = Some(head.root);
    push.contents.retain(|content| !hashes.contains(blake3::hash(content).as_bytes()));
    assert!(push.contents.is_empty());
    world.seal(2, &push.bytes());
    world.ingest(0);
    assert_eq!(world.verdict(2), Some(Verdict::Accepted { root: new.summary().root }));
    new.assert_tree(&world.tree(2));
    assert_lists(&world, &new);
    assert_eq!(world.run(&["verify"]).code, 0);
}

#[test]
fn a_list_that_would_take_of_the_free_space_is_not_made_and_costs_no_push() {
    let world = World::new();
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    assert!(listed(&world).is_some());
    fs::remove_file(path(&world)).unwrap();
    let config = fs::read_to_string(&world.config).unwrap();
    let full = config.replace("free_bytes = 1000000", "free_bytes = 1000000000000000");
    assert_ne!(full, config);
    fs::write(&world.config, full).unwrap();
    world.run(&["ingest"]);
    assert!(listed(&world).is_none());
    assert_eq!(world.published().base, Some(first().summary().root));
    // The control: with room again.
    fs::write(&world.config, config).unwrap();
    world.ingest(0);
    assert_lists(&world, &first());
}

#[test]
fn a_list_that_cannot_be_made_keeps_no_push_waiting_and_costs_no_outcome() {
    let world = World::new();
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    // Nothing can be put in its place, and it cannot be removed.
    fs::remove_file(path(&world)).unwrap();
    fs::create_dir(path(&world)).unwrap();
    let next = first().with("c", file("third content"));
    world.seal(2, &Push::delta(2, &first(), &next).bytes());
    let ended = world.run(&["--json", "ingest"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.err.contains("listing the contents of the base of web01"), "{ended:?}");
    assert_eq!(ended.report()["counts"]["accepted"], 1, "{ended:?}");
    assert_eq!(world.verdict(2), Some(Verdict::Accepted { root: next.summary().root }));
    // With nothing to judge, too; and when it can be made again, it is.
    assert_eq!(world.run(&["ingest"]).code, 0);
    fs::remove_dir(path(&world)).unwrap();
    world.ingest(0);
    assert_lists(&world, &next);
}
