//! What file systems and hosts have in them at the edges.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use formats::PushId;

use crate::push::Push;
use crate::state::{Item, State, file, inode};
use crate::stories::{accepted, first};
use crate::world::World;

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
fn a_file_with_more_names_than_an_inode_can_bear_gets_a_second_inode() {
    let world = World::new();
    // In many folders, so that many workers meet at the end of the inode.
    let names: Vec<String> = (0..65_100).map(|n| format!("d{:02}/f{n:05}", n / 700)).collect();
    let mut state = State(names.iter().map(|name| (crate::state::path(name), file("same"))).collect());
    state.0.extend((0..93).map(|n| (crate::state::path(&format!("d{n:02}")), Item::Folder)));
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
    assert_eq!(world.log().lines(), 2, "one line, however many there were");
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
