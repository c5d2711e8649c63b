//! A bit flips in the history: who notices, who is asked, and how it comes back.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use pipeline_tests::checker::item::Item;
use pipeline_tests::stock::below;
use pipeline_tests::{Options, Outcome};

use super::world::{ACCEPTED, World, expect, noise};

/// Versions that share the inode.
const VERSIONS: usize = 4;
const NAMES: [&str; 3] = ["var/data", "var/again", "var/linked"];
const DIFFERS: i32 = 29;
const MISSING: i32 = 23;

/// A host with one large content under three names, two of them one inode, and several versions of another file; and what each version was.
fn versions() -> (World, Vec<Vec<Item>>) {
    let world = World::with(&Options::default());
    fs::hard_link(world.source.join("var/data"), world.source.join("var/linked")).unwrap();
    world.write("var/again", &noise(1, 300_000));
    // What was made within two seconds of a push is read again by the next, whatever its state says.
    std::thread::sleep(std::time::Duration::from_secs(3));
    let mut states = Vec::new();
    for version in 0..VERSIONS {
        world.write("etc/motd", format!("version {version}\n").as_bytes());
        expect(world.push_and_ingest(), ACCEPTED);
        states.push(world.now());
    }
    (world, states)
}

fn names(world: &World) -> Vec<String> {
    world.sound().snapshots.iter().map(|snapshot| snapshot.name.clone()).collect()
}

fn in_tree(world: &World, snapshot: &str, path: &str) -> PathBuf {
    let tree = world.scratch.history("web01").join(snapshot).join("tree");
    below(&tree, &world.source).join(path)
}

/// One bit of the inode that all versions share.
fn flip(world: &World, snapshots: &[String]) {
    let path = in_tree(world, &snapshots[1], NAMES[0]);
    assert_eq!(
        fs::metadata(&path).unwrap().nlink(),
        (VERSIONS * NAMES.len()) as u64,
        "one inode has all names"
    );
    let mut bytes = fs::read(&path).unwrap();
    bytes[123_456] ^= 0x10;
    fs::write(&path, bytes).unwrap();
}

fn verify(world: &World, words: &[&str], code: i32) -> Outcome {
    let words = [&["verify"], words].concat();
    expect(Outcome::of(&mut world.scratch.snapshotter(&words)).unwrap(), code)
}

/// Every version and every path, in words and in the report.
fn assert_all_named(world: &World, told: &Outcome, snapshots: &[String], what: &str) {
    let report = told.report().unwrap();
    let defects = report["details"]["defects"].as_array().unwrap();
    assert_eq!(defects.len(), VERSIONS * NAMES.len(), "{}", told.said());
    for snapshot in snapshots {
        for name in NAMES {
            let path = world.source.join(name);
            let path = path.to_str().unwrap().trim_start_matches('/');
            assert!(told.stdout.contains(&format!("web01/{snapshot}: {path} {what}")), "{}", told.said());
            let is_it =
                |one: &&serde_json::Value| one["where"] == format!("web01/{snapshot}") && one["path"] == path;
            assert!(defects.iter().any(|one| is_it(&one)), "{}", told.said());
        }
    }
}

#[test]
fn a_flipped_bit_in_a_shared_inode_is_named_everywhere_and_healed_by_the_next_push_of_an_unchanged_host() {
    let (world, states) = versions();
    let snapshots = names(&world);
    flip(&world, &snapshots);
    let told = verify(&world, &[], DIFFERS);
    assert_all_named(&world, &told, &snapshots, "does not have its hash");

    verify(&world, &["--repair"], DIFFERS);
    assert!(!in_tree(&world, &snapshots[0], NAMES[0]).exists(), "it is out of the trees");
    let told = verify(&world, &[], DIFFERS);
    assert_all_named(&world, &told, &snapshots, "is missing: it has rotted, and is wanted from the host");

    let healing = expect(world.push_and_ingest(), ACCEPTED);
    assert!(healing.count("sent_bytes") > 250_000, "the content, though nothing changed: {}", healing.said());
    assert_eq!(healing.count("changes"), 0, "{}", healing.said());
    verify(&world, &[], ACCEPTED);
    let found = world.newest_is_now(VERSIONS + 1);
    for (snapshot, state) in found.snapshots.iter().zip(&states) {
        world.is(snapshot, state);
    }
    assert_eq!((found.count("rot"), found.count("healed")), (1, 1));
    let inode = |snapshot: &str, name| fs::metadata(in_tree(&world, snapshot, name)).unwrap().ino();
    let first = inode(&snapshots[0], NAMES[0]);
    assert!(
        snapshots.iter().all(|one| NAMES.iter().all(|name| inode(one, name) == first)),
        "one inode again"
    );

    // The oldest version comes back as it was on the host.
    let to = world.scratch.folder.join("back");
    let path = world.source.join("var");
    let words = ["restore", "web01", &snapshots[0], path.to_str().unwrap(), "--to", to.to_str().unwrap()];
    expect(Outcome::of(&mut world.scratch.snapshotter_as_admin(&words)).unwrap(), ACCEPTED);
    for name in NAMES {
        let restored = fs::read(below(&to, &world.source).join(name)).unwrap();
        assert!(restored == fs::read(world.source.join(name)).unwrap(), "{name}");
    }
    // And the next push sends nothing any more.
    let quiet = expect(world.push_and_ingest(), ACCEPTED);
    assert!(quiet.count("sent_bytes") < 10_000, "{}", quiet.said());
}

/// The control: a host that was not told sends nothing, heals nothing, and is not told that it is safe.
#[test]
fn a_host_that_is_not_told_what_is_wanted_heals_nothing() {
    let (world, _) = versions();
    let snapshots = names(&world);
    flip(&world, &snapshots);
    let state = world.host.jail.join("state/base");
    let before = fs::read(&state).unwrap();
    verify(&world, &["--repair"], DIFFERS);
    assert_ne!(fs::read(&state).unwrap(), before, "what is wanted is published");
    // As if the push had begun before.
    fs::write(&state, before).unwrap();
    let push = expect(world.push_and_ingest(), MISSING);
    assert!(push.count("sent_bytes") < 10_000, "{}", push.said());
    verify(&world, &[], DIFFERS);
    assert!(!in_tree(&world, &snapshots[0], NAMES[0]).exists());
    // By then it is told.
    expect(world.push_and_ingest(), ACCEPTED);
    verify(&world, &[], ACCEPTED);
}

#[test]
fn what_is_gone_from_the_host_stays_wanted_and_heals_when_it_is_put_back_anywhere() {
    let (world, _) = versions();
    let snapshots = names(&world);
    flip(&world, &snapshots);
    for name in NAMES {
        fs::remove_file(world.source.join(name)).unwrap();
    }
    verify(&world, &["--repair"], DIFFERS);
    expect(world.push_and_ingest(), ACCEPTED);
    verify(&world, &[], DIFFERS);
    let status = Outcome::of(&mut world.scratch.snapshotter(&["status"])).unwrap();
    assert!(status.stdout.contains("1 contents rotten, wanted from the host"), "{}", status.said());
    // Out of ice, or from wherever it is.
    world.write("tmp/from-ice", &noise(1, 300_000));
    expect(world.push_and_ingest(), ACCEPTED);
    verify(&world, &[], ACCEPTED);
    fs::metadata(in_tree(&world, &snapshots[0], NAMES[0])).unwrap();
}
