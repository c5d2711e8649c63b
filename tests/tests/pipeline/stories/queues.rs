//! Pushes that wait, pushes that are told no, pushes that are sent again.

use std::fs;

use pipeline_tests::rawpush::{Answer, Talk};

use super::world::{ACCEPTED, BUSY, PENDING, World, expect};
use crate::rig;

#[test]
fn pushes_that_wait_while_others_wait_become_one_snapshot_each_in_order() {
    let world = World::new();
    let mut states = Vec::new();
    for round in 0..3 {
        world.write("etc/round", format!("round {round}\n").as_bytes());
        world.write(&format!("var/only-{round}"), b"x");
        states.push(world.now());
        world.sealed();
        assert_eq!(world.host.queued().unwrap().len(), round + 1);
        fs::remove_file(world.source.join(format!("var/only-{round}"))).unwrap();
    }
    world.ingest(ACCEPTED);
    let found = world.sound();
    assert_eq!(found.snapshots.len(), 3);
    for (snapshot, state) in found.snapshots.iter().zip(&states) {
        world.is(snapshot, state);
    }
    // The next one builds on what was accepted: it costs what changed, not everything.
    world.change("a little");
    let next = world.push_and_ingest();
    assert_eq!(next.code, ACCEPTED, "{}", next.said());
    assert!(next.count("sent_bytes") < 100_000, "{}", next.said());
    world.newest_is_now(4);
}

#[test]
fn pushes_against_one_base_that_wait_together_are_each_what_the_host_had() {
    let world = World::new();
    expect(world.push_and_ingest(), ACCEPTED);
    let mut states = Vec::new();
    for round in 0..3 {
        world.write("etc/motd", format!("round {round}\n").as_bytes());
        world.write(&format!("new-{round}"), b"new");
        states.push(world.now());
        world.sealed();
    }
    world.ingest(ACCEPTED);
    let found = world.sound();
    assert_eq!(found.snapshots.len(), 4);
    for (snapshot, state) in found.snapshots.iter().skip(1).zip(&states) {
        world.is(snapshot, state);
    }
}

#[test]
fn a_full_queue_is_told_and_nothing_that_waits_is_lost() {
    let options = pipeline_tests::Options { limits: "queued_pushes = 2\n".to_owned(), ..Default::default() };
    let world = World::with(&options);
    world.sealed();
    world.sealed();
    let refused = expect(world.push(), BUSY);
    assert!(refused.stderr.contains("queue") || refused.stderr.contains("busy"), "{}", refused.said());
    assert_eq!(world.host.queued().unwrap().len(), 2);
    world.ingest(ACCEPTED);
    world.change("since");
    expect(world.push_and_ingest(), ACCEPTED);
    world.newest_is_now(3);
}

#[test]
fn a_rejected_push_is_told_to_the_next_which_is_accepted() {
    let world = World::new();
    expect(world.push_and_ingest(), ACCEPTED);
    world.write("etc/motd", b"changed\n");
    world.sealed();
    let [sealed] = world.host.queued().unwrap().try_into().unwrap();
    let mut bytes = fs::read(&sealed).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&sealed, bytes).unwrap();
    world.ingest(ACCEPTED);
    assert_eq!(world.sound().snapshots.len(), 1);
    world.write("etc/motd", b"changed again\n");
    // The rejection is told with its own code, even though this push itself is accepted.
    let told = world.push_and_ingest();
    assert_eq!(told.code, 20, "{}", told.said());
    assert!(told.stderr.contains("rejected"), "{}", told.said());
    let found = world.newest_is_now(2);
    assert_eq!(found.count("reject"), 1);
    world.change("since");
    expect(world.push_and_ingest(), ACCEPTED);
    world.newest_is_now(3);
}

#[test]
fn a_push_that_is_rejected_while_its_client_waits_ends_with_the_reason() {
    let world = World::new();
    expect(world.push_and_ingest(), ACCEPTED);
    // The push is sound; what it builds on no longer is.
    let manifests = world.scratch.history(&world.host.name).join("manifests");
    let manifest = fs::read_dir(manifests).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&manifest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&manifest, bytes).unwrap();
    world.write("etc/motd", b"changed\n");
    let rejected = world.push_and_ingest();
    assert_eq!(rejected.code, 24, "{}", rejected.said());
    // Nothing is told as a base any more, and the next push brings everything.
    expect(world.push_and_ingest(), ACCEPTED);
}

#[test]
fn a_push_over_a_limit_is_refused_before_it_is_sealed() {
    let options = pipeline_tests::Options { limits: "entries = 5\n".to_owned(), ..Default::default() };
    let world = World::with(&options);
    let refused = world.push_and_ingest();
    assert_eq!(refused.code, 12, "{}", refused.said());
    assert!(world.host.queued().unwrap().is_empty());
    assert_eq!(world.sound().snapshots.len(), 0);
}

#[test]
fn a_second_session_is_told_to_come_back_and_then_may() {
    let world = World::new();
    let first = Talk::start(&mut rig::receiver(&world.scratch, &world.host)).unwrap();
    assert!(matches!(first.hear(std::time::Duration::from_secs(10)), Some(Answer::Base(_))));
    expect(world.push(), BUSY);
    assert!(world.host.queued().unwrap().is_empty());
    drop(first);
    expect(world.push_and_ingest(), ACCEPTED);
    world.newest_is_now(1);
}

#[test]
fn two_runs_of_one_client_do_not_work_at_once() {
    let world = World::new();
    world.write("var/big", &super::world::noise(9, 16 << 20));
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| world.push());
        let two = scope.spawn(|| world.push());
        (one.join().unwrap(), two.join().unwrap())
    });
    let mut codes = [one.code, two.code];
    codes.sort_unstable();
    // Either one was told to wait, or it came when the other had gone.
    assert!(
        codes == [BUSY, PENDING] || codes == [PENDING, PENDING],
        "{codes:?}: {} {}",
        one.said(),
        two.said()
    );
    world.ingest(ACCEPTED);
    world.is(world.sound().snapshots.last().unwrap(), &world.now());
}
