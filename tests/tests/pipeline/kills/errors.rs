//! A disk that is full or breaks, a quota, too many open files: whichever call it is that fails, nothing half counts, nothing is told that is not
//! so, and the next run finishes.

use super::ground::{Ground, Work};
use super::is_possible_or_skipped;
use super::point::{Point, spread};
use crate::rig;

const ERRORS: [&str; 4] = ["ENOSPC", "EIO", "EDQUOT", "EMFILE"];
const WORKS: [Work; 4] = [Work::Receive, Work::Ingest, Work::Prune, Work::Restore];
/// Of each work, how many are tried, and in all, how many must have hit.
const QUICK: usize = 56;
const LONG: usize = 700;
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

/// The one file that is no promise: without it a host sends again what is there. Its failure is a warning, not an end.
const UNPROMISED: &str = "warning: listing the contents of the base of";

#[derive(Debug, Default)]
struct Counts {
    injected: usize,
    missed: usize,
    told: usize,
    of_syncs: usize,
    /// Of these, of what is no promise.
    unpromised: usize,
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
        assert!(of_work.of_syncs > of_work.unpromised || work == Work::Restore, "{work:?}: no sync failed");
        counts.injected += of_work.injected;
    }
    println!("INJECTIONS: {}", counts.injected);
    let least = if is_long() { LEAST_LONG } else { LEAST };
    assert!(counts.injected >= least, "only {} of {least}", counts.injected);
}

/// Points from first to last, with each error in turn; and every sync, which breaks.
fn chosen(points: Vec<Point>) -> Vec<(Point, &'static str)> {
    let most = if is_long() { LONG } else { QUICK };
    let points = points.into_iter().filter(|point| !UNFAILING.contains(&point.call()));
    let (syncs, others): (Vec<Point>, Vec<Point>) = points.partition(|point| SYNCS.contains(&point.call()));
    let syncs: Vec<_> = spread(&syncs, most / 2).map(|point| (point.clone(), "EIO")).collect();
    let left = most - syncs.len();
    let others: Vec<_> = if others.len() < left {
        let product = others.iter().flat_map(|point| ERRORS.map(|error| (point.clone(), error)));
        let product: Vec<_> = product.collect();
        spread(&product, left).cloned().collect()
    } else {
        spread(&others, left).cloned().zip(ERRORS.into_iter().cycle()).collect()
    };
    syncs.into_iter().chain(others).collect()
}

fn is_long() -> bool {
    std::env::var_os("FIRN_LONG").is_some()
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
        let is_promised = !ran.said.contains(UNPROMISED);
        counts.unpromised += usize::from(!is_promised);
        assert!(!ran.told || !is_promised, "a sync failed, and success was told: {}", ran.said);
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
