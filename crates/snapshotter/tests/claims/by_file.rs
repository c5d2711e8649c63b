//! A push that came by other means.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use formats::HostId;
use formats::session::Code;

use crate::push::Push;
use crate::state::file;
use crate::stories::{accepted, first};
use crate::world::{Ended, World};

/// A file that only whoever runs this may read.
fn brought(world: &World, push: &Push) -> PathBuf {
    let path = world.path("brought.push");
    let _ = fs::remove_file(&path);
    fs::write(&path, push.bytes()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn ingest(world: &World, host: &str, path: &Path) -> Ended {
    world.run(&["--json", "ingest", host, "--from", path.to_str().unwrap()])
}

#[test]
fn a_file_becomes_a_snapshot_as_a_push_does_and_stays_where_it_is() {
    let world = World::new();
    let path = brought(&world, &Push::whole(1, &first()));
    let ended = ingest(&world, "web01", &path);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.report()["details"]["pushes"][0]["end"], "accepted", "{ended:?}");
    first().assert_tree(&world.tree(1));
    assert_eq!(world.verdict(1), accepted(&first()));
    assert!(path.exists());
    // Once more changes nothing.
    let ended = ingest(&world, "web01", &path);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.out.contains("judged before"), "{ended:?}");
    assert_eq!(world.log().snapshots().len(), 1);
    // Pushes of the jail, and files, build on each other.
    let second = first().with("etc/new", file("new"));
    world.seal(1, &Push::delta(2, &first(), &second).bytes());
    world.ingest(0);
    let third = second.with("etc/newer", file("newer"));
    let ended = ingest(&world, "web01", &brought(&world, &Push::delta(3, &second, &third)));
    assert_eq!(ended.code, 0, "{ended:?}");
    third.assert_tree(&world.tree(3));
    assert_eq!(world.run(&["verify"]).code, 0);
}

#[test]
fn a_file_leaves_the_pushes_that_wait_in_the_jail() {
    let world = World::new();
    world.seal(1, &Push::whole(1, &first()).bytes());
    let ended = ingest(&world, "web01", &brought(&world, &Push::whole(2, &first())));
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.report()["details"]["pushes"][0]["waiting"], 1, "{ended:?}");
    assert_eq!((world.sealed(), world.verdict(1)), (1, None));
}

#[test]
fn a_file_is_taken_for_the_one_host_that_is_named_and_is_its_own() {
    let world = World::new();
    world.add("db1");
    let path = brought(&world, &Push::whole(1, &first()));
    let from = ["--from", path.to_str().unwrap()];
    for hosts in [&[][..], &["web01", "db1"][..]] {
        let ended = world.run(&[&["ingest"], hosts, &from].concat());
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.err.contains("snapshotter ingest HOST --from FILE"), "{ended:?}");
    }
    assert_eq!(ingest(&world, "nobody", &path).code, 2);
    let ended = ingest(&world, "db1", &path);
    assert_eq!(ended.code, i32::from(Code::WrongHost.exit_code()), "{ended:?}");
    let ended = ingest(&world, "web01", &path);
    assert_eq!(ended.code, 0, "{ended:?}");
    // Of db1 only a line in its log.
    assert!(world.log_of("db1").snapshots().is_empty());
    let mut theirs = Push::whole(2, &first());
    theirs.header.host = HostId::parse("db1").unwrap();
    fs::create_dir_all(world.path("records")).unwrap();
    fs::write(world.path("records/db1.toml"), "retired = \"2026-11-21T10:00:00Z\"\n").unwrap();
    let ended = ingest(&world, "db1", &brought(&world, &theirs));
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("is retired"), "{ended:?}");
    fs::write(world.path("records/db1.toml"), "").unwrap();
    assert_eq!(ingest(&world, "db1", &brought(&world, &theirs)).code, 0, "control");
}

#[test]
fn what_is_no_regular_file_is_refused_and_hangs_nobody() {
    let world = World::new();
    let fifo = world.path("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o644),
        0,
    )
    .unwrap();
    for path in [fifo.as_path(), Path::new("/dev/zero"), Path::new("/"), Path::new("/nowhere")] {
        let ended = ingest(&world, "web01", path);
        assert!([2, 4].contains(&ended.code), "{}: {ended:?}", path.display());
    }
    assert!(!world.path("history/web01/log").exists() || world.log().snapshots().is_empty());
}
