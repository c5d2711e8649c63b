//! A place where so many can be served at a time, and the others stand in a queue.

use std::collections::VecDeque;

/// First come, first served.
#[derive(Debug, Clone)]
pub(crate) struct Station {
    free: u64,
    waiting: VecDeque<(usize, u64)>,
    pub(crate) waiting_peak: usize,
}

/// Who is served now, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Served {
    pub(crate) who: usize,
    pub(crate) until_us: u64,
}

impl Station {
    /// At least one can be served.
    pub(crate) fn new(places: u64) -> Station {
        Station { free: places.max(1), waiting: VecDeque::new(), waiting_peak: 0 }
    }

    /// `who` comes, and needs `needs_us`.
    pub(crate) fn come(&mut self, now_us: u64, who: usize, needs_us: u64) -> Option<Served> {
        if self.free > 0 {
            self.free -= 1;
            return Some(Served { who, until_us: now_us + needs_us });
        }
        self.waiting.push_back((who, needs_us));
        self.waiting_peak = self.waiting_peak.max(self.waiting.len());
        None
    }

    /// Somebody was served; the next in the queue is.
    pub(crate) fn leave(&mut self, now_us: u64) -> Option<Served> {
        if let Some((who, needs_us)) = self.waiting.pop_front() {
            return Some(Served { who, until_us: now_us + needs_us });
        }
        self.free += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_finds_no_place_waits_for_the_first_who_leaves() {
        let mut station = Station::new(1);
        assert_eq!(station.come(5, 1, 10), Some(Served { who: 1, until_us: 15 }));
        assert_eq!(station.come(6, 2, 10), None);
        assert_eq!(station.come(7, 3, 1), None);
        assert_eq!(station.leave(15), Some(Served { who: 2, until_us: 25 }));
        assert_eq!(station.leave(25), Some(Served { who: 3, until_us: 26 }));
        assert_eq!(station.leave(26), None);
        assert_eq!(station.come(30, 4, 1), Some(Served { who: 4, until_us: 31 }));
        assert_eq!(station.waiting_peak, 2);
    }
}
