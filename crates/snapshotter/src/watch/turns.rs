//! Whose turn it is: one push of each host after another, so that no host waits for all of another's; a host that failed waits for a sweep, or for many.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use formats::HostId;

/// Most sweeps that a host is passed over after failing again and again.
const SWEEPS_MAX: u32 = 16;
/// Most processes that are started for one host between two sweeps: more than it can push by itself, and few enough for one that only wants to keep the
/// server busy.
pub(crate) const STARTS_MAX: u32 = 100;

/// The next to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Something was seen in its folder.
    Sealed(HostId),
    /// The first look of this process.
    First(HostId),
}

/// What came of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    /// Nothing waits any more.
    Nothing,
    /// A push was judged, and another waits.
    More,
    /// Something waited that is no push: the host is looked at again after the next sweep.
    Stuck,
    /// Its process failed.
    Failed,
}

/// Whether a host may have another turn before the next sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// It may.
    Usual,
    /// This is its last.
    Last,
}

/// The hosts that are due, in order, and those that are held back.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    sealed: VecDeque<HostId>,
    queued: HashSet<HostId>,
    first: BTreeSet<HostId>,
    held: HashMap<HostId, Held>,
    /// Processes that were started since the last sweep.
    starts: HashMap<HostId, u32>,
}

#[derive(Debug)]
struct Held {
    /// Sweeps until it may have a turn.
    sweeps: u32,
    /// How often it has failed in a row.
    failures: u32,
}

impl Turn {
    /// Whose.
    pub(crate) fn host(&self) -> &HostId {
        match self {
            Turn::Sealed(host) | Turn::First(host) => host,
        }
    }
}

impl Turns {
    /// All of these have a first turn, after those of whom something is known to wait.
    pub(crate) fn begin(&mut self, hosts: impl Iterator<Item = HostId>) {
        self.first.extend(hosts);
    }

    /// Something was seen in the folder of `host`. Seen twice it is one turn; a host that is held back gets none.
    pub(crate) fn sealed(&mut self, host: &HostId) {
        let is_held = self.held.get(host).is_some_and(|held| held.sweeps > 0);
        if !is_held && self.queued.insert(host.clone()) {
            self.sealed.push_back(host.clone());
        }
    }

    /// A sweep begins: what it finds may have its turn.
    pub(crate) fn sweep(&mut self) {
        for held in self.held.values_mut() {
            held.sweeps = held.sweeps.saturating_sub(1);
        }
        self.held.retain(|_, held| held.sweeps > 0 || held.failures > 0);
        self.starts.clear();
    }

    /// The next, if any is due.
    pub(crate) fn next(&mut self) -> Option<Turn> {
        if let Some(host) = self.sealed.pop_front() {
            self.queued.remove(&host);
            return Some(Turn::Sealed(host));
        }
        self.first.pop_first().map(Turn::First)
    }

    /// A process is started for `host`.
    pub(crate) fn begun(&mut self, host: &HostId) -> Pace {
        let starts = self.starts.entry(host.clone()).or_default();
        *starts = starts.saturating_add(1);
        if *starts < STARTS_MAX { Pace::Usual } else { Pace::Last }
    }

    /// A turn is over.
    pub(crate) fn done(&mut self, host: &HostId, came: Came) {
        let is_spent = self.starts.get(host).is_some_and(|starts| *starts >= STARTS_MAX);
        match came {
            Came::Nothing | Came::More if is_spent => self.hold_for_one(host),
            Came::Nothing => drop(self.held.remove(host)),
            Came::More => {
                self.held.remove(host);
                self.sealed(host);
            }
            Came::Stuck => self.hold_for_one(host),
            Came::Failed => {
                let sweeps = self.sweeps_after_failure(host);
                let failures = self.failures(host).saturating_add(1);
                self.held.insert(host.clone(), Held { sweeps, failures });
            }
        }
        if self.held.contains_key(host) && self.queued.remove(host) {
            self.sealed.retain(|queued| queued != host);
        }
    }

    fn hold_for_one(&mut self, host: &HostId) {
        self.held.insert(host.clone(), Held { sweeps: 1, failures: 0 });
    }

    /// For how many sweeps `host` will be held back if it fails now.
    pub(crate) fn sweeps_after_failure(&self, host: &HostId) -> u32 {
        1_u32.checked_shl(self.failures(host)).unwrap_or(SWEEPS_MAX).min(SWEEPS_MAX)
    }

    fn failures(&self, host: &HostId) -> u32 {
        self.held.get(host).map_or(0, |held| held.failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> HostId {
        HostId::parse(name).unwrap()
    }

    fn sealed(name: &str) -> Option<Turn> {
        Some(Turn::Sealed(host(name)))
    }

    #[test]
    fn a_host_with_many_pushes_waits_for_the_others_between_two_of_its_own() {
        let mut turns = Turns::default();
        for name in ["flood", "web01", "db1"] {
            turns.sealed(&host(name));
        }
        let mut order = Vec::new();
        while let Some(turn) = turns.next() {
            let came =
                if *turn.host() == host("flood") && order.len() < 9 { Came::More } else { Came::Nothing };
            order.push(turn.host().to_string());
            turns.sealed(&host("flood"));
            if order.len() > 12 {
                break;
            }
            turns.done(turn.host(), came);
        }
        assert_eq!(order.get(..4).unwrap(), ["flood", "web01", "db1", "flood"]);
    }

    #[test]
    fn a_host_that_fails_again_and_again_is_tried_after_more_and_more_sweeps_whatever_it_seals() {
        let mut turns = Turns::default();
        let bad = host("bad");
        let mut waited = Vec::new();
        turns.sealed(&bad);
        for _ in 0..7 {
            assert_eq!(turns.next(), sealed("bad"));
            turns.done(&bad, Came::Failed);
            let mut sweeps = 0;
            loop {
                turns.sealed(&bad);
                if !turns.sealed.is_empty() {
                    break;
                }
                turns.sweep();
                sweeps += 1;
            }
            waited.push(sweeps);
        }
        assert_eq!(waited, [1, 2, 4, 8, 16, 16, 16]);
        assert_eq!(turns.next(), sealed("bad"));
        turns.done(&bad, Came::Nothing);
        assert_eq!(turns.sweeps_after_failure(&bad), 1, "what went well is forgotten");
    }

    #[test]
    fn what_is_no_push_is_looked_at_once_a_sweep() {
        let mut turns = Turns::default();
        let odd = host("odd");
        turns.sealed(&odd);
        turns.next();
        turns.done(&odd, Came::Stuck);
        turns.sealed(&odd);
        assert_eq!(turns.next(), None);
        turns.sweep();
        turns.sealed(&odd);
        assert_eq!(turns.next(), sealed("odd"));
    }

    #[test]
    fn whatever_a_host_seals_only_so_many_processes_are_started_for_it_between_two_sweeps() {
        let mut turns = Turns::default();
        let (busy, other) = (host("busy"), host("other"));
        for sweep in 1..=3 {
            turns.sweep();
            let mut starts = 0;
            for step in 0..10 * STARTS_MAX {
                turns.sealed(&busy);
                let Some(turn) = turns.next() else { break };
                let last = turns.begun(turn.host());
                starts += 1;
                assert_eq!(last == Pace::Last, starts == STARTS_MAX);
                turns.done(turn.host(), if step % 2 == 0 { Came::More } else { Came::Nothing });
            }
            assert_eq!(starts, STARTS_MAX, "sweep {sweep}");
            turns.sealed(&other);
            assert_eq!(turns.next(), sealed("other"), "another host does not wait");
            turns.done(&other, Came::Nothing);
        }
    }

    #[test]
    fn the_first_look_at_all_hosts_comes_after_what_is_known_to_wait() {
        let mut turns = Turns::default();
        turns.begin(["a", "b"].map(host).into_iter());
        turns.sealed(&host("b"));
        let order: Vec<_> = std::iter::from_fn(|| turns.next()).collect();
        assert_eq!(order, [Turn::Sealed(host("b")), Turn::First(host("a")), Turn::First(host("b"))]);
    }
}
