//! What is lost or damaged on the server, and how it goes on.

use std::fs;

use formats::session::Code;

use crate::push::Push;
use crate::stories::{accepted, first};
use crate::world::World;

#[test]
fn a_lost_history_resets_the_base_and_the_next_push_is_whole() {
    let world = World::new();
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    fs::remove_dir_all(world.path("history/web01")).unwrap();
    let second = first().without("etc-");
    world.seal(2, &Push::delta(2, &first(), &second).bytes());
    let ended = world.ingest(29);
    assert!(ended.err.contains("does not have the base"), "{ended:?}");
    world.assert_rejected(2, Code::UnknownBase);
    assert_eq!(world.published().base, None);
    world.ingest(0);
    world.seal(3, &Push::whole(3, &second).bytes());
    world.ingest(0);
    second.assert_tree(&world.tree(1));
    assert_eq!(world.published().base, Some(second.summary().root));
}

#[test]
fn a_base_without_its_files_or_manifest_is_reset_and_named() {
    for what in ["tree", "manifest"] {
        let world = World::new();
        world.seal(1, &Push::whole(1, &first()).bytes());
        world.ingest(0);
        let name = world.log().latest().unwrap().name.clone();
        match what {
            "tree" => fs::remove_dir_all(world.path(&format!("history/web01/{name}"))).unwrap(),
            _ => fs::remove_file(world.path(&format!("history/web01/manifests/{name}.manifest"))).unwrap(),
        }
        world.ingest(29);
        assert_eq!(world.published().base, None, "{what}");
        world.ingest(0);
        let found = world.run(&["verify"]);
        assert!(found.code == 28 || found.code == 29, "{found:?}");
        world.seal(2, &Push::whole(2, &first()).bytes());
        world.ingest(0);
        first().assert_tree(&world.tree(2));
    }
}

#[test]
fn a_base_with_one_file_missing_or_one_bit_of_its_manifest_flipped_is_not_built_on() {
    for what in ["file", "manifest"] {
        let world = World::new();
        world.seal(1, &Push::whole(1, &first()).bytes());
        world.ingest(0);
        let name = world.log().latest().unwrap().name.clone();
        if what == "file" {
            fs::remove_file(world.tree(1).join("etc/hosts")).unwrap();
        } else {
            let path = world.path(&format!("history/web01/manifests/{name}.manifest"));
            let mut bytes = fs::read(&path).unwrap();
            bytes[60] ^= 4;
            fs::write(&path, bytes).unwrap();
        }
        world.seal(2, &Push::delta(2, &first(), &first().without("etc-")).bytes());
        world.ingest(29);
        world.assert_rejected(2, Code::UnknownBase);
        assert_eq!(world.published().base, None, "{what}");
        world.seal(3, &Push::whole(3, &first()).bytes());
        world.ingest(0);
        first().assert_tree(&world.tree(2));
    }
}

#[test]
fn a_lost_published_state_is_made_anew_from_the_log() {
    let world = World::new();
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    let before = world.published();
    for damage in [&b""[..], b"firn.pub", b"nonsense"] {
        fs::write(world.path("jails/web01/state/base"), damage).unwrap();
        world.ingest(0);
        assert_eq!(world.published(), before);
    }
    fs::remove_file(world.path("jails/web01/state/base")).unwrap();
    world.ingest(0);
    assert_eq!(world.published(), before);
}

#[test]
fn a_push_waits_while_the_reserve_would_be_used_up() {
    let world = World::limited("queued_pushes = 3");
    world.seal(1, &Push::whole(1, &first()).bytes());
    let config = fs::read_to_string(&world.config).unwrap();
    fs::write(&world.config, config.replace("free_bytes = 1000000", "free_bytes = 1000000000000000"))
        .unwrap();
    let ended = world.ingest(11);
    assert!(ended.err.contains("the push waits"), "{ended:?}");
    assert_eq!((world.sealed(), world.log().lines()), (1, 0));
    assert!(!world.path("history/web01/.building").exists());
    fs::write(&world.config, config).unwrap();
    world.ingest(0);
    assert_eq!(world.verdict(1), accepted(&first()));
}

#[test]
fn one_hosts_trouble_is_not_anothers() {
    let world = World::new();
    world.add("db1");
    let mut push = Push::whole(1, &first());
    push.header.host = formats::HostId::parse("db1").unwrap();
    world.seal(1, &Push::whole(2, &first()).bytes());
    world.ingest(0);
    let log = world.path("history/web01/log");
    let mut bytes = fs::read(&log).unwrap();
    bytes[100] ^= 1;
    fs::write(&log, &bytes).unwrap();
    world.seal(3, &Push::whole(3, &first()).bytes());
    world.seal_for("db1", 1, &push.bytes());
    let ended = world.ingest(28);
    assert!(ended.err.contains("history of web01"), "{ended:?}");
    assert_eq!(world.log_of("db1").snapshots().len(), 1);
    assert_eq!(world.sealed(), 1);
    assert_eq!(fs::read(&log).unwrap(), bytes, "a damaged log is not touched");
}

#[test]
fn a_snapshot_the_log_does_not_know_is_never_removed() {
    let world = World::new();
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    let log = fs::read(world.path("history/web01/log")).unwrap();
    world.seal(2, &Push::whole(2, &first().without("etc-")).bytes());
    world.ingest(0);
    let lost = world.tree(2);
    fs::write(world.path("history/web01/log"), log).unwrap();
    let ended = world.ingest(28);
    assert!(ended.err.contains("not in the snapshot log"), "{ended:?}");
    first().without("etc-").assert_tree(&lost);
}

#[test]
fn a_second_ingest_of_a_host_is_told_to_come_later() {
    let world = World::new();
    world.ingest(0);
    let history = history::History::open(&world.path("history")).unwrap();
    let host = history.host(&formats::HostId::parse("web01").unwrap()).unwrap();
    let held = host.write_lock().unwrap().unwrap();
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(10);
    assert_eq!(world.sealed(), 1);
    drop(held);
    world.ingest(0);
    assert_eq!(world.sealed(), 0);
}

#[test]
fn a_base_whose_manifest_is_another_good_one_is_not_blamed_on_the_push() {
    let world = World::new();
    world.seal(1, &Push::whole(1, &first().without("etc-")).bytes());
    world.seal(2, &Push::whole(2, &first()).bytes());
    world.ingest(0);
    let log = world.log();
    let manifest = |n: usize| {
        let name = &log.snapshots()[n].name;
        world.path(&format!("history/web01/manifests/{name}.manifest"))
    };
    fs::copy(manifest(0), manifest(1)).unwrap();
    world.seal(3, &Push::delta(3, &first(), &first().without("etc-")).bytes());
    world.ingest(29);
    world.assert_rejected(3, Code::UnknownBase);
    assert_eq!(world.published().base, None);
}
