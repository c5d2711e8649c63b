//! What has rotted is named wherever it is, goes out of the snapshots, is asked for, and comes back to every name with the next push.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use formats::ContentHash;
use formats::published::Verdict;
use formats::records::log::{Event, Healer};
use formats::session::Code;

use crate::pruned::{NOTHING, place, world as old_world};
use crate::push::Push;
use crate::state::{Item, State, file, inode};
use crate::world::World;

/// What rots: four names in every snapshot, of one inode.
pub(crate) fn precious() -> Vec<u8> {
    (0..300_000u32).flat_map(|n| (n % 251).to_le_bytes()).collect()
}

pub(crate) const NAMES: [&str; 4] = ["copy", "d/file", "one", "two"];

pub(crate) fn hash() -> ContentHash {
    ContentHash::of(&precious())
}

pub(crate) fn state(n: u8) -> State {
    State::of([
        ("copy", file(precious())),
        ("d", Item::Folder),
        ("d/file", file(precious())),
        ("one", Item::First(2, precious())),
        ("own", file(vec![n; 5_000])),
        ("same", file("as ever")),
        ("two", Item::Link("one")),
    ])
}

/// So many snapshots.
pub(crate) fn world(snapshots: u8) -> World {
    let world = World::quick();
    for n in 1..=snapshots {
        let push = if n == 1 { Push::whole(1, &state(1)) } else { Push::delta(n, &state(n - 1), &state(n)) };
        world.seal(u64::from(n), &push.bytes());
    }
    world.ingest(0);
    world
}

/// One bit of the inode that has this name in this snapshot.
pub(crate) fn flip(world: &World, sequence: usize, name: &str) {
    let path = world.tree(sequence).join(name);
    let mut bytes = fs::read(&path).unwrap();
    bytes[777_777] ^= 4;
    fs::write(path, bytes).unwrap();
}

/// The next push of a host on which nothing changed, that was told what is wanted.
pub(crate) fn unchanged(push: u8, n: u8) -> Push {
    Push { contents: vec![precious()], ..Push::delta(push, &state(n), &state(n)) }
}

fn rot_folder(world: &World) -> Vec<PathBuf> {
    match fs::read_dir(world.path("history/web01/.rot")) {
        Ok(names) => names.map(|name| name.unwrap().path()).collect(),
        Err(_) => Vec::new(),
    }
}

pub(crate) fn assert_healed(world: &World, snapshots: usize, after: &str) {
    for sequence in 1..=snapshots {
        state(u8::try_from(sequence).unwrap()).assert_tree(&world.tree(sequence));
    }
    let verified = world.run(&["verify"]);
    assert_eq!(verified.code, 0, "{after}: {verified:?}");
    assert!(world.published().wanted.is_empty() && world.log().rotten().is_empty(), "{after}");
    assert_eq!(rot_folder(world), Vec::<PathBuf>::new(), "{after}");
}

fn events(world: &World) -> Vec<Event> {
    let lines = place(world).log_reader().unwrap().unwrap();
    lines.map(|raw| raw.unwrap().line.event).collect()
}

#[test]
fn a_flipped_bit_is_named_in_every_snapshot_and_at_every_path() {
    let world = world(5);
    flip(&world, 3, "d/file");
    for words in [&["--json", "verify"][..], &["--json", "verify", "--rolling"]] {
        let config = fs::read_to_string(&world.config).unwrap();
        fs::write(&world.config, format!("{config}\n[verify]\ncycle_days = 1\n")).unwrap();
        let before = world.picture("history");
        let ended = world.run(words);
        fs::write(&world.config, config).unwrap();
        assert_eq!(ended.code, 29, "{ended:?}");
        let report = ended.report();
        let named = report["details"]["defects"].as_array().unwrap();
        assert_eq!((named.len(), report["counts"]["rotten"].as_u64()), (20, Some(1)));
        for snapshot in world.log().snapshots() {
            for path in NAMES {
                let place = format!("web01/{}", snapshot.name);
                assert!(ended.out.contains(&format!("{place}: {path} does not have its hash")), "{ended:?}");
                assert!(named.iter().any(|one| one["where"] == place
                    && one["path"] == path
                    && one["content"] == hash().to_string()));
            }
        }
        let after = world.picture("history");
        assert_eq!(after, before, "it only reads");
    }
    assert!(world.published().wanted.is_empty());
}

#[test]
fn what_has_rotted_goes_out_of_the_trees_and_the_next_push_heals_every_name() {
    let world = world(5);
    flip(&world, 1, "copy");
    let repaired = world.run(&["--json", "verify", "--repair"]);
    assert_eq!(repaired.code, 29, "{repaired:?}");
    assert_eq!(repaired.report()["counts"]["wanted"], 1, "{repaired:?}");
    assert!(matches!(events(&world).last(), Some(Event::Rot { names: 20, snapshots: 5, .. })));
    assert_eq!(world.published().wanted, [hash()]);
    assert_eq!(rot_folder(&world).len(), 1, "the rest of it may be all that there is");
    assert!((1..=5).all(|n| NAMES.iter().all(|name| !world.tree(n).join(name).exists())));
    let named = world.run(&["verify"]);
    assert_eq!(named.code, 29);
    assert_eq!(named.out.matches("is missing: it has rotted, and is wanted from the host").count(), 20);
    assert!(world.run(&["status"]).out.contains("1 contents rotten, wanted from the host"));

    world.seal(6, &unchanged(6, 5).bytes());
    let healed = world.ingest(0);
    assert!(healed.out.contains("healed 1 contents"), "{healed:?}");
    state(5).assert_tree(&world.tree(6));
    for n in 1..=5 {
        state(u8::try_from(n).unwrap()).assert_tree(&world.tree(n));
    }
    let inodes: Vec<_> = (1..=6).flat_map(|n| NAMES.map(|name| inode(&world.tree(n).join(name)))).collect();
    assert!(inodes.iter().all(|one| *one == inodes[0]), "one inode, as before");
    assert_eq!(fs::metadata(world.tree(1).join("copy")).unwrap().nlink(), 24);
    assert_healed(&world, 5, "healed");
    assert!(
        events(&world).iter().any(|event| matches!(event, Event::Healed { names: 20, by: Healer::Push, .. }))
    );
}

/// The control: without what is wanted, nothing is healed, and nothing that has rotted is linked to.
#[test]
fn a_push_that_counts_on_what_has_rotted_is_refused_and_keeps_its_base() {
    let world = world(3);
    flip(&world, 1, "copy");
    assert_eq!(world.run(&["verify", "--repair"]).code, 29);
    let base = world.published().base;
    world.seal(4, &Push::delta(4, &state(3), &state(4)).bytes());
    world.ingest(0);
    world.assert_rejected(4, Code::MissingContent);
    let moved = state(3).with("moved", file(precious())).without("copy");
    world.seal(5, &Push::delta(5, &state(3), &moved).bytes());
    world.ingest(0);
    world.assert_rejected(5, Code::MissingContent);
    assert_eq!((world.published().base, world.published().wanted), (base, vec![hash()]));
    // Without the files, it is a push like any other, and what is wanted stays wanted.
    let bare = State::of([("own", file("own"))]);
    world.seal(6, &Push::delta(6, &state(3), &bare).bytes());
    world.ingest(0);
    assert!(matches!(world.verdict(6), Some(Verdict::Accepted { .. })));
    assert_eq!(world.published().wanted, [hash()]);
    // A file that was put back on the host, from ice or from elsewhere, under whatever name, heals all of them.
    world.seal(
        7,
        &Push::delta(7, &bare, &bare.with("put/back", file(precious())).with("put", Item::Folder)).bytes(),
    );
    world.ingest(0);
    assert_healed(&world, 3, "put back");
}

#[test]
fn nothing_but_the_content_itself_counts_as_what_is_wanted() {
    let world = world(2);
    flip(&world, 1, "copy");
    assert_eq!(world.run(&["verify", "--repair"]).code, 29);
    let mut wrong = precious();
    wrong[5] ^= 1;
    world.seal(3, &Push { contents: vec![wrong], ..unchanged(3, 2) }.bytes());
    world.ingest(0);
    world.assert_rejected(3, Code::MissingContent);
    assert_eq!(world.published().wanted, [hash()]);
    assert!(!world.tree(1).join("copy").exists());
}

#[test]
fn another_file_of_the_same_history_heals_at_once() {
    let world = World::quick();
    let without = State::of([("own", file("own"))]);
    world.seal(1, &Push::whole(1, &state(1)).bytes());
    world.seal(2, &Push::delta(2, &state(1), &without).bytes());
    world.seal(3, &Push::delta(3, &without, &state(3)).bytes());
    world.ingest(0);
    assert_ne!(inode(&world.tree(1).join("copy")), inode(&world.tree(3).join("copy")));
    flip(&world, 1, "one");
    let repaired = world.run(&["verify", "--repair"]);
    assert_eq!(repaired.code, 29, "{repaired:?}");
    assert!(repaired.out.contains("is healed, at 4 names"), "{repaired:?}");
    for n in [1, 3] {
        state(n).assert_tree(&world.tree(usize::from(n)));
    }
    assert_eq!(world.run(&["verify"]).code, 0);
    assert!(world.published().wanted.is_empty());
    assert_eq!(rot_folder(&world), Vec::<PathBuf>::new());
}

#[test]
fn what_no_snapshot_names_any_more_is_not_wanted_any_more() {
    let world = world(1);
    flip(&world, 1, "copy");
    fs::remove_file(world.tree(1).join("same")).unwrap();
    assert_eq!(world.run(&["verify", "--repair"]).code, 29);
    assert_eq!(world.log().rotten().len(), 2, "what is missing is wanted, too");
    let bare = State::of([("own", file("own"))]);
    world.seal(2, &Push::delta(2, &state(1), &bare).bytes());
    world.ingest(0);
    // As a prune does.
    let host = place(&world);
    let alone = host.write_lock().unwrap().unwrap();
    let mut log = history::LogAppender::open(&host, &alone).unwrap();
    let gone = log.log().snapshots()[0].clone();
    let (name, root) = (gone.name.to_string(), gone.root);
    let prune = Event::Prune { sequence: 1, name, root, planned: "2026-01-02T03:04:05Z".into() };
    log.append(prune, chrono::Utc::now()).unwrap();
    drop((log, alone));
    fs::remove_dir_all(world.path("history/web01").join(gone.name.as_str())).unwrap();
    fs::remove_file(world.path(&format!("history/web01/manifests/{}.manifest", gone.name))).unwrap();
    let ended = world.run(&["verify", "--repair"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(world.log().rotten().is_empty() && world.published().wanted.is_empty());
    assert_eq!(rot_folder(&world), Vec::<PathBuf>::new());
}

#[test]
fn nothing_is_pruned_while_a_content_is_lost() {
    let world = old_world(4, &format!("{NOTHING}keep_min = 1\n"));
    assert_eq!(world.run(&["verify"]).code, 0);
    let planned = world.run(&["prune", "--plan"]);
    assert!(planned.code == 0 && planned.out.contains("plans to remove"), "{planned:?}");
    let own = world.tree(1).join("own");
    let mut bytes = fs::read(&own).unwrap();
    bytes[99] ^= 1;
    fs::write(own, bytes).unwrap();
    assert_eq!(world.run(&["verify", "--repair"]).code, 29);
    let refused = world.run(&["prune", "--plan"]);
    assert!(refused.code == 3 && refused.err.contains("1 contents have rotted"), "{refused:?}");
}

#[test]
fn a_rolling_verify_reads_a_share_a_day_and_notes_a_cycle_that_was_well() {
    let world = world(3);
    let all = world.run(&["--json", "verify"]).report()["counts"]["read_bytes"].as_u64().unwrap();
    let config = fs::read_to_string(&world.config).unwrap();
    fs::write(&world.config, format!("{config}\n[verify]\ncycle_days = 256\n")).unwrap();
    let state = world.path("history/web01/.verify");
    let mut read = 0;
    let mut days = 0;
    loop {
        let lines = world.log().lines();
        let ended = world.run(&["--json", "verify", "--rolling"]);
        assert_eq!(ended.code, 0, "{ended:?}");
        read += ended.report()["counts"]["read_bytes"].as_u64().unwrap();
        if !state.exists() {
            assert_eq!(world.log().lines(), lines + 1);
            break;
        }
        assert_eq!(world.log().lines(), lines, "nothing is noted before the end");
        days += 64;
        // As if so many days had passed since it began.
        let mut cycle: serde_json::Value = serde_json::from_slice(&fs::read(&state).unwrap()).unwrap();
        cycle["started"] = (chrono::Utc::now().timestamp() - days * 86_400).into();
        fs::write(&state, cycle.to_string()).unwrap();
    }
    assert_eq!((read, days), (all, 256), "all of it, and each inode once");
    let verified = events(&world).pop();
    assert!(
        matches!(&verified, Some(Event::Verify { snapshots: 3, read_bytes, .. }) if *read_bytes == all),
        "{verified:?}"
    );
}
