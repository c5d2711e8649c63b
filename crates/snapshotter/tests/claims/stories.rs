//! Pushes one after another, as they happen.

use formats::InstallationId;
use formats::published::Verdict;
use formats::session::Code;

use crate::push::Push;
use crate::state::{Item, State, file, inode};
use crate::world::World;

pub(crate) fn first() -> State {
    State::of([
        ("etc", Item::Folder),
        ("etc/empty", Item::Folder),
        ("etc/hosts", file("127.0.0.1 localhost\n")),
        ("etc/link", Item::Symlink(b"../../outside".to_vec())),
        ("etc/nothing", file("")),
        ("etc/passwd", Item::Mode(0o4755, b"root".to_vec())),
        ("etc-", file("a prefix")),
        ("var", Item::Folder),
        ("var/a", Item::First(3, b"three names".to_vec())),
        ("var/b", Item::Link("var/a")),
        ("var/deep", Item::Folder),
        ("var/deep/c", Item::Link("var/a")),
        ("var/fifo", Item::Fifo),
        ("var/null", Item::Device),
    ])
}

pub(crate) fn accepted(state: &State) -> Option<Verdict> {
    Some(Verdict::Accepted { root: state.summary().root })
}

#[test]
fn a_whole_push_becomes_a_snapshot_that_is_the_hosts_files() {
    let world = World::new();
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    let log = world.log();
    assert_eq!(log.snapshots().len(), 1);
    assert_eq!(log.latest().unwrap().root, first().summary().root);
    first().assert_tree(&world.tree(1));
    assert_eq!(world.verdict(1), accepted(&first()));
    assert_eq!(world.published().base, Some(first().summary().root));
    assert_eq!(world.sealed(), 0);
    assert!(!world.path("history/web01/.building").exists());
    assert_eq!(world.run(&["verify"]).code, 0);
}

#[test]
fn what_did_not_change_is_the_same_inode_in_the_next_snapshot() {
    let world = World::new();
    let second = first()
        .with("etc/hosts", file("changed"))
        .with("etc/nothing", Item::Mode(0o600, Vec::new()))
        .with("etc/renamed", file("a prefix"))
        .without("etc-")
        .with("new", Item::Folder)
        .with("new/big", file(vec![7; 3_000_000]));
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    let push = Push::delta(2, &first(), &second);
    assert_eq!(push.contents.len(), 2, "only what is new is sent");
    world.seal(2, &push.bytes());
    world.ingest(0);
    second.assert_tree(&world.tree(2));
    first().assert_tree(&world.tree(1));
    let (old, new) = (world.tree(1), world.tree(2));
    for same in ["etc/passwd", "var/a", "var/b", "var/deep/c", "etc/nothing"] {
        assert_eq!(inode(&old.join(same)), inode(&new.join(same)), "{same}");
    }
    assert_eq!(inode(&old.join("etc-")), inode(&new.join("etc/renamed")));
    assert_ne!(inode(&old.join("etc/hosts")), inode(&new.join("etc/hosts")));
    assert_eq!(world.log().latest().unwrap().new_bytes, 3_000_007);
    assert_eq!(world.run(&["verify"]).code, 0);
}

#[test]
fn two_queued_pushes_that_name_the_same_base_both_apply_to_it() {
    let world = World::new();
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    let left = first().with("etc/left", file("left"));
    let right = first().with("etc/right", file("right"));
    world.seal(2, &Push::delta(2, &first(), &left).bytes());
    world.seal(3, &Push::delta(3, &first(), &right).bytes());
    world.ingest(0);
    left.assert_tree(&world.tree(2));
    right.assert_tree(&world.tree(3));
    assert_eq!(world.published().base, Some(right.summary().root));
    assert_eq!((world.verdict(2), world.verdict(3)), (accepted(&left), accepted(&right)));
    assert!(world.log().hold().is_none());
}

#[test]
fn an_older_snapshot_is_a_base_as_good_as_the_newest() {
    let world = World::new();
    let second = first().without("etc-");
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.seal(2, &Push::whole(2, &second).bytes());
    world.ingest(0);
    let third = first().with("etc/hosts", Item::Symlink(b"/dev/null".to_vec()));
    world.seal(3, &Push::delta(3, &first(), &third).bytes());
    world.ingest(0);
    third.assert_tree(&world.tree(3));
}

#[test]
fn a_rejected_push_does_not_stand_in_the_way_of_a_good_one() {
    let world = World::new();
    let mut bad = Push::whole(1, &first());
    bad.contents.pop();
    world.seal(1, &bad.bytes());
    world.seal(2, &Push::whole(2, &first()).bytes());
    world.ingest(0);
    world.assert_rejected(1, Code::MissingContent);
    assert_eq!(world.verdict(2), accepted(&first()));
    assert_eq!(world.log().snapshots().len(), 1);
    first().assert_tree(&world.tree(1));
}

#[test]
fn a_push_sent_twice_has_one_verdict_and_is_applied_once() {
    let world = World::new();
    let push = Push::whole(1, &first()).bytes();
    let mut bad = Push::whole(2, &first());
    bad.entries += 1;
    for number in 1..3 {
        world.seal(number, &push);
        world.seal(number + 10, &bad.bytes());
        world.ingest(0);
        assert_eq!(world.verdict(1), accepted(&first()));
        world.assert_rejected(2, Code::WrongRoot);
        assert_eq!(world.log().lines(), 2);
        assert_eq!(world.sealed(), 0);
    }
}

#[test]
fn another_push_under_a_used_id_changes_nothing_but_is_noted() {
    let world = World::new();
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    let mut other = Push::whole(1, &first().without("etc-"));
    other.header.counter = 9;
    world.seal(2, &other.bytes());
    world.ingest(0);
    assert_eq!(world.verdict(1), accepted(&first()));
    assert_eq!(world.published().base, Some(first().summary().root));
    let log = world.log();
    assert_eq!((log.lines(), log.snapshots().len()), (2, 1));
}

#[test]
fn a_verdict_that_was_forgotten_is_told_again() {
    let world = World::new();
    let state = |n: u8| first().with("n", file([n]));
    for n in 1..=70 {
        world.seal(u64::from(n), &Push::whole(n, &state(n)).bytes());
    }
    world.ingest(0);
    assert_eq!(world.verdict(1), None, "64 verdicts are remembered");
    world.seal(100, &Push::whole(1, &state(1)).bytes());
    world.ingest(0);
    assert_eq!(world.verdict(1), accepted(&state(1)));
    world.ingest(0);
    assert_eq!(world.verdict(1), accepted(&state(1)));
    assert_eq!(world.log().lines(), 70);
}

#[test]
fn a_cloned_machine_is_kept_but_freezes_expiry() {
    let world = World::new();
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    let clone = first().with("etc/clone", file("clone"));
    let mut push = Push::whole(2, &clone);
    push.header.counter = 1;
    world.seal(2, &push.bytes());
    let ended = world.ingest(0);
    assert!(ended.err.contains("cloned or set back"), "{ended:?}");
    clone.assert_tree(&world.tree(2));
    let log = world.log();
    assert_eq!(log.alarms().len(), 1);
    assert!(log.hold().is_some());
    assert_eq!(world.verdict(2), accepted(&clone));
}

#[test]
fn a_second_installation_is_kept_but_freezes_expiry_and_is_told_once() {
    let world = World::new();
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    for n in 2..4 {
        let mut push = Push::whole(n, &first());
        push.header.installation = InstallationId::from_bytes([9; 16]);
        world.seal(u64::from(n), &push.bytes());
        world.ingest(0);
    }
    let log = world.log();
    assert_eq!((log.snapshots().len(), log.alarms().len()), (3, 1));
    assert!(log.hold().is_some());
    let status = world.run(&["--json", "status"]).report();
    assert_eq!(status["details"]["hosts"][0]["alarms"][0]["what"], "second-installation");
}
