//! What one line of the result says.

use serde::Serialize;

use super::fleet::{Fleet, PERIOD_HOURS, SECOND};
use super::server::{Day, Server};

/// One fleet under one plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Figures {
    pub(crate) hosts: u64,
    /// Hosts in a minute: least, median, of a hundred minutes the second worst, most.
    pub(crate) per_minute: [u64; 4],
    pub(crate) turned_away: u64,
    pub(crate) sessions_peak: u64,
    pub(crate) queue_peak: u64,
    /// Of all core time of the busiest hour.
    pub(crate) busy_permille: u64,
    /// From slot to accepted: median, of a hundred hosts the second worst, worst.
    pub(crate) seconds: [u64; 3],
    /// Within the eight hours to the next slot.
    pub(crate) accepted: u64,
    pub(crate) missed: u64,
}

impl Figures {
    pub(crate) fn new(fleet: &Fleet, day: &Day, server: &Server) -> Figures {
        let mut minutes = fleet.per_minute();
        minutes.sort_unstable();
        let mut waits: Vec<u64> = day.waits_us.iter().flatten().map(|wait| wait.div_ceil(SECOND)).collect();
        waits.sort_unstable();
        let hosts = fleet.hosts.len() as u64;
        let accepted = waits.iter().filter(|wait| **wait <= PERIOD_HOURS * 3600).count() as u64;
        let busiest = day.busy_us.iter().copied().max().unwrap_or_default();
        Figures {
            hosts,
            per_minute: [0, 50, 99, 100].map(|percent| percentile(&minutes, percent)),
            turned_away: day.turned_away,
            sessions_peak: day.sessions_peak,
            queue_peak: day.queue_peak as u64,
            busy_permille: busiest / (server.cores * 3600 * SECOND / 1000),
            seconds: [50, 99, 100].map(|percent| percentile(&waits, percent)),
            accepted,
            missed: hosts - accepted,
        }
    }
}

/// The value that so many of a hundred do not exceed; 0 of nothing.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<u64> = (1..=200).collect();
        assert_eq!([0, 50, 99, 100].map(|percent| percentile(&values, percent)), [1, 100, 198, 200]);
        assert_eq!(percentile(&[], 50), 0);
        assert_eq!([0, 50, 100].map(|percent| percentile(&[7], percent)), [7, 7, 7]);
    }
}
