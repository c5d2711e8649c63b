//! Connections that break: anywhere, and in either direction.

use std::fs;
use std::thread;
use std::time::Duration;

use pipeline_tests::settings::{self, Push};

use crate::proxy::{Measure, Proxy, Then};

use super::world::{ACCEPTED, NO_CONNECTION, PENDING, World, expect, noise};

/// The host connects through this port from now on.
fn through(world: &World, port: u16) {
    settings::write_push(&world.scratch, &world.host, &Push::default()).unwrap();
    let text = fs::read_to_string(&world.host.settings).unwrap();
    let own = format!("port = {}\n", world.scratch.sshd.port);
    assert!(text.contains(&own));
    fs::write(&world.host.settings, text.replace(&own, &format!("port = {port}\n"))).unwrap();
}

/// A push that is cut when so many bytes have passed.
fn cut(world: &World, up: u64, down: u64) -> u64 {
    let proxy =
        Proxy::start(world.scratch.sshd.port, Measure { up_max: up, down_max: down, ..Measure::default() });
    through(world, proxy.port);
    expect(world.push(), NO_CONNECTION);
    settings::write_push(&world.scratch, &world.host, &Push::default()).unwrap();
    proxy.passed()
}

/// 12 MiB that do not shrink, in files of up to 1 MiB: what is cut within a file is sent again from the file's start.
fn fill(world: &World) -> u64 {
    let sizes = [[10, 5_000, 100_000, 943_558].as_slice(), &[1 << 20; 11]].concat();
    for (number, bytes) in sizes.iter().enumerate() {
        world.write(&format!("data/{number}"), &noise(number as u64 + 100, *bytes));
    }
    // What was touched in the last two seconds before a push is read again by the next, whatever arrived.
    thread::sleep(Duration::from_secs(3));
    sizes.iter().map(|bytes| *bytes as u64).sum()
}

#[test]
fn a_push_that_is_cut_in_the_middle_goes_on_where_it_was_cut() {
    let world = World::new();
    let bytes = fill(&world);
    let before = cut(&world, bytes * 2 / 3, u64::MAX);
    assert!(world.host.queued().unwrap().is_empty());
    let partial = fs::metadata(world.host.jail.join("spool/incoming/current")).unwrap().len();
    // What sshd held in its own buffers when the connection broke is gone with it: up to 2 MiB, and a frame.
    assert!(partial > bytes * 2 / 3 - (4 << 20), "{partial} of {bytes} arrived");
    let rest = world.sealed();
    let sent = rest.count("sent_bytes");
    assert!(sent < bytes - partial + (2 << 20), "{sent} of {bytes} sent after {before}: {}", rest.said());
    world.ingest(ACCEPTED);
    world.newest_is_now(1);
}

#[test]
fn a_push_that_is_cut_again_and_again_ends_and_sends_little_twice() {
    let world = World::new();
    let bytes = fill(&world);
    let mut passed = 0;
    let mut cuts = 0;
    // From the greeting of SSH to the seal. Then twice in the contents.
    for up in [0, 10, 1_000, 2_500, 4_000] {
        passed += cut(&world, up, u64::MAX);
        cuts += 1;
    }
    for _ in 0..2 {
        passed += cut(&world, bytes / 2, u64::MAX);
        cuts += 1;
    }
    let last = world.sealed();
    let all = passed + last.count("sent_bytes");
    println!("CUTS: {cuts}");
    assert!(all < bytes * 2, "{all} bytes passed for {bytes}");
    world.ingest(ACCEPTED);
    world.newest_is_now(1);
}

#[test]
fn an_answer_that_is_lost_does_not_make_two_snapshots_of_one_push() {
    let world = World::new();
    expect(world.push_and_ingest(), ACCEPTED);
    let mut cuts = 0;
    // The first words of the server, then fewer and fewer of its last: among them the one that says "sealed".
    for down in [0, 500, 1_500, 2_000, 2_200, 2_400, 2_600, 2_800, 3_000, 3_200, 3_400] {
        world.write("etc/motd", format!("cut after {down}\n").as_bytes());
        let proxy = Proxy::start(world.scratch.sshd.port, Measure { down_max: down, ..Measure::default() });
        through(&world, proxy.port);
        let outcome = world.push();
        assert!([NO_CONNECTION, PENDING].contains(&outcome.code), "{down}: {}", outcome.said());
        cuts += usize::from(outcome.code == NO_CONNECTION);
        settings::write_push(&world.scratch, &world.host, &Push::default()).unwrap();
        world.ingest(ACCEPTED);
    }
    println!("CUTS: {cuts}");
    assert!(cuts >= 5, "{cuts}");
    expect(world.push_and_ingest(), ACCEPTED);
    let found = world.sound();
    world.is(found.snapshots.last().unwrap(), &world.now());
    let mut pushes: Vec<_> = found.snapshots.iter().map(|snapshot| &snapshot.push).collect();
    pushes.sort();
    pushes.dedup();
    assert_eq!(pushes.len(), found.snapshots.len());
}

#[test]
fn a_session_that_the_server_ends_is_gone_on_with() {
    if !crate::rig::is_root_or_skipped("a_session_that_the_server_ends_is_gone_on_with") {
        return;
    }
    let world = World::new();
    let bytes = fill(&world);
    let measure = Measure { up_max: bytes / 2, then: Then::Stall, ..Measure::default() };
    let proxy = Proxy::start(world.scratch.sshd.port, measure);
    through(&world, proxy.port);
    let outcome = thread::scope(|scope| {
        let push = scope.spawn(|| world.push());
        while proxy.passed() < bytes / 2 && !push.is_finished() {
            thread::sleep(Duration::from_millis(10));
        }
        thread::sleep(Duration::from_millis(200));
        let account = crate::rig::number_of(&world.host.account);
        pipeline_tests::process::end(&pipeline_tests::process::of_user(account));
        push.join().unwrap()
    });
    expect(outcome, NO_CONNECTION);
    settings::write_push(&world.scratch, &world.host, &Push::default()).unwrap();
    let rest = world.sealed();
    assert!(rest.count("sent_bytes") < bytes * 3 / 4, "{}", rest.said());
    world.ingest(ACCEPTED);
    world.newest_is_now(1);
}
