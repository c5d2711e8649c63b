//! Host names as people give them, and how evenly their minutes lie.

use formats::schedule;
use pipeline_tests::data;
use serde::Serialize;

/// How a fleet is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// `web01`, `web02`, ...
    Web,
    /// `db1.example.org`, ...
    Domain,
    /// `node-000001`: one prefix, numbers of one length.
    Padded,
    /// `9f3c...`: the form of a UUID.
    Uuid,
    /// Roles and sites: `mail07.ber.example.org`.
    Mixed,
}

impl Style {
    pub(crate) const ALL: [Style; 5] = [Style::Web, Style::Domain, Style::Padded, Style::Uuid, Style::Mixed];

    /// The host with number `number`, from 0.
    pub(crate) fn host(self, number: u32) -> String {
        let one = number + 1;
        match self {
            Style::Web => format!("web{one:02}"),
            Style::Domain => format!("db{one}.example.org"),
            Style::Padded => format!("node-{one:06}"),
            Style::Uuid => uuid(number),
            Style::Mixed => {
                let role = ROLES.get(number as usize % ROLES.len()).unwrap_or(&"web");
                let rest = number as usize / ROLES.len();
                let site = SITES.get(rest % SITES.len()).unwrap_or(&"ber");
                format!("{role}{:02}.{site}.example.org", rest / SITES.len() + 1)
            }
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Style::Web => "web01",
            Style::Domain => "db1.example.org",
            Style::Padded => "node-000001",
            Style::Uuid => "a UUID",
            Style::Mixed => "mail01.ber.example.org",
        }
    }
}

const ROLES: [&str; 10] = ["web", "db", "mail", "app", "cache", "build", "mon", "git", "proxy", "file"];
const SITES: [&str; 5] = ["ber", "fra", "ams", "waw", "lis"];

fn uuid(number: u32) -> String {
    let (a, b) = (data::step(u64::from(number)), data::step(!u64::from(number)));
    let text = format!("{a:016x}{b:016x}");
    let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    parts.iter().filter_map(|(from, to)| text.get(*from..*to)).collect::<Vec<_>>().join("-")
}

/// How many hosts of a fleet have each minute.
pub(crate) fn per_minute(hosts: impl Iterator<Item = u32>) -> [u64; 60] {
    let mut counts = [0; 60];
    for minute in hosts {
        if let Some(count) = counts.get_mut(minute as usize) {
            *count += 1;
        }
    }
    counts
}

/// The spread of one fleet over the minutes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) style: &'static str,
    pub(crate) hosts: u32,
    pub(crate) least: u64,
    pub(crate) most: u64,
    /// Pearson's statistic against equal shares; 59 degrees of freedom.
    pub(crate) chi_square: f64,
}

pub(crate) fn spreads(fleets: &[u32]) -> Vec<Spread> {
    let pairs = Style::ALL.into_iter().flat_map(|style| fleets.iter().map(move |hosts| (style, *hosts)));
    pairs.map(|(style, hosts)| spread(style, hosts)).collect()
}

fn spread(style: Style, hosts: u32) -> Spread {
    let counts = per_minute((0..hosts).map(|number| schedule::minute(&style.host(number))));
    let expected = f64::from(hosts) / 60.0;
    let chi_square = counts.iter().map(|count| (*count as f64 - expected).powi(2) / expected).sum();
    Spread {
        style: style.name(),
        hosts,
        least: counts.iter().copied().min().unwrap_or_default(),
        most: counts.iter().copied().max().unwrap_or_default(),
        chi_square,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_as_described() {
        for style in Style::ALL {
            let names: std::collections::BTreeSet<_> = (0..20_000).map(|number| style.host(number)).collect();
            assert_eq!(names.len(), 20_000, "{}", style.name());
            assert!(names.iter().all(|name| formats::HostId::parse(name).is_ok()), "{}", style.name());
        }
        assert_eq!(Style::Mixed.host(10), "web01.fra.example.org");
        assert_eq!(Style::Padded.host(6), "node-000007");
    }

    #[test]
    fn the_minute_of_the_simulation_is_the_one_of_the_programs() {
        assert_eq!((schedule::minute("web01"), schedule::minute("db1.example.org")), (40, 56));
        assert_eq!(crc32fast::hash(b"web01") % 60, 40);
    }

    #[test]
    fn a_statistic_knows_equal_shares_from_a_heap() {
        assert_eq!(per_minute([1, 1, 3].into_iter()).get(..4), Some(&[0, 2, 0, 1][..]));
        let even = spread(Style::Uuid, 60_000);
        assert!(even.chi_square < 120.0, "{even:?}");
    }
}
