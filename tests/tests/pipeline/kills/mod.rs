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
/// What rots in a history, and what comes of it.
mod rot;
/// What the pushes of these tests hold, and whether a sealed file is a whole one.
mod sample;
/// A server with one host, and what must be true on it.
mod server;
/// Names people know, which lead to what is there.
mod views;
/// What a restore has brought back.
mod whole;
/// A prune, a repair and a restore, killed.
mod work;

use crate::rig;

/// How many faults must have come true: in the usual form of a test, and in the long one.
#[derive(Debug, Clone, Copy)]
struct Least {
    usual: usize,
    long: usize,
}

impl Least {
    fn now(self) -> usize {
        if is_long() { self.long } else { self.usual }
    }
}

/// What is promised of them all; each test holds its own share.
const _: () = {
    let points = [ingest::LEAST, work::PRUNE, work::REPAIR, work::RESTORE];
    let injections = [errors::LEAST; errors::WORKS];
    let (points, injections) = (sum(&points), sum(&injections));
    assert!(points.usual >= 300 && points.long >= 3_000);
    assert!(injections.usual >= 200 && injections.long >= 2_000);
    assert!(power::LEAST.usual >= 60 && power::LEAST.long >= 600);
};

const fn sum(all: &[Least]) -> Least {
    let mut sum = Least { usual: 0, long: 0 };
    let mut place = 0;
    while place < all.len() {
        sum.usual += all[place].usual;
        sum.long += all[place].long;
        place += 1;
    }
    sum
}

fn is_long() -> bool {
    std::env::var_os("FIRN_LONG").is_some()
}

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
    fn tell(&self, verb: &str, least: Least) {
        let least = least.now();
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
