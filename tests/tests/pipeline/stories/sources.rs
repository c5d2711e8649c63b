//! Files that cannot be read, and files that do not keep still.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pipeline_tests::settings::{self, Push};
use pipeline_tests::{Host, Outcome, Power};

use super::world::{ACCEPTED, LEFT_OUT, PENDING, World, expect, noise};

/// The paths that the report names.
fn left_out(outcome: &Outcome) -> Vec<String> {
    let report = outcome.report().unwrap();
    let list = report["left_out"].as_array().unwrap().iter();
    list.map(|entry| entry["path"].as_str().unwrap().to_owned()).collect()
}

/// Pushes under an account that is not root's, so that there is something that it may not read.
fn push_as_nobody(world: &World) -> Outcome {
    if world.scratch.power == Power::User {
        return world.push();
    }
    let folder = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let own = |path: &std::path::Path| {
        Outcome::of(Command::new("chown").arg("-R").arg("nobody").arg(path))
            .unwrap()
            .expect_code(&[0])
            .unwrap();
    };
    fs::copy(&world.host.key.path, folder.path().join("key")).unwrap();
    let key = pipeline_tests::keys::SshKey { path: folder.path().join("key") };
    let host = Host {
        folder: folder.path().to_owned(),
        settings: folder.path().join("push.toml"),
        key,
        ..world.host.clone()
    };
    settings::write_push(&world.scratch, &host, &Push::default()).unwrap();
    fs::create_dir(folder.path().join("state")).unwrap();
    fs::set_permissions(folder.path().join("state"), fs::Permissions::from_mode(0o700)).unwrap();
    own(folder.path());
    // The way to the source is open; only what the test closes is not.
    fs::set_permissions(world.scratch.folder.join("hosts"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid=nobody",
        "--regid=nogroup",
        "--clear-groups",
        "--inh-caps=-all",
        "--bounding-set=-all",
        "--",
    ]);
    command.arg(world.scratch.folder.join("bin/push-client")).arg("--config").arg(&host.settings);
    Outcome::of(command.args(["--json", "run"]).current_dir("/")).unwrap()
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_pushed() {
    let world = World::new();
    world.write("etc/shadow", b"secret\n");
    world.write("closed/inside", b"x");
    let close = |path: &str, mode: u32| {
        fs::set_permissions(world.source.join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    close("etc/shadow", 0);
    close("closed", 0);
    let outcome = push_as_nobody(&world);
    close("closed", 0o755);
    assert_eq!(outcome.code, PENDING, "{}", outcome.said());
    let named = left_out(&outcome);
    for path in ["etc/shadow", "closed"] {
        assert!(named.iter().any(|name| name.ends_with(path)), "{path} in {named:?}");
        assert!(outcome.stderr.contains(path), "{}", outcome.said());
    }
    assert_eq!(outcome.count("left_out"), named.len() as u64);
    world.ingest(ACCEPTED);
    let found = world.sound();
    let event = found.events.iter().find(|event| event["kind"] == "ingest").unwrap();
    assert_eq!(event["left_out"].as_u64(), Some(named.len() as u64));
    let names: Vec<_> = found.snapshots[0].items.iter().map(|item| item.path.clone()).collect();
    assert!(names.iter().any(|path| path.ends_with(b"etc/hosts")));
    assert!(!names.iter().any(|path| path.ends_with(b"closed/inside")));
}

#[test]
fn a_file_that_never_keeps_still_is_tried_again_named_and_read_again_by_the_next_push() {
    let world = World::new();
    world.write("var/log", &noise(5, 24 << 20));
    let file = File::options().write(true).open(world.source.join("var/log")).unwrap();
    let stop = AtomicBool::new(false);
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut at = 0;
            while !stop.load(Ordering::Relaxed) {
                file.write_all_at(b"changed", at % (24 << 20)).unwrap();
                at += 4099;
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let outcome = world.push_and_ingest();
        stop.store(true, Ordering::Relaxed);
        outcome
    });
    assert_eq!(outcome.code, LEFT_OUT, "{}", outcome.said());
    let named = left_out(&outcome);
    assert!(named.len() == 1 && named[0].ends_with("var/log"), "{named:?}");
    // Its last reading is there, torn as it may be; the rest is what it is.
    let found = world.sound();
    assert_eq!(found.snapshots.len(), 1);
    assert_eq!(found.snapshots[0].items.iter().filter(|item| item.path.ends_with(b"var/log")).count(), 1);
    // When it keeps still, it is read again, whatever its times say.
    expect(world.push_and_ingest(), ACCEPTED);
    world.newest_is_now(2);
}

#[test]
fn a_file_that_changes_once_while_it_is_read_is_read_again() {
    let world = World::new();
    world.write("var/log", &noise(6, 32 << 20));
    let path = world.source.join("var/log");
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            // As soon as some of it has arrived, and never again.
            let until = Instant::now() + Duration::from_secs(60);
            let current = world.host.jail.join("spool/incoming/current");
            while Instant::now() < until && fs::metadata(&current).map_or(0, |meta| meta.len()) < 4 << 20 {
                std::thread::sleep(Duration::from_millis(1));
            }
            File::options().write(true).open(&path).unwrap().write_all_at(b"changed", 0).unwrap();
        });
        world.push_and_ingest()
    });
    assert_eq!(outcome.code, ACCEPTED, "{}", outcome.said());
    world.newest_is_now(1);
}
