//! Whoever is killed, wherever: what counts is whole, and the next run finishes.
//!
//! strace counts each kind of call of each process by itself, so a point is a kind of call and a number: the process that first makes its
//! n-th call of that kind dies instead of making it. Usually some points of each kind are tried; with `FIRN_LONG=1` all are.

/// A call that fails.
mod errors;
/// A server that is put back to one moment, and the work from there.
mod ground;
/// The snapshotter, killed while it ingests.
mod ingest;
/// Where to kill, and whether it happened.
mod point;
/// The power is cut, on file systems of their own.
mod power;
/// push-client and the child that speaks SSH, killed while they push.
mod push;
/// The receiver, killed while it receives.
mod receive;
/// What the pushes of these tests hold, and whether a sealed file is a whole one.
mod sample;
/// A server with one host, and what must be true on it.
mod server;
/// What a restore has brought back.
mod whole;
/// A prune and a restore, killed.
mod work;

use crate::rig;

/// What became of the points of a test.
#[derive(Debug, Default)]
struct Tally {
    /// At which somebody really died.
    hit: usize,
    /// That were not reached this time: how often a program waits or reads differs from run to run.
    missed: usize,
    /// After which something unfinished lay around, for the next run to deal with.
    left_behind: usize,
    /// After which the work was done nevertheless.
    done: usize,
    /// How often the first process died, the one born after it, and so on; a thread counts as one.
    victims: [usize; 4],
}

impl Tally {
    fn count(&mut self, victim: Option<usize>, left_behind: bool, done: bool) {
        let Some(victim) = victim else {
            self.missed += 1;
            return;
        };
        self.hit += 1;
        self.left_behind += usize::from(left_behind);
        self.done += usize::from(done);
        self.victims[victim.min(3)] += 1;
    }

    /// Enough points were hit, and enough of them mattered.
    fn tell(&self, verb: &str, least: usize) {
        println!("POINTS: {verb} {}", self.hit);
        println!("  {verb}: {self:?}");
        assert!(self.hit >= least, "only {} of {least} points were hit: {self:?}", self.hit);
        assert!(self.left_behind > 0, "no kill left anything to repair: {self:?}");
        assert!(self.done < self.hit, "no kill was early enough to matter: {self:?}");
    }
}

/// Whether this machine can run these tests; if not, tells that `test` did not run.
fn is_possible_or_skipped(test: &str) -> bool {
    if !rig::is_root_or_skipped(test) || !rig::has_or_skipped(test, &["strace", "sshd"]) {
        return false;
    }
    let works = point::strace_works();
    if !works {
        rig::skipped(test, "strace may not trace here");
    }
    works
}
