//! A disk that is full or breaks, a quota, too many open files: whichever call it is that fails, nothing half counts, nothing is told that is not
//! so, and the next run finishes.

use super::ground::{Ground, Work};
use super::is_possible_or_skipped;
use super::point::{Point, spread};
use crate::rig;

const ERRORS: [&str; 4] = ["ENOSPC", "EIO", "EDQUOT", "EMFILE"];
const WORKS: [Work; 4] = [Work::Receive, Work::Ingest, Work::Prune, Work::Restore];
/// In all, and how many must have hit.
const QUICK: usize = 220;
const LEAST: usize = 200;
const LEAST_LONG: usize = 2000;

/// They fail in ways that the kernel has for them alone, or not at all.
const UNFAILING: &[&str] = &[
    "arch_prctl",
    "brk",
    "close",
    "execve",
    "exit",
    "exit_group",
    "futex",
    "getegid",
    "geteuid",
    "getgid",
    "getpid",
    "gettid",
    "getuid",
    "madvise",
    "munmap",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sched_yield",
    "set_robust_list",
    "set_tid_address",
    "sigaltstack",
];

/// Calls whose failure nobody may pass over.
const SYNCS: [&str; 3] = ["fsync", "fdatasync", "syncfs"];

#[derive(Debug, Default)]
struct Counts {
    injected: usize,
    missed: usize,
    told: usize,
    of_syncs: usize,
    left_behind: usize,
}

#[test]
fn an_error_at_any_call_loses_nothing_and_the_next_run_finishes() {
    const TEST: &str = "an_error_at_any_call_loses_nothing_and_the_next_run_finishes";
    if !is_possible_or_skipped(TEST) {
        return;
    }
    let _turn = rig::turn();
    let ground = Ground::new();
    let mut counts = Counts::default();
    for work in WORKS {
        let mut of_work = Counts::default();
        for (point, error) in chosen(ground.points(work)) {
            inject(&ground, work, &point, error, &mut of_work);
        }
        println!("  {work:?}: {of_work:?}");
        assert!(of_work.injected > 0 && of_work.told < of_work.injected, "{work:?}: {of_work:?}");
        assert!(of_work.of_syncs > 0 || work == Work::Restore, "{work:?}: no sync failed");
        counts.injected += of_work.injected;
    }
    println!("INJECTIONS: {}", counts.injected);
    let least = if std::env::var_os("FIRN_LONG").is_some() { LEAST_LONG } else { LEAST };
    assert!(counts.injected >= least, "only {} of {least}", counts.injected);
}

/// All points with all errors; or of each kind of call as many, with each error in turn.
fn chosen(points: Vec<Point>) -> Vec<(Point, &'static str)> {
    let points: Vec<Point> = points.into_iter().filter(|point| !UNFAILING.contains(&point.call())).collect();
    if std::env::var_os("FIRN_LONG").is_some() {
        return points.iter().flat_map(|point| ERRORS.map(|error| (point.clone(), error))).collect();
    }
    let most = QUICK / WORKS.len();
    let (syncs, others): (Vec<Point>, Vec<Point>) =
        points.into_iter().partition(|point| SYNCS.contains(&point.call()));
    let others: Vec<Point> = spread(&others, most - syncs.len().min(most / 2)).cloned().collect();
    // What a sync says is believed once: each of them fails.
    let syncs = spread(&syncs, most / 2).map(|point| (point.clone(), "EIO")).collect::<Vec<_>>();
    syncs.into_iter().chain(others.into_iter().zip(ERRORS.into_iter().cycle())).collect()
}

fn inject(ground: &Ground, work: Work, point: &Point, error: &str, counts: &mut Counts) {
    let _telling = Telling(work, point, error);
    ground.reset(work);
    let strace = &ground.server.strace;
    let ran = ground.run(work, |command| strace.fail(point, error, command));
    if !strace.text().contains("(INJECTED)") {
        counts.missed += 1;
        return;
    }
    counts.injected += 1;
    counts.told += usize::from(ran.told);
    assert!(!ran.said.contains("firn: bug") && !ran.said.contains("panicked"), "{}", ran.said);
    ground.assert_holds(work, &ran);
    if SYNCS.contains(&point.call()) {
        counts.of_syncs += 1;
        assert!(!ran.told, "a sync failed, and success was told: {}", ran.said);
    }
    counts.left_behind += usize::from(ground.is_unfinished(work));
    ground.converge(work);
}

/// Names the injection if the test ends in panic.
struct Telling<'a>(Work, &'a Point, &'a str);

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this was {} at {:?} of {:?}", self.2, self.1, self.0);
        }
    }
}
