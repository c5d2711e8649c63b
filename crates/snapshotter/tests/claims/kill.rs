//! Killed at every system call, of the whole family of processes, the next run brings everything in order.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use formats::published::Verdict;
use rustix::io::{FdFlags, fcntl_setfd};

use crate::push::Push;
use crate::state::{State, file};
use crate::stories::first;
use crate::world::{NOBODY, PROGRAM, World, is_root};

/// Every call that changes or secures something, and the reads and waits between them. Memory calls leave no other state behind.
const CALLS: &[&str] = &[
    "clone3",
    "close",
    "execve",
    "flock",
    "fstatfs",
    "fsync",
    "ftruncate",
    "getdents64",
    "landlock_restrict_self",
    "linkat",
    "lseek",
    "mkdirat",
    "newfstatat",
    "openat2",
    "pipe2",
    "poll",
    "ppoll",
    "prctl",
    "pwrite64",
    "read",
    "renameat2",
    "seccomp",
    "symlinkat",
    "syncfs",
    "unlinkat",
    "vfork",
    "wait4",
    "waitid",
    "write",
];

pub(crate) fn strace() -> Option<PathBuf> {
    let path = PathBuf::from("/usr/bin/strace");
    path.exists().then_some(path)
}

/// With a content that spans several blocks: a decoder that dies in its midst leaves it open. And with some that are left to workers.
fn second() -> State {
    let more = (0..8).fold(first(), |state, n| state.with(&format!("etc/new{n}"), file(format!("new {n}"))));
    more.with("etc/big", file(vec![b'n'; 2_100_000])).without("etc-")
}

/// A world with one snapshot and one queued push.
fn world() -> World {
    let world = World::quick();
    world.seal(1, &Push::whole(1, &first()).bytes());
    world.ingest(0);
    let second = second();
    world.seal(2, &Push::delta(2, &first(), &second).bytes());
    world
}

/// strace counts each kind of call of each thread by itself, so every kind has a loop of its own: the first thread of the confined process alone, and
/// then with its workers and its decoder, where whichever comes first dies.
#[test]
fn killed_at_every_system_call_the_next_run_repairs() {
    let Some(strace) = strace() else {
        println!("SKIPPED: killed_at_every_system_call_the_next_run_repairs: no strace");
        return;
    };
    for follow in [&[][..], &["-f"]] {
        let mut counts = Counts::default();
        for call in CALLS {
            kill_at_every(call, &strace, follow, &mut counts);
        }
        println!("kill points {follow:?}: {counts:?}");
        let Counts { points, of_workers, left_behind, committed } = counts;
        assert!(points >= 150 && left_behind >= 50 && committed >= 10);
        assert!(of_workers >= 10 || follow.is_empty(), "{of_workers}");
    }
}

/// A push must never be rejected because a disk is full or breaks, and never be accepted without being whole.
#[test]
fn an_error_of_this_machine_at_any_call_is_never_the_pushs_fault() {
    let Some(strace) = strace() else {
        println!("SKIPPED: an_error_of_this_machine_at_any_call_is_never_the_pushs_fault: no strace");
        return;
    };
    let mut counts = Counts::default();
    let calls = [
        "flock",
        "fstatfs",
        "fsync",
        "ftruncate",
        "getdents64",
        "linkat",
        "mkdirat",
        "newfstatat",
        "openat2",
        "pipe2",
        "poll",
        "pwrite64",
        "read",
        "renameat2",
        "symlinkat",
        "syncfs",
        "unlinkat",
        "wait4",
        "write",
    ];
    for call in calls {
        for error in ["EIO", "ENOSPC"] {
            break_at_every(call, error, &strace, &mut counts);
        }
    }
    println!("error points: {counts:?}");
    assert!(counts.points >= 300 && counts.of_workers >= 20);
}

fn break_at_every(call: &str, error: &str, strace: &Path, counts: &mut Counts) {
    for n in 1..1_000 {
        let world = world();
        let output = inject(&world, strace, &["-f"], call, &format!("error={error}:when={n}"));
        let code = output.status.code();
        if !injected(&world) {
            assert!(code == Some(0) && world.sealed() == 0, "{output:?}");
            return;
        }
        counts.points += 1;
        counts.of_workers += u32::from(worker_was_disturbed(&world));
        let committed = world.log().snapshots().len() == 2;
        counts.committed += u32::from(committed);
        assert!(committed || code != Some(0), "a push waits and nobody is told: {call} {n} {error}");
        assert!(
            world
                .log()
                .answered()
                .iter()
                .all(|answered| matches!(answered.verdict, Verdict::Accepted { .. })),
            "{call} {n} {error}"
        );
        assert!(
            !String::from_utf8_lossy(&output.stderr).contains("firn: bug"),
            "{call} {n} {error}: {output:?}"
        );
        assert_repaired(&world, &format!("{error} at {call} {n}"));
    }
    panic!("it never ends");
}

#[derive(Debug, Default)]
struct Counts {
    points: u32,
    of_workers: u32,
    left_behind: u32,
    committed: u32,
}

fn kill_at_every(call: &str, strace: &Path, follow: &[&str], counts: &mut Counts) {
    let second = second();
    for n in 1..1_000_usize {
        let world = world();
        let output = inject(&world, strace, follow, call, &format!("signal=KILL:when={n}"));
        if output.status.success() && world.sealed() == 0 {
            return;
        }
        counts.points += 1;
        let of_worker = !follow.is_empty() && worker_calls(&world, call).values().any(|calls| *calls >= n);
        counts.of_workers += u32::from(of_worker);
        // Whatever the kill left, what the log names is whole at this very moment.
        for (place, snapshot) in world.log().snapshots().iter().enumerate() {
            let state = if snapshot.sequence == 1 { first() } else { second.clone() };
            state.assert_tree(&world.tree(place + 1));
        }
        counts.left_behind += u32::from(world.path("history/web01/.building").exists());
        counts.committed += u32::from(world.log().snapshots().len() == 2);
        assert_repaired(&world, &format!("killed at {call} {n}"));
    }
    panic!("it never ends");
}

/// Runs the confined process under strace, with one kind of call disturbed.
pub(crate) fn inject(world: &World, strace: &Path, follow: &[&str], call: &str, how: &str) -> Output {
    inject_into(world, strace, follow, call, how, &["ingest-host", "web01"])
}

/// As [`inject`], for another verb.
pub(crate) fn inject_into(
    world: &World,
    strace: &Path,
    follow: &[&str],
    call: &str,
    how: &str,
    words: &[&str],
) -> Output {
    command_of(world, strace, follow, call, how, words).output().unwrap()
}

/// The command of [`inject_into`].
pub(crate) fn command_of(
    world: &World,
    strace: &Path,
    follow: &[&str],
    call: &str,
    how: &str,
    words: &[&str],
) -> Command {
    let trace = world.path("trace");
    let mut command = Command::new(strace);
    command.args(follow).args(["-qq", "-o"]).arg(&trace).args(["-e", &format!("trace={call},execve")]);
    command.args(["-e", &format!("inject={call}:{how}")]);
    command.arg(open_program()).arg("--config").arg(&world.config).args(words).current_dir("/");
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// The program as an open descriptor that children inherit: nobody may not reach its path.
fn open_program() -> String {
    static PROGRAM_FILE: LazyLock<File> = LazyLock::new(|| {
        let file = File::open(PROGRAM).unwrap();
        fcntl_setfd(&file, FdFlags::empty()).unwrap();
        file
    });
    format!("/proc/self/fd/{}", PROGRAM_FILE.as_raw_fd())
}

pub(crate) fn injected(world: &World) -> bool {
    trace(world).contains("(INJECTED)")
}

fn trace(world: &World) -> String {
    std::fs::read_to_string(world.path("trace")).unwrap()
}

/// What each worker did, in a trace that followed it: how often it made this call. A worker is who calls and was never a program of its own.
pub(crate) fn worker_calls(world: &World, call: &str) -> BTreeMap<String, usize> {
    let trace = trace(world);
    let lines: Vec<_> = trace.lines().filter_map(|line| line.split_once(' ')).collect();
    let main: BTreeSet<_> = of_call(&lines, "execve").collect();
    let mut calls = BTreeMap::new();
    for worker in of_call(&lines, call).filter(|id| !main.contains(id)) {
        *calls.entry(worker.to_owned()).or_default() += 1;
    }
    calls
}

/// How often a first thread, which was a program of its own once, made this call.
pub(crate) fn first_thread_calls(world: &World, call: &str) -> usize {
    let trace = trace(world);
    let lines: Vec<_> = trace.lines().filter_map(|line| line.split_once(' ')).collect();
    let main: BTreeSet<_> = of_call(&lines, "execve").collect();
    of_call(&lines, call).filter(|id| main.contains(id)).count()
}

fn of_call<'a>(lines: &[(&'a str, &'a str)], call: &str) -> impl Iterator<Item = &'a str> {
    lines.iter().filter(move |(_, did)| did.trim_start().starts_with(&format!("{call}("))).map(|(id, _)| *id)
}

/// What was injected was injected into a worker.
pub(crate) fn worker_was_disturbed(world: &World) -> bool {
    let trace = trace(world);
    let lines: Vec<_> = trace.lines().filter_map(|line| line.split_once(' ')).collect();
    let main: BTreeSet<_> = of_call(&lines, "execve").collect();
    lines.iter().any(|(id, did)| did.contains("(INJECTED)") && !main.contains(id))
}

/// One more run, and everything is as if nothing had happened.
fn assert_repaired(world: &World, after: &str) {
    let second = second();
    world.ingest(0);
    assert_eq!(world.log().snapshots().len(), 2, "{after}");
    second.assert_tree(&world.tree(2));
    assert_eq!(world.sealed(), 0, "{after}");
    assert_eq!(world.published().base, Some(second.summary().root), "{after}");
    assert!(!world.path("history/web01/.building").exists(), "{after}");
    assert!(world.verdict(2).is_some(), "{after}");
    let verified = world.run(&["verify"]);
    assert_eq!(verified.code, 0, "{after}: {verified:?}");
}
