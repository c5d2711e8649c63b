//! A disk that is full or breaks, a quota, too many open files: whichever call it is that fails, nothing half counts, nothing is told that is not
//! so, and the next run finishes.

use super::ground::{Ground, Work};
use super::point::{Point, spread};
use super::{Least, is_long, is_possible_or_skipped, views};
use crate::rig;

const ERRORS: [&str; 4] = ["ENOSPC", "EIO", "EDQUOT", "EMFILE"];
/// Of each work, how many are tried, and how many must have hit.
const QUICK: usize = 56;
const LONG: usize = 600;
pub(super) const LEAST: Least = Least { usual: 50, long: 500 };
/// So many kinds of work.
pub(super) const WORKS: usize = 5;

/// They fail in ways that the kernel has for them alone, or not at all.
const UNFAILING: &[&str] = &[
    "arch_prctl",
    "brk",
    "clock_nanosleep",
    "getppid",
    "getrandom",
    "mmap",
    "mprotect",
    "mremap",
    "prlimit64",
    "rseq",
    "sched_getaffinity",
    "umask",
    "uname",
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

/// What is no promise, and whose failure is a warning and no end: without the list a host sends again what is there; that something was restored, the
/// restored files do not depend on; what is not signed the next run signs; nothing depends on names that people know.
const UNPROMISED: [&str; 4] = [
    "warning: listing the contents of the base of",
    "warning: that this was restored is not noted in the log of",
    ": its log is not signed: ",
    views::WARNING,
];

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
fn an_error_at_any_call_of_a_receiver_seals_nothing_half_and_the_next_session_finishes() {
    const TEST: &str = "an_error_at_any_call_of_a_receiver_seals_nothing_half_and_the_next_session_finishes";
    disturbed(TEST, Work::Receive);
}

#[test]
fn an_error_at_any_call_of_an_ingest_loses_nothing_and_the_next_one_finishes() {
    const TEST: &str = "an_error_at_any_call_of_an_ingest_loses_nothing_and_the_next_one_finishes";
    disturbed(TEST, Work::Ingest);
}

#[test]
fn an_error_at_any_call_of_a_prune_removes_nothing_else_and_the_next_one_finishes() {
    const TEST: &str = "an_error_at_any_call_of_a_prune_removes_nothing_else_and_the_next_one_finishes";
    disturbed(TEST, Work::Prune);
}

#[test]
fn an_error_at_any_call_of_a_repair_loses_nothing_else_and_the_next_one_finishes() {
    const TEST: &str = "an_error_at_any_call_of_a_repair_loses_nothing_else_and_the_next_one_finishes";
    disturbed(TEST, Work::Repair);
}

#[test]
fn an_error_at_any_call_of_a_restore_leaves_no_wrong_file_and_the_next_one_brings_all_back() {
    const TEST: &str =
        "an_error_at_any_call_of_a_restore_leaves_no_wrong_file_and_the_next_one_brings_all_back";
    disturbed(TEST, Work::Restore);
}

fn disturbed(test: &str, work: Work) {
    if !is_possible_or_skipped(test) {
        return;
    }
    let _turn = rig::turn();
    let ground = Ground::new();
    let mut counts = Counts::default();
    for (point, error) in chosen(work, ground.points(work)) {
        inject(&ground, work, &point, error, &mut counts);
    }
    println!("INJECTIONS: {} {}", format!("{work:?}").to_lowercase(), counts.injected);
    println!("  {work:?}: {counts:?}, views were not current {} times", ground.stale.get());
    let least = LEAST.now();
    assert!(counts.injected >= least, "only {} of {least}", counts.injected);
    assert!(counts.told < counts.injected, "no error mattered");
    assert!(counts.of_syncs > counts.unpromised || work == Work::Restore, "no sync failed");
}

/// Points from first to last, with each error in turn; and every sync, which breaks.
fn chosen(work: Work, points: Vec<Point>) -> Vec<(Point, &'static str)> {
    let most = if is_long() { LONG } else { QUICK };
    // A restore asks `getent`, and the `ioctl` that makes its pipes not block cannot fail.
    let asks = if work == Work::Restore { "ioctl" } else { "" };
    let points =
        points.into_iter().filter(|point| !UNFAILING.contains(&point.call()) && point.call() != asks);
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
        let is_promised = !UNPROMISED.iter().any(|warning| ran.said.contains(warning));
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
