//! R12: the machines' own work does not suffer: hosts do not all come at once, pushes are short, and the server's units give way.

use std::collections::BTreeMap;

use formats::records::audit::{Finding, Requirement, Verdict};
use formats::schedule::minute;

use super::facts::Hosts;
use super::past::{self, Past};
use super::systemd;

/// In one minute of an hour so many times what would come by chance, and a few.
const TIMES_MAX: usize = 4;
const FEW: usize = 3;
/// Half of the time between two pushes of a day with three.
const PUSH_SECONDS_MAX: i64 = 4 * 3600;
/// What gives way to everything else.
const CALM: [&str; 2] = ["firn-ice.service", "firn-status.service"];

pub(super) fn judge(hosts: &Hosts, pasts: &Result<Vec<Past>, String>) -> Finding {
    let mut finding = Finding::new(Requirement::R12);
    let minutes: Vec<u32> = hosts.active().map(|host| minute(host.id.as_str())).collect();
    let (verdict, text) = splay(&minutes);
    finding.add(verdict, text);
    match pasts {
        Err(error) => finding.add(Verdict::Unknown, error),
        Ok(pasts) => {
            for past in hosts.active().filter_map(|host| past::of_host(pasts, &host.id)) {
                let took = past.pushes.iter().map(|push| push.accepted - push.started);
                if let Some((verdict, text)) = duration(took) {
                    finding.add(verdict, format!("{} {text}", past.host));
                }
            }
        }
    }
    if systemd::is_here() {
        for unit in CALM {
            let told = systemd::show(unit, &["LoadState", "Nice"]).unwrap_or_default();
            if told.get("LoadState").is_some_and(|state| state == "loaded") {
                let nice: i32 = told.get("Nice").and_then(|nice| nice.parse().ok()).unwrap_or(0);
                let verdict = if nice > 0 { Verdict::Pass } else { Verdict::Fail };
                finding.add(verdict, format!("{unit} runs at nice {nice}"));
            }
        }
    }
    finding
}

/// How many hosts come in the fullest minute.
fn splay(minutes: &[u32]) -> (Verdict, String) {
    let mut count: BTreeMap<u32, usize> = BTreeMap::new();
    minutes.iter().for_each(|minute| *count.entry(*minute).or_default() += 1);
    let Some((fullest, most)) = count.into_iter().max_by_key(|(_, hosts)| *hosts) else {
        return (Verdict::Unknown, "there are no hosts".to_owned());
    };
    let limit = FEW + TIMES_MAX * minutes.len() / 60;
    let text =
        format!("{most} of {} hosts come in minute {fullest}, the fullest; {limit} are borne", minutes.len());
    (if most <= limit { Verdict::Pass } else { Verdict::Fail }, text)
}

/// From the start on the host to the verdict; a host's clock may be wrong, so the median counts, and what ends before it starts does not.
fn duration(took: impl Iterator<Item = i64>) -> Option<(Verdict, String)> {
    let mut took: Vec<i64> = took.filter(|seconds| *seconds >= 0).collect();
    took.sort_unstable();
    let median = *took.get(took.len() / 2)?;
    let verdict = if median <= PUSH_SECONDS_MAX { Verdict::Pass } else { Verdict::Fail };
    Some((verdict, format!("pushes for {median} s from start to verdict, by the median of {}", took.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_spread_by_their_names_pass_and_hosts_in_one_minute_do_not() {
        for count in [1, 3, 10, 60, 200, 1000] {
            let spread: Vec<u32> =
                (0..count).map(|number| minute(&format!("web{number:03}.example.org"))).collect();
            assert_eq!(splay(&spread).0, Verdict::Pass, "{count}");
            let at_once = vec![2; count as usize];
            let expected = if count <= 3 { Verdict::Pass } else { Verdict::Fail };
            assert_eq!(splay(&at_once).0, expected, "{count}");
        }
        assert_eq!(splay(&[]).0, Verdict::Unknown);
    }

    #[test]
    fn pushes_that_take_half_the_time_between_them_fail() {
        assert_eq!(duration([10, 20, 30_000].into_iter()).unwrap().0, Verdict::Pass);
        assert_eq!(duration([10, 20_000, 30_000].into_iter()).unwrap().0, Verdict::Fail);
        assert_eq!(duration([-5].into_iter()), None);
    }
}
