//! Memory lost on one side or the other, and memory that is there twice.

use std::fs;
use std::process::Command;

use pipeline_tests::settings::{self, Push};
use pipeline_tests::{Host, Outcome};

use super::world::{ACCEPTED, PENDING, World, expect};
use crate::rig;

/// What the log says went wrong, in order.
fn alarms(found: &pipeline_tests::checker::history::Found) -> Vec<&str> {
    found.events.iter().filter_map(|event| event["what"].as_str()).collect()
}

#[test]
fn a_client_that_lost_its_state_reads_everything_sends_what_is_lacking_and_raises_an_alarm() {
    let world = World::new();
    expect(world.push_and_ingest(), ACCEPTED);
    fs::remove_dir_all(world.host.state()).unwrap();
    world.write("etc/motd", b"after the loss\n");
    let lost = expect(world.push_and_ingest(), ACCEPTED);
    assert!(lost.count("sent_bytes") < 100_000, "{}", lost.said());
    assert!(lost.count("read_bytes") > 250_000, "{}", lost.said());
    assert!(lost.count("offered_contents") > lost.count("had_contents"), "{}", lost.said());
    let found = world.newest_is_now(2);
    // Nobody can tell a loss from a second machine: a person is asked to look, and nothing expires until then.
    assert_eq!(alarms(&found), ["second-installation"]);
    assert_eq!(found.count("hold"), 1);
    world.change("since");
    let next = expect(world.push_and_ingest(), ACCEPTED);
    assert!(next.count("sent_bytes") < 100_000, "{}", next.said());
    assert_eq!(alarms(&world.newest_is_now(3)), ["second-installation"]);
}

#[test]
fn a_client_that_lost_its_state_pushes_everything_to_a_jail_without_a_list() {
    let world = World::new();
    expect(world.push_and_ingest(), ACCEPTED);
    fs::remove_dir_all(world.host.state()).unwrap();
    let list = world.host.jail.join("state/holdings");
    fs::remove_file(&list).unwrap();
    let whole = expect(world.push_and_ingest(), ACCEPTED);
    assert!(whole.count("sent_bytes") > 250_000, "{}", whole.said());
    assert_eq!(whole.count("had_contents"), 0, "{}", whole.said());
    assert!(list.exists());
    world.newest_is_now(2);
}

#[test]
fn a_client_whose_state_is_damaged_reads_everything_and_sends_what_is_lacking() {
    let world = World::new();
    expect(world.push_and_ingest(), ACCEPTED);
    let mut damaged = 0;
    for entry in fs::read_dir(world.host.state()).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if name.ends_with(".manifest") || name.ends_with(".stamps") {
            let mut bytes = fs::read(entry.path()).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x40;
            fs::write(entry.path(), bytes).unwrap();
            damaged += 1;
        }
    }
    assert!(damaged >= 2, "{damaged}");
    world.write("etc/motd", b"after the damage\n");
    let read = expect(world.push_and_ingest(), ACCEPTED);
    assert!(read.count("sent_bytes") < 100_000, "{}", read.said());
    assert!(read.count("read_bytes") > 250_000, "{}", read.said());
    world.newest_is_now(2);
}

#[test]
fn a_server_that_lost_its_history_asks_for_everything_again() {
    let world = World::new();
    expect(world.push_and_ingest(), ACCEPTED);
    fs::remove_dir_all(world.scratch.history("web01")).unwrap();
    // The server finds out by itself, and says so.
    let lost = world.ingest(29);
    assert!(lost.stderr.contains("web01"), "{}", lost.said());
    world.write("etc/motd", b"after the loss\n");
    let whole = expect(world.push_and_ingest(), ACCEPTED);
    assert!(whole.count("sent_bytes") > 250_000, "{}", whole.said());
    let found = world.newest_is_now(1);
    assert_eq!(found.count("reset"), 1);
    world.change("since");
    expect(world.push_and_ingest(), ACCEPTED);
    world.newest_is_now(2);
}

#[test]
fn a_push_on_a_history_that_was_lost_meanwhile_is_rejected_and_the_next_is_whole() {
    let world = World::new();
    expect(world.push_and_ingest(), ACCEPTED);
    fs::remove_dir_all(world.scratch.history("web01")).unwrap();
    world.write("etc/motd", b"pushed against what is gone\n");
    world.sealed();
    world.ingest(29);
    let found = world.sound();
    assert_eq!((found.snapshots.len(), found.count("reject")), (0, 1), "{:?}", found.events);
    let whole = world.push_and_ingest();
    assert_eq!(whole.code, 24, "{}", whole.said());
    assert!(whole.count("sent_bytes") > 250_000, "{}", whole.said());
    world.newest_is_now(1);
    world.change("since");
    expect(world.push_and_ingest(), ACCEPTED);
    world.newest_is_now(2);
}

#[test]
fn a_base_whose_manifest_is_gone_costs_one_whole_push() {
    let world = World::new();
    expect(world.push_and_ingest(), ACCEPTED);
    let name = world.sound().snapshots[0].name.clone();
    fs::remove_file(world.scratch.history("web01").join("manifests").join(format!("{name}.manifest")))
        .unwrap();
    world.ingest(29);
    let whole = expect(world.push_and_ingest(), ACCEPTED);
    assert!(whole.count("sent_bytes") > 250_000, "{}", whole.said());
    // The first snapshot stays broken, and is named as such; the new one is whole.
    let found = pipeline_tests::checker::history::check(
        &world.scratch.history("web01"),
        "web01",
        pipeline_tests::checker::Moment::Quiet,
    );
    assert!(found.breaches.iter().all(|breach| breach.place.contains(&name)), "{:?}", found.breaches);
    world.is(found.snapshots.last().unwrap(), &world.now());
    let verify = Outcome::of(&mut world.scratch.snapshotter(&["verify", "web01"])).unwrap();
    assert!((20..30).contains(&verify.code), "{}", verify.said());
    assert!(verify.said().contains(&name), "{}", verify.said());
}

#[test]
fn a_cloned_machine_under_the_same_name_is_kept_and_raises_an_alarm() {
    let world = World::new();
    expect(world.push_and_ingest(), ACCEPTED);
    // A copy of the whole machine: key, state, settings; its files then go another way.
    let folder = world.scratch.folder.join("hosts/clone");
    fs::create_dir_all(&folder).unwrap();
    let copy = |what: &std::path::Path, to: &str| {
        Outcome::of(Command::new("cp").arg("-a").arg(what).arg(folder.join(to)))
            .unwrap()
            .expect_code(&[0])
            .unwrap();
    };
    copy(&world.host.state(), "state");
    copy(&world.source, "files");
    rig::file(&folder.join("files/etc/motd"), b"the clone\n");
    let clone = Host {
        settings: world.scratch.folder.join("etc/push-clone.toml"),
        roots: vec![folder.join("files")],
        folder: folder.clone(),
        ..world.host.clone()
    };
    settings::write_push(&world.scratch, &clone, &Push::default()).unwrap();
    world.write("etc/motd", b"the original\n");
    world.sealed();
    expect(world.scratch.push(&clone).unwrap(), PENDING);
    world.ingest(ACCEPTED);
    let found = world.sound();
    assert_eq!(found.snapshots.len(), 3);
    assert_eq!(alarms(&found), ["counter-reused"]);
    assert_eq!(found.count("hold"), 1);
    world.is(&found.snapshots[1], &world.now());
    let theirs = pipeline_tests::checker::live::scan(&[&folder.join("files")]).unwrap();
    let prefix = folder.join("files").to_str().unwrap().as_bytes()[1..].to_vec();
    let own = |items: &[pipeline_tests::checker::item::Item]| -> Vec<_> {
        items.iter().filter(|item| item.path.starts_with(&prefix)).cloned().collect()
    };
    assert_eq!(own(&found.snapshots[2].items).len(), own(&theirs).len());
    assert_eq!(pipeline_tests::checker::live::compare(&own(&theirs), &own(&found.snapshots[2].items)), []);
    // Both go on; each push says what its own machine has.
    world.write("etc/motd", b"the original again\n");
    world.sealed();
    expect(world.scratch.push(&clone).unwrap(), PENDING);
    world.ingest(ACCEPTED);
    let found = world.sound();
    assert_eq!(found.snapshots.len(), 5);
    world.is(&found.snapshots[3], &world.now());
    assert_eq!(pipeline_tests::checker::live::compare(&own(&theirs), &own(&found.snapshots[4].items)), []);
}
