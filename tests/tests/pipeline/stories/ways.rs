//! Other ways to the server than the usual one: the system's ssh, and a file that somebody carries.

use std::fs;
use std::path::{Path, PathBuf};

use pipeline_tests::Outcome;

use super::world::{ACCEPTED, PENDING, World, expect};

const WRONG_HOST: i32 = 17;
const BROKEN_FRAMES: i32 = 20;
const MACHINE: i32 = 4;

/// Writes a push of the host to a new file.
fn to_file(world: &World, name: &str) -> PathBuf {
    let path = world.scratch.folder.join(name);
    let words = ["run", "--to-file", path.to_str().unwrap()];
    expect(Outcome::of(&mut world.scratch.push_client(&world.host, &words)).unwrap(), PENDING);
    path
}

fn brought(world: &World, path: &Path, code: i32) -> Outcome {
    let words = ["ingest", "web01", "--from", path.to_str().unwrap()];
    expect(Outcome::of(&mut world.scratch.snapshotter_as_admin(&words)).unwrap(), code)
}

#[test]
fn a_push_that_is_carried_in_a_file_is_a_snapshot_like_any_other() {
    let world = World::new();
    // The first of all, without a word to the server.
    let first = to_file(&world, "first.push");
    brought(&world, &first, ACCEPTED);
    world.newest_is_now(1);
    // The host learns of it when it next speaks to the server, and builds on it.
    world.write("etc/motd", b"changed\n");
    let next = world.push_and_ingest();
    assert_eq!(next.code, ACCEPTED, "{}", next.said());
    assert!(next.count("sent_bytes") < 100_000, "{}", next.said());
    world.newest_is_now(2);
    // From then on a file carries what changed, and no more.
    world.write("etc/motd", b"changed again\n");
    let third = to_file(&world, "third.push");
    assert!(fs::metadata(&third).unwrap().len() < 100_000);
    // A copy that was spoiled on the way does not keep the good one out.
    let mut bytes = fs::read(&third).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let spoiled = world.scratch.folder.join("spoiled.push");
    fs::write(&spoiled, &bytes).unwrap();
    let refused = Outcome::of(&mut world.scratch.snapshotter_as_admin(&[
        "ingest",
        "web01",
        "--from",
        spoiled.to_str().unwrap(),
    ]));
    let refused = refused.unwrap();
    assert!((BROKEN_FRAMES..=26).contains(&refused.code), "{}", refused.said());
    fs::write(&spoiled, &bytes[..middle]).unwrap();
    brought(&world, &spoiled, BROKEN_FRAMES);
    brought(&world, &third, ACCEPTED);
    world.newest_is_now(3);
    brought(&world, &third, ACCEPTED);
    world.newest_is_now(3);
}

#[test]
fn a_file_of_one_host_is_not_taken_for_another() {
    let mut world = World::new();
    let other = world.scratch.add_host("db1", &[world.source.clone()]).unwrap();
    let path = to_file(&world, "web01.push");
    let words = ["ingest", "db1", "--from", path.to_str().unwrap()];
    expect(Outcome::of(&mut world.scratch.snapshotter_as_admin(&words)).unwrap(), WRONG_HOST);
    assert!(other.queued().unwrap().is_empty());
    // Nor does a run of the host write over what is there.
    let again = ["run", "--to-file", path.to_str().unwrap()];
    expect(Outcome::of(&mut world.scratch.push_client(&world.host, &again)).unwrap(), MACHINE);
    brought(&world, &path, ACCEPTED);
    world.newest_is_now(1);
}

#[test]
fn a_push_through_the_systems_ssh_is_a_snapshot_like_any_other() {
    let world = World::new();
    let usual = fs::read_to_string(&world.host.settings).unwrap();
    let by = |transport: &str| usual.replace("[server]\n", &format!("[server]\ntransport = {transport:?}\n"));
    let (by_ssh, by_ssh2) = (by("ssh"), by("ssh2"));
    assert_ne!(by_ssh2, by_ssh);
    fs::write(&world.host.settings, &by_ssh).unwrap();
    let checked = Outcome::of(&mut world.scratch.push_client(&world.host, &["check"])).unwrap();
    expect(checked, ACCEPTED);
    world.sealed();
    world.ingest(ACCEPTED);
    world.newest_is_now(1);
    // One way begins, the other goes on.
    fs::write(&world.host.settings, &by_ssh2).unwrap();
    world.write("etc/motd", b"changed\n");
    world.sealed();
    world.ingest(ACCEPTED);
    world.newest_is_now(2);
}
