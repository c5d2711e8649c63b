//! How much memory a hostile push can make an ingest use, and whoever reads its snapshot.

use std::path::Path;
use std::process::Command;

use formats::change::Change;
use formats::entry::{Body, Entry, Kind};

use crate::push::Push;
use crate::state::{Item, State, file, path, summary};
use crate::stories::accepted;
use crate::world::{PROGRAM, World};

/// Above what an ingest of this many short names needs, and below that and all the names.
const MEMORY_KIB: u32 = 100_000;
const NAMES: usize = 30_000;

/// A folder with a path of 3,700 bytes, and those above it.
fn deep(digit: &str) -> (String, State) {
    let mut folder = digit.repeat(250);
    let mut folders = vec![folder.clone()];
    while folder.len() < 3_700 {
        folder = format!("{folder}/{}", digit.repeat(250));
        folders.push(folder.clone());
    }
    (folder, State(folders.iter().map(|folder| (path(folder), Item::Folder)).collect()))
}

/// First members of hard-link groups, with names that are about as long as names can be.
fn long_names() -> Vec<Entry> {
    let (folder, folders) = deep("d");
    let mut entries = folders.entries();
    let [mut first] = State::of([("fifo", Item::Fifo)]).entries().try_into().unwrap();
    let Body::Node(node) = &mut first.body else { panic!("a fifo is a node") };
    assert!(matches!(node.kind, Kind::Fifo));
    node.meta.links = 2;
    entries.extend(
        (0..NAMES).map(|n| Entry { path: path(&format!("{folder}/{n:06}")), body: first.body.clone() }),
    );
    entries
}

/// Many small files in such a folder.
fn long_files(digit: &str) -> State {
    let (folder, mut state) = deep(digit);
    state.0.extend((0..NAMES).map(|n| (path(&format!("{folder}/{n:06}")), file(n.to_string()))));
    state
}

/// Runs the program with so little memory, and expects it to do well.
fn with_little_memory(world: &World, verb: &str) {
    let limited = format!("ulimit -d {MEMORY_KIB} && exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &limited, PROGRAM, "--config"]).arg(&world.config).arg(verb).current_dir("/");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// What is remembered of each is small: the list of files is checked, the tree built and verified, with less memory than the names alone would take.
#[test]
fn names_of_hard_links_take_little_memory_however_long_they_are() {
    let entries = long_names();
    assert!(NAMES * 3_700 > MEMORY_KIB as usize * 1_024);
    let sum = summary(&entries);
    let mut push = Push::whole(1, &State::default());
    (push.root, push.entries) = (sum.root, sum.entries);
    push.changes = entries.into_iter().map(Change::Put).collect();
    let world = World::quick();
    world.seal(1, &push.bytes());
    with_little_memory(&world, "ingest");
    assert_eq!(world.log().snapshots().len(), 1);
    with_little_memory(&world, "verify");
}

#[test]
fn targets_of_hard_linked_symbolic_links_take_little_memory_however_long_they_are() {
    const TARGET_BYTES: usize = 3_900;
    assert!(NAMES * TARGET_BYTES > MEMORY_KIB as usize * 1_024);
    let target = |n: usize| format!("{n:06}{}", "t".repeat(TARGET_BYTES)).into_bytes();
    let links = (0..NAMES).map(|n| (path(&format!("{n:06}")), Item::FirstSymlink(2, target(n))));
    let world = World::quick();
    world.seal(1, &Push::whole(1, &State(links.collect())).bytes());
    with_little_memory(&world, "ingest");
    with_little_memory(&world, "verify");
}

/// Every file has moved, and where it was is found again with less memory than those paths would take.
#[test]
fn contents_that_moved_take_little_memory_however_long_their_paths_are() {
    let (before, after) = (long_files("a"), long_files("b"));
    let world = World::quick();
    world.seal(1, &Push::whole(1, &before).bytes());
    world.ingest(0);
    let push = Push::delta(2, &before, &after);
    assert!(push.contents.is_empty());
    world.seal(2, &push.bytes());
    with_little_memory(&world, "ingest");
    assert_eq!(world.verdict(2), accepted(&after));
    let name = path(&format!("{}/000777", deep("b").0)).to_string();
    assert_eq!(std::fs::read(world.tree(2).join(name)).unwrap(), b"777");
    with_little_memory(&world, "verify");
}

/// More groups of hard links than can be remembered with so little memory.
const GROUPS: usize = 1_500_000;
const LEAST_BYTES: u64 = 64 << 20;

#[test]
fn an_ingest_that_needs_too_much_memory_ends_and_is_nobody_elses_fault() {
    let world = World::at(Path::new("/dev/shm"), &format!("ingest_memory_bytes = {LEAST_BYTES}\n"));
    world.add("db1");
    let [mut first] = State::of([("fifo", Item::Fifo)]).entries().try_into().unwrap();
    let Body::Node(node) = &mut first.body else { panic!("a fifo is a node") };
    node.meta.links = 2;
    let entry = |n: usize| Entry { path: path(&format!("{n:07}")), body: first.body.clone() };
    let entries: Vec<_> = (0..GROUPS).map(entry).collect();
    let sum = summary(&entries);
    let mut push = Push::whole(1, &State::default());
    (push.root, push.entries) = (sum.root, sum.entries);
    push.changes = entries.into_iter().map(Change::Put).collect();
    world.seal(1, &push.bytes());
    let small = State::of([("small", file("small"))]);
    let mut other = Push::whole(2, &small);
    other.header.host = formats::HostId::parse("db1").unwrap();
    world.seal_for("db1", 1, &other.bytes());
    let ended = world.run(&["ingest"]);
    assert_eq!(ended.code, 134, "{ended:?}");
    assert!(ended.err.contains("web01") && ended.err.contains("limits.ingest_memory_bytes"), "{ended:?}");
    assert_eq!((world.sealed(), world.log_of("db1").snapshots().len()), (1, 1), "{ended:?}");
    let text = std::fs::read_to_string(&world.config).unwrap().replace("ingest_memory_bytes", "#");
    std::fs::write(&world.config, text).unwrap();
    world.ingest(0);
    assert_eq!((world.sealed(), world.log().snapshots().len()), (0, 1));
}

#[test]
fn so_little_memory_that_nothing_could_be_judged_is_no_setting() {
    let world = World::limited(&format!("ingest_memory_bytes = {}\n", LEAST_BYTES - 1));
    let ended = world.run(&["ingest"]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("limits.ingest_memory_bytes"), "{ended:?}");
}
