//! A fleet: each host with its size, its slot and what its push asks of the server.

use formats::schedule;
use pipeline_tests::data;

use super::costs::{Costs, Work};
use super::names::{Style, per_minute};
use super::plan::{Hours, Moment, Plan};

/// Sizes of hosts, assumed: of a hundred hosts so many have so many entries. The mean is 62,000, near the benchmark's tree.
const SIZES: [(u64, u64); 4] = [(50, 20_000), (40, 60_000), (9, 200_000), (1, 1_000_000)];
/// Hours between two slots of a host.
pub(crate) const PERIOD_HOURS: u64 = 8;
/// A microsecond of this simulation is an integer; so is all time.
pub(crate) const SECOND: u64 = 1_000_000;

/// One host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// When it connects, from the beginning of the period.
    pub(crate) slot_us: u64,
    /// The minute of the period.
    pub(crate) minute: u64,
    /// A number of its own, for what else has to differ between hosts.
    pub(crate) lot: u64,
    pub(crate) work: Work,
}

/// All hosts of one period of eight hours; the next one is the same again.
#[derive(Debug, Clone)]
pub(crate) struct Fleet {
    pub(crate) hosts: Vec<Member>,
}

impl Fleet {
    pub(crate) fn new(hosts: u32, plan: &Plan, costs: &Costs) -> Fleet {
        let member = |number| Member::new(&Style::Mixed.host(number), plan, costs);
        Fleet { hosts: (0..hosts).map(member).collect() }
    }

    /// Hosts in each minute of the hours in which there are some.
    pub(crate) fn per_minute(&self) -> Vec<u64> {
        let hours = self.hosts.iter().map(|host| host.minute / 60).max().map_or(0, |last| last + 1);
        let of_hour = |hour| {
            let here = self.hosts.iter().filter(move |host| host.minute / 60 == hour);
            per_minute(here.map(|host| (host.minute % 60) as u32))
        };
        (0..hours).flat_map(of_hour).collect()
    }
}

impl Member {
    fn new(name: &str, plan: &Plan, costs: &Costs) -> Member {
        let crc = u64::from(crc32fast::hash(name.as_bytes()));
        let lot = data::step(crc);
        let hour = match plan.hours {
            Hours::Three => 0,
            Hours::All => crc / 3600 % PERIOD_HOURS,
        };
        let minute = u64::from(schedule::minute(name));
        let second = match plan.moment {
            Moment::Minute => 0,
            // The remainder already made the minute.
            Moment::Second => crc / 60 % 60,
        };
        // No two clocks are equal, and cron takes a moment: within one second.
        let jitter_us = lot % SECOND;
        Member {
            slot_us: (hour * 3600 + minute * 60 + second) * SECOND + jitter_us,
            minute: hour * 60 + minute,
            lot,
            work: costs.work(entries(lot), plan.load),
        }
    }
}

fn entries(lot: u64) -> u64 {
    let mut rest = lot / SECOND % 100;
    for (share, entries) in SIZES {
        if rest < share {
            return entries;
        }
        rest -= share;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_the_sizes_that_are_assumed() {
        assert_eq!(SIZES.iter().map(|(share, _)| share).sum::<u64>(), 100);
        assert_eq!(SIZES.iter().map(|(share, entries)| share * entries).sum::<u64>() / 100, 62_000);
        for (lot, expected) in [(0, 20_000), (49, 20_000), (50, 60_000), (98, 200_000), (99, 1_000_000)] {
            assert_eq!(entries(lot * SECOND), expected);
        }
    }

    #[test]
    fn every_host_has_one_slot_and_it_is_that_of_its_name() {
        for plan in Plan::ALL {
            let fleet = Fleet::new(1_000, &plan, &Costs::DOCUMENTED);
            assert_eq!(fleet.per_minute().iter().sum::<u64>(), 1_000, "{}", plan.name);
        }
        let [minutes, ..] = Plan::ALL;
        let host = Member::new("web01", &minutes, &Costs::DOCUMENTED);
        assert_eq!((host.minute, host.slot_us / SECOND), (40, 40 * 60));
    }
}
