//! A push that changed nothing, where the history does not have all that it should.

use std::fs;

use formats::ContentHash;
use formats::session::Code;

use super::{came_to, first, quiet, world};
use crate::heal;
use crate::push::Push;
use crate::redact_meets::redact;
use crate::state::{State, file};
use crate::world::World;

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

/// Two snapshots, of which the older alone has "hello", under its last name.
fn of_old() -> (World, State) {
    let world = world();
    let second = first().with("etc/motd", file("changed"));
    world.seal(2, &Push::delta(2, &first(), &second).bytes());
    world.ingest(0);
    (world, second)
}

fn rot(world: &World, snapshot: usize) {
    fs::write(world.tree(snapshot).join("etc/motd"), "HELLO").unwrap();
    assert_eq!(world.run(&["verify", "--repair"]).code, 29);
    assert_eq!(world.log().rotten().len(), 1);
}

/// The newest snapshot has all that it names, and the host can bring nothing of what older ones have lost.
#[test]
fn what_only_older_snapshots_have_lost_makes_no_tree() {
    let (world, second) = of_old();
    rot(&world, 1);
    world.seal(3, &Push::delta(3, &second, &second).bytes());
    world.ingest(0);
    assert_eq!(came_to(&world), (2, 1));
    // What rotted is wanted meanwhile, and who has it again brings it: that is a tree.
    let (world, second) = of_old();
    rot(&world, 1);
    assert_eq!(world.published().wanted.len(), 1);
    world.seal(3, &Push { contents: vec![b"hello".to_vec()], ..Push::delta(3, &second, &second) }.bytes());
    world.ingest(0);
    assert_eq!((came_to(&world), world.log().rotten().len()), ((3, 0), 0));
    first().assert_tree(&world.tree(1));
}

/// What a redaction took counts against those that can be told, also if the newest snapshot does not name it, until there is a newer one.
#[test]
fn after_a_redaction_one_push_that_changed_nothing_is_a_tree() {
    let (world, second) = of_old();
    redact(&world, ContentHash::of(b"hello"), [(1, "etc/motd")].into_iter());
    for (push, came) in [(3, (3, 0)), (4, (3, 1))] {
        world.seal(push.into(), &Push::delta(push, &second, &second).bytes());
        world.ingest(0);
        assert_eq!((came_to(&world), world.published().wanted.len()), (came, 0));
    }
}

/// Also where the newest snapshot has all but its last content.
#[test]
fn where_the_last_content_has_rotted_a_push_that_changed_nothing_has_to_bring_it() {
    let world = world();
    rot(&world, 1);
    assert_eq!(quiet(&world, 2, |push| push), (1, 0));
    world.assert_rejected(2, Code::MissingContent);
    assert_eq!(quiet(&world, 3, |push| Push { contents: vec![b"hello".to_vec()], ..push }), (2, 0));
    assert_eq!(quiet(&world, 4, |push| push), (2, 1));
}
