//! A repair, and a push that heals, killed or met by a broken machine at any system call: what was whole stays whole, and the next run and the next
//! push bring everything in order.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use crate::heal::{NAMES, assert_healed, flip, hash, precious, unchanged, world};
use crate::kill::{command_of, inject_into, injected, strace};
use crate::pruned::copy;
use crate::world::World;

/// Every call that changes or secures something.
const CALLS: &[&str] = &["fsync", "linkat", "mkdirat", "renameat2", "syncfs", "unlinkat", "write"];
/// What is asked between them, in the long form only.
const QUESTIONS: &[&str] = &["flock", "getdents64", "newfstatat", "openat2", "read"];
const SNAPSHOTS: u8 = 3;

#[derive(Debug, Default)]
struct Counts {
    points: u32,
    noted: u32,
    open: u32,
}

/// What has not rotted is there, and what has is wanted once it is gone.
fn assert_nothing_lost(world: &World, at: &str) {
    let is_noted = world.log().rotten().contains_key(&hash());
    for n in 1..=SNAPSHOTS {
        let tree = world.tree(n.into());
        assert_eq!(fs::read(tree.join("own")).unwrap(), vec![n; 5_000], "{at}");
        for name in NAMES {
            match fs::read(tree.join(name)) {
                Ok(bytes) if bytes == precious() => {}
                Ok(bytes) => assert_eq!(bytes.len(), precious().len(), "{at}"),
                Err(_) => assert!(is_noted, "{at}: a name is gone, and the log does not say why"),
            }
        }
    }
}

fn disturb(template: &World, call: &str, how: &str, run: &dyn Fn(&World, &str) -> bool, counts: &mut Counts) {
    for n in 1..1_000 {
        let world = copy(template);
        let at = format!("{call} {n} {how}");
        if !run(&world, &format!("{how}:when={n}")) {
            return;
        }
        counts.points += 1;
        counts.noted += u32::from(world.log().rotten().contains_key(&hash()));
        assert_nothing_lost(&world, &at);
        let ended = world.run(&["verify", "--repair"]);
        assert!([0, 29].contains(&ended.code) && !ended.err.contains("firn: bug"), "{at}: {ended:?}");
        counts.open += u32::from(!world.published().wanted.is_empty());
        world.seal(9, &unchanged(9, SNAPSHOTS).bytes());
        let ended = world.ingest(0);
        assert!(world.verdict(9).is_some(), "{at}: {ended:?}");
        assert_healed(&world, SNAPSHOTS.into(), &at);
    }
    panic!("{call} never ends");
}

fn repair(world: &World, strace: &Path, call: &str, how: &str) -> bool {
    let list = world.path("list");
    fs::write(&list, format!("{}\n", hash())).unwrap();
    let mut command = command_of(world, strace, &[], call, how, &["heal-host", "web01"]);
    let output = command.stdin(Stdio::from(File::open(list).unwrap())).output().unwrap();
    let is_hit = if how.starts_with("signal") { !output.status.success() } else { injected(world) };
    assert!(is_hit || output.status.success(), "{output:?}");
    is_hit
}

fn heal(world: &World, strace: &Path, call: &str, how: &str) -> bool {
    let output = inject_into(world, strace, &[], call, how, &["ingest-host", "web01"]);
    if how.starts_with("signal") { !output.status.success() } else { injected(world) }
}

#[test]
fn a_repair_disturbed_at_any_system_call_is_finished_by_the_next() {
    let Some(strace) = strace() else {
        println!("SKIPPED: a_repair_disturbed_at_any_system_call_is_finished_by_the_next: no strace");
        return;
    };
    let template = world(SNAPSHOTS);
    flip(&template, 1, "copy");
    let mut counts = Counts::default();
    let questions = if std::env::var_os("FIRN_LONG").is_some() { QUESTIONS } else { &[] };
    for how in ["signal=KILL", "error=EIO"] {
        for call in CALLS.iter().chain(questions) {
            disturb(&template, call, how, &|world, how| repair(world, &strace, call, how), &mut counts);
        }
    }
    println!("points of a repair: {counts:?}");
    assert!(counts.points >= 40 && counts.noted >= 20 && counts.open >= 20, "{counts:?}");
}

#[test]
fn a_push_that_heals_disturbed_at_any_system_call_heals_all_the_same() {
    let Some(strace) = strace() else {
        println!("SKIPPED: a_push_that_heals_disturbed_at_any_system_call_heals_all_the_same: no strace");
        return;
    };
    let template = world(SNAPSHOTS);
    flip(&template, 1, "copy");
    assert_eq!(template.run(&["verify", "--repair"]).code, 29);
    template.seal(8, &unchanged(8, SNAPSHOTS).bytes());
    let mut counts = Counts::default();
    for call in CALLS.iter().filter(|call| **call != "mkdirat") {
        let how = "signal=KILL";
        disturb(&template, call, how, &|world, how| heal(world, &strace, call, how), &mut counts);
    }
    println!("points of a push that heals: {counts:?}");
    assert!(counts.points >= 60 && counts.noted >= 20, "{counts:?}");
}
