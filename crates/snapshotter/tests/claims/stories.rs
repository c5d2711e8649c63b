//! Pushes one after another, as they happen.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use formats::published::Verdict;
use formats::session::Code;
use formats::{InstallationId, PushId};

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

fn accepted(state: &State) -> Option<Verdict> {
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
fn history_shares_no_inode_with_the_spool_and_holds_no_live_privilege() {
    let world = World::new();
    let held = world.seal(1, &Push::whole(1, &first()).bytes());
    let spool = inode(&held);
    world.ingest(0);
    let mut inodes = BTreeSet::new();
    modes(&world.path("history"), &mut inodes);
    assert!(!inodes.contains(&spool));
    assert!(inodes.len() > 10);
}

fn modes(folder: &Path, inodes: &mut BTreeSet<(u64, u64)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let meta = path.symlink_metadata().unwrap();
        inodes.insert((meta.dev(), meta.ino()));
        if meta.is_dir() {
            assert_eq!(meta.mode() & 0o5027, 0, "{} {:o}", path.display(), meta.mode());
            modes(&path, inodes);
        } else {
            assert!(meta.is_file() || meta.is_symlink(), "{}", path.display());
            assert!(meta.is_symlink() || meta.mode() & 0o7137 == 0, "{} {:o}", path.display(), meta.mode());
        }
    }
}

#[test]
fn runs_of_zeros_take_no_room() {
    let world = World::new();
    let mut sparse = vec![0; 20_000_000];
    sparse[10_000_000] = 1;
    let state = State::of([("sparse", file(&sparse)), ("zeros", file(vec![0; 40_000_000]))]);
    world.seal(1, &Push::whole(1, &state).bytes());
    world.ingest(0);
    state.assert_tree(&world.tree(1));
    for name in ["sparse", "zeros"] {
        assert!(fs::metadata(world.tree(1).join(name)).unwrap().blocks() < 2_000, "{name}");
    }
}

#[test]
fn a_push_waits_while_the_reserve_would_be_used_up() {
    let world = World::limited("queued_pushes = 3");
    world.seal(1, &Push::whole(1, &first()).bytes());
    let config = fs::read_to_string(&world.config).unwrap();
    fs::write(&world.config, config.replace("free_bytes = 1000000", "free_bytes = 1000000000000000")).unwrap();
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
fn a_file_with_more_names_than_an_inode_can_bear_gets_a_second_inode() {
    let world = World::new();
    let names: Vec<String> = (0..65_100).map(|n| format!("f{n:05}")).collect();
    let state = State(names.iter().map(|name| (crate::state::path(name), file("same"))).collect());
    world.seal(1, &Push::whole(1, &state).bytes());
    world.ingest(0);
    state.assert_tree(&world.tree(1));
    let inodes: BTreeSet<_> = names.iter().map(|name| inode(&world.tree(1).join(name))).collect();
    assert!(inodes.len() <= 3, "{} inodes", inodes.len());
    // The next snapshot finds every inode full.
    let next = state.with("g", file("new"));
    world.seal(2, &Push::delta(2, &state, &next).bytes());
    world.ingest(0);
    next.assert_tree(&world.tree(2));
    assert_eq!(world.run(&["verify"]).code, 0);
}

#[test]
fn a_tree_deeper_than_a_path_may_be_long_is_kept() {
    let world = World::new();
    let mut state = State::default();
    let mut path = String::new();
    for depth in 0..300 {
        path.push_str(&format!("{depth:0>60}"));
        state.0.insert(crate::state::path(&path), Item::Folder);
        path.push('/');
    }
    state.0.insert(crate::state::path(&format!("{path}leaf")), file("deep"));
    state.0.insert(crate::state::path(&format!("{:0>60}/zz", 0)), file("shallow, after the deep"));
    world.seal(1, &Push::whole(1, &state).bytes());
    world.ingest(0);
    let next = state.with("z", file("z"));
    world.seal(2, &Push::delta(2, &state, &next).bytes());
    world.ingest(0);
    let verified = world.run(&["--json", "verify"]);
    assert_eq!(verified.code, 0, "{verified:?}");
    assert_eq!(verified.report()["counts"]["snapshots"], 2);
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
fn what_a_receiver_never_makes_is_removed_and_noted() {
    let world = World::new();
    let sealed = world.path("jails/web01/spool/sealed");
    std::os::unix::fs::symlink("/etc/passwd", sealed.join("00000000000000000001.push")).unwrap();
    fs::create_dir(sealed.join("folder")).unwrap();
    crate::world::give_away(&sealed.join("folder"));
    fs::write(sealed.join(".being-copied"), "").unwrap();
    world.seal(2, &Push::whole(2, &first()).bytes());
    world.ingest(0);
    assert_eq!(world.verdict(2), accepted(&first()));
    assert_eq!(fs::read_dir(&sealed).unwrap().count(), 1);
    assert_eq!(world.log().lines(), 3);
    assert!(world.log().answer(PushId::from_bytes([2; 16])).is_some());
}

#[test]
fn snapshots_can_be_listed_and_shown() {
    let world = World::new();
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    let listed = world.run(&["--json", "list"]);
    assert_eq!((listed.code, &listed.report()["counts"]["snapshots"]), (0, &serde_json::json!(1)));
    let shown = world.run(&["--json", "show", "web01", "latest", "--entries"]);
    assert_eq!((shown.code, &shown.report()["counts"]["entries"]), (0, &serde_json::json!(14)));
    assert!(shown.out.contains("-4755") && shown.out.contains("etc/link -> ../../outside"), "{}", shown.out);
    assert_eq!(world.run(&["show", "web01", "20260102T030405Z-0000000009"]).code, 2);
    assert_eq!(world.run(&["show", "nobody", "latest"]).code, 2);
    assert_eq!(world.run(&["ingest", "nobody"]).code, 2);
}
