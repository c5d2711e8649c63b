//! Many hands at once: the same snapshot, and no fault gets lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use formats::Change;
use formats::session::Code;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::kill::{first_thread_calls, inject, injected, strace, worker_calls, worker_was_disturbed};
use crate::push::Push;
use crate::state::{Item, State, file, inode, path};
use crate::stories::accepted;
use crate::world::World;

/// Enough for many batches; with contents that many files have, hard links, and links.
fn large() -> State {
    let mut state = State::default();
    for folder in 0..40 {
        let name = format!("d{folder:02}");
        state.0.insert(path(&name), Item::Folder);
        for n in 0..40 {
            let content = if n % 8 == 0 { format!("content {n}") } else { format!("{folder} {n}") };
            state.0.insert(path(&format!("{name}/f{n:02}")), file(content));
        }
        state.0.insert(path(&format!("{name}/link")), Item::Symlink(b"f00".to_vec()));
    }
    state.with("d03/first", Item::First(3, b"one inode".to_vec())).with("d07/second", Item::Link("d03/first"))
}

/// Moved, touched, changed, gone and new.
fn changed() -> State {
    let mut state = State::default();
    for (at, item) in large().0 {
        let name = std::str::from_utf8(at.as_bytes()).unwrap();
        match (name, item) {
            ("d05/f05", _) => {}
            ("d06/f06", Item::File(bytes)) => drop(state.0.insert(at, Item::Mode(0o600, bytes))),
            ("d09/f09" | "d10/f09", _) => drop(state.0.insert(at.clone(), file(format!("new {name}")))),
            (name, item) => drop(state.0.insert(path(&name.replace("d11", "moved")), item)),
        }
    }
    state
}

/// Runs something on the first processor alone, if there are more.
fn on_one_processor<T>(run: impl FnOnce() -> T) -> T {
    let all = sched_getaffinity(None).unwrap();
    let first = (0..CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu)).unwrap();
    let mut one = CpuSet::new();
    one.set(first);
    sched_setaffinity(None, &one).unwrap();
    let ran = run();
    sched_setaffinity(None, &all).unwrap();
    ran
}

fn two_snapshots() -> World {
    let world = World::new();
    world.seal(1, &Push::whole(1, &large()).bytes());
    world.seal(2, &Push::delta(2, &large(), &changed()).bytes());
    world.ingest(0);
    world
}

/// Which names of all snapshots are the same inode.
fn shared(world: &World) -> BTreeSet<BTreeSet<String>> {
    let mut groups: BTreeMap<(u64, u64), BTreeSet<String>> = BTreeMap::new();
    for sequence in [1, 2] {
        let tree = world.tree(sequence);
        names(&tree, &mut |file| {
            let name = format!("{sequence}/{}", file.strip_prefix(&tree).unwrap().display());
            groups.entry(inode(file)).or_default().insert(name);
        });
    }
    groups.into_values().collect()
}

fn names(folder: &Path, take: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let place = entry.unwrap().path();
        if place.symlink_metadata().unwrap().is_dir() { names(&place, take) } else { take(&place) }
    }
}

#[test]
fn however_many_work_at_it_the_snapshot_is_the_same() {
    if sched_getaffinity(None).unwrap().count() < 2 {
        println!("SKIPPED: however_many_work_at_it_the_snapshot_is_the_same: one processor");
        return;
    }
    let (alone, together) = (on_one_processor(two_snapshots), two_snapshots());
    for world in [&alone, &together] {
        assert_eq!((world.verdict(1), world.verdict(2)), (accepted(&large()), accepted(&changed())));
        large().assert_tree(&world.tree(1));
        changed().assert_tree(&world.tree(2));
        assert_eq!(world.run(&["verify"]).code, 0);
    }
    let (alone, together) = (shared(&alone), shared(&together));
    assert_eq!(alone, together);
    // All that did not change is one inode; so is what many files have in common.
    let both = alone.iter().filter(|group| group.iter().any(|name| name.starts_with("2/"))).count();
    assert!(alone.iter().any(|group| group.len() == 80) && both < 1_700, "{both}");
}

/// In the order of the manifest: what a worker finds out late still counts before what came after it.
#[test]
fn of_two_faults_the_earlier_is_blamed() {
    let world = World::new();
    world.seal(1, &Push::whole(1, &large()).bytes());
    world.ingest(0);
    fs::remove_file(world.tree(1).join("d00/f01")).unwrap();
    let mut push = Push::delta(2, &large(), &changed());
    push.changes.push(Change::Remove(path("zz, which was never there")));
    world.seal(2, &push.bytes());
    world.run(&["ingest"]);
    world.assert_rejected(2, Code::UnknownBase);
    assert_eq!(world.published().base, None, "the next push is whole");
    // Without the first, the second.
    let world = World::new();
    world.seal(1, &Push::whole(1, &large()).bytes());
    world.seal(2, &push.bytes());
    world.run(&["ingest"]);
    world.assert_rejected(2, Code::MalformedPush);
    assert_eq!(world.published().base, Some(large().summary().root));
}

/// Each kind of call that workers make, and the one that brings to the disk what is there so far.
#[test]
fn an_error_of_one_worker_ends_the_ingest_and_leaves_no_snapshot() {
    let Some(strace) = strace() else {
        println!("SKIPPED: an_error_of_one_worker_ends_the_ingest_and_leaves_no_snapshot: no strace");
        return;
    };
    let long = large().with("long", file(vec![b'l'; 150_000_000]));
    for (call, nth, state) in
        [("linkat", 30, large()), ("pwrite64", 30, large()), ("openat2", 200, large()), ("syncfs", 1, long)]
    {
        let world = World::quick();
        world.seal(1, &Push::whole(1, &state).bytes());
        let output = inject(&world, &strace, &["-f"], call, &format!("error=EIO:when={nth}"));
        assert!(worker_was_disturbed(&world), "{call}: not by a worker");
        // strace counts for each thread: what the first thread would do before the commit fails, too, and must not be what is heard of.
        assert!(call != "syncfs" || first_thread_calls(&world, call) == 0, "{call}: not only by a worker");
        assert_eq!(output.status.code(), Some(4), "{call}: {output:?}");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            told.contains("os error 5"),
            "{call}: what stopped it is told, not that it was stopped: {told}"
        );
        assert!(world.log().snapshots().is_empty() && world.verdict(1).is_none(), "{call}");
        assert_eq!((world.sealed(), world.path("history/web01/.building").exists()), (1, false), "{call}");
        world.ingest(0);
        state.assert_tree(&world.tree(1));
    }
}

/// The claim above proves nothing where all the work is done by the first thread.
#[test]
fn workers_place_the_files() {
    let Some(strace) = strace() else {
        println!("SKIPPED: workers_place_the_files: no strace");
        return;
    };
    let world = World::quick();
    world.seal(1, &Push::whole(1, &large()).bytes());
    let output = inject(&world, &strace, &["-f"], "linkat", "error=EIO:when=9999");
    assert!(output.status.success(), "{output:?}");
    let calls = worker_calls(&world, "linkat");
    let processors = sched_getaffinity(None).unwrap().count();
    assert!(calls.values().sum::<usize>() >= 1_600, "{calls:?}");
    assert!(calls.len() > 1 || processors == 1, "{calls:?}");
}

/// A server that is short of threads for a moment still does its work; without one worker, the push waits.
#[test]
fn a_worker_that_cannot_be_started_is_not_missed_while_there_is_another() {
    let Some(strace) = strace() else {
        println!("SKIPPED: a_worker_that_cannot_be_started_is_not_missed_while_there_is_another: no strace");
        return;
    };
    let size = std::thread::available_parallelism().unwrap().get().min(4);
    let (mut refused, mut well) = (0, 0);
    for nth in 1..50 {
        let world = World::quick();
        world.seal(1, &Push::whole(1, &State::default()).bytes());
        world.ingest(0);
        world.seal(2, &Push::whole(2, &large()).bytes());
        let output = inject(&world, &strace, &["-f"], "clone3", &format!("error=EAGAIN:when={nth}"));
        if !injected(&world) {
            break;
        }
        let told = (output.status.code(), world.log().snapshots().len(), world.sealed(), world.verdict(2));
        let right = if told.0 == Some(0) {
            well += 1;
            (Some(0), 2, 0, accepted(&large()))
        } else {
            refused += 1;
            (Some(4), 1, 1, None)
        };
        assert_eq!(told, right, "{nth}: {output:?}");
    }
    // The one that syncs, and the first of two crews; and all others of the two, which are as large as each other.
    println!("threads: {refused} needed, {well} not");
    assert!(refused >= 3 && well >= 2 * (size - 1), "{refused} {well}");
}
