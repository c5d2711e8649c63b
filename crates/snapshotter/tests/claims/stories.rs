//! Pushes one after another, as they happen.

use formats::published::Verdict;

use crate::push::Push;
use crate::state::{Item, State, file};
use crate::world::World;

fn first() -> State {
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

#[test]
fn a_whole_push_becomes_a_snapshot_that_is_the_hosts_files() {
    let world = World::new();
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    let log = world.log();
    assert_eq!(log.snapshots().len(), 1);
    assert_eq!(log.latest().unwrap().root, first().summary().root);
    first().assert_tree(&world.tree(1));
    assert_eq!(world.verdict(1), Some(Verdict::Accepted { root: first().summary().root }));
    assert_eq!(world.published().base, Some(first().summary().root));
    assert_eq!(world.sealed(), 0);
    assert!(!world.path("history/web01/.building").exists());
}
