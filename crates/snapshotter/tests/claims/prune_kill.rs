//! A prune that is killed, or meets a broken machine, at any system call: what the log names is whole at once, and the next run brings everything
//! in order.

use std::path::Path;

use crate::kill::{inject_into, injected, strace, worker_calls, worker_was_disturbed};
use crate::pruned::{NOTHING, assert_whole, copy, planned, sequences, state};
use crate::push::Push;
use crate::world::World;

const CALLS: &[&str] = &[
    "close",
    "flock",
    "fsync",
    "ftruncate",
    "getdents64",
    "mkdirat",
    "newfstatat",
    "openat2",
    "pwrite64",
    "read",
    "renameat2",
    "unlinkat",
    "write",
];
/// Three of five go.
const LEFT: [u64; 2] = [4, 5];

fn template() -> World {
    planned(5, &format!("{NOTHING}keep_min = 2\n"))
}

#[derive(Debug, Default)]
struct Counts {
    points: u32,
    of_workers: u32,
    half_way: u32,
}

/// strace counts each kind of call of each thread by itself: whichever comes first is disturbed, also of those that empty the trash together.
fn disturb(template: &World, strace: &Path, call: &str, how: &str, counts: &mut Counts) -> bool {
    for n in 1..1_000_usize {
        let world = copy(template);
        let at = format!("{call} {n} {how}");
        let words = ["prune-host", "web01", "execute"];
        let output = inject_into(&world, strace, &["-f"], call, &format!("{how}:when={n}"), &words);
        // Who is killed leaves no note in the trace.
        let is_kill = how.starts_with("signal");
        let is_hit = if is_kill { !output.status.success() } else { injected(&world) };
        if !is_hit {
            assert!(output.status.success(), "{at}: {output:?}");
            assert_eq!(sequences(&world), LEFT, "{at}");
            return true;
        }
        counts.points += 1;
        let of_worker = match is_kill {
            true => worker_calls(&world, call).values().any(|calls| *calls >= n),
            false => worker_was_disturbed(&world),
        };
        counts.of_workers += u32::from(of_worker);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("firn: bug"), "{at}: {output:?}");
        let left = sequences(&world);
        assert!(left.ends_with(&LEFT), "{at}: {left:?}");
        assert_whole(&world);
        counts.half_way += u32::from(left.len() < 5 && !is_done(&world));
        if output.status.success() {
            assert_eq!(left, LEFT, "{at}");
        }
        assert_repaired(&world, &at);
    }
    false
}

fn is_done(world: &World) -> bool {
    let is_empty =
        |folder: &str| std::fs::read_dir(world.path(folder)).is_ok_and(|mut names| names.next().is_none());
    let manifests = std::fs::read_dir(world.path("history/web01/manifests")).unwrap().count();
    is_empty("history/web01/.trash") && manifests == sequences(world).len()
}

fn assert_repaired(world: &World, after: &str) {
    let ended = world.run(&["prune", "--execute"]);
    assert_eq!(ended.code, 0, "{after}: {ended:?}");
    assert_eq!(sequences(world), LEFT, "{after}");
    assert!(is_done(world), "{after}");
    assert_whole(world);
    world.seal(6, &Push::delta(6, &state(5), &state(6)).bytes());
    world.ingest(0);
    let verified = world.run(&["verify"]);
    assert_eq!(verified.code, 0, "{after}: {verified:?}");
}

#[test]
fn a_prune_killed_at_every_system_call_is_finished_by_the_next() {
    let Some(strace) = strace() else {
        println!("SKIPPED: a_prune_killed_at_every_system_call_is_finished_by_the_next: no strace");
        return;
    };
    let template = template();
    let mut counts = Counts::default();
    for call in CALLS {
        assert!(disturb(&template, &strace, call, "signal=KILL", &mut counts), "{call} never ends");
    }
    println!("kill points of a prune: {counts:?}");
    assert!(counts.points >= 150 && counts.of_workers > 0 && counts.half_way >= 40, "{counts:?}");
}

#[test]
fn an_error_of_this_machine_at_any_call_of_a_prune_loses_nothing() {
    let Some(strace) = strace() else {
        println!("SKIPPED: an_error_of_this_machine_at_any_call_of_a_prune_loses_nothing: no strace");
        return;
    };
    let template = template();
    let mut counts = Counts::default();
    for call in CALLS.iter().filter(|call| **call != "close") {
        assert!(disturb(&template, &strace, call, "error=EIO", &mut counts), "{call} never ends");
    }
    for call in ["fsync", "mkdirat", "pwrite64", "renameat2", "write", "openat2"] {
        assert!(disturb(&template, &strace, call, "error=ENOSPC", &mut counts), "{call} never ends");
    }
    println!("error points of a prune: {counts:?}");
    assert!(counts.points >= 150 && counts.of_workers > 0 && counts.half_way >= 30, "{counts:?}");
}
