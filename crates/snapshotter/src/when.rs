//! Which snapshot is meant: by its name, the newest, or the one that was there at a time.

use std::convert::Infallible;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use history::{Log, Snapshot, SnapshotName};

use crate::trouble::Trouble;

/// Times as people write them, and the seconds that are left out of each.
const TIMES: [(&str, &str); 5] = [
    ("%Y-%m-%dT%H:%M:%S", ""),
    ("%Y-%m-%d %H:%M:%S", ""),
    ("%Y%m%dT%H%M%S", ""),
    ("%Y-%m-%dT%H:%M:%S", ":59"),
    ("%Y-%m-%d %H:%M:%S", ":59"),
];
const DAYS: [&str; 2] = ["%Y-%m-%d", "%Y%m%d"];

/// As it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct When(String);

impl FromStr for When {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(When(text.to_owned()))
    }
}

impl std::fmt::Display for When {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl When {
    /// The snapshot that is meant: a time means the last one that was accepted at or before it, a day or a minute its end. Times are UTC.
    pub(crate) fn find<'a>(&self, log: &'a Log) -> Result<&'a Snapshot, Trouble> {
        let usage = |what: String, advice: &str| Trouble::Usage { what, advice: Some(advice.to_owned()) };
        let text = cli::shown(self.0.as_bytes());
        let until = match self.0.as_str() {
            "latest" => return log.latest().ok_or_else(|| self.none(log, &text)),
            name if name.parse::<SnapshotName>().is_ok() => {
                return log.find(name).map_err(|error| match error {
                    history::Error::NoSnapshot { .. } => self.none(log, &text),
                    pruned => usage(cli::chain(&pruned), "`snapshotter list` names what there is"),
                });
            }
            time => time_of(time).ok_or_else(|| {
                let what = format!("{text}: neither the name of a snapshot, nor `latest`, nor a time");
                usage(
                    what,
                    "2026-01-02 and 2026-01-02T03:04 are times, UTC; `snapshotter list` names snapshots",
                )
            })?,
        };
        let is_by_then = |snapshot: &&Snapshot| {
            DateTime::parse_from_rfc3339(&snapshot.accepted).is_ok_and(|accepted| accepted <= until)
        };
        log.snapshots()
            .iter()
            .rev()
            .find(is_by_then)
            .ok_or_else(|| self.none(log, &format!("of {text} or before")))
    }

    fn none(&self, log: &Log, which: &str) -> Trouble {
        let advice = match log.snapshots().first() {
            Some(oldest) => {
                format!("the oldest is {}; `snapshotter list {}` names all", oldest.name, log.host())
            }
            None => "nothing was accepted from this host yet".to_owned(),
        };
        Trouble::Usage { what: format!("no snapshot {which} of host {}", log.host()), advice: Some(advice) }
    }
}

/// The end of what is named.
fn time_of(text: &str) -> Option<DateTime<Utc>> {
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let plain = text.strip_suffix('Z').unwrap_or(text);
    let times = TIMES
        .iter()
        .filter_map(|(format, rest)| NaiveDateTime::parse_from_str(&format!("{plain}{rest}"), format).ok());
    let days = DAYS.iter().filter_map(|format| NaiveDate::parse_from_str(text, format).ok());
    let ends = days.filter_map(|day| Some(day.and_time(NaiveTime::from_hms_opt(23, 59, 59)?)));
    times.chain(ends).next().map(|time| time.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_means_the_end_of_what_it_names() {
        for (text, meant) in [
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05+00:00"),
            ("2026-01-02 03:04:05", "2026-01-02T03:04:05+00:00"),
            ("20260102T030405Z", "2026-01-02T03:04:05+00:00"),
            ("2026-01-02T03:04", "2026-01-02T03:04:59+00:00"),
            ("2026-01-02 03:04", "2026-01-02T03:04:59+00:00"),
            ("2026-01-02", "2026-01-02T23:59:59+00:00"),
            ("20260102", "2026-01-02T23:59:59+00:00"),
        ] {
            assert_eq!(time_of(text).unwrap().to_rfc3339(), meant, "{text}");
        }
        for text in ["", "newest", "2026-13-01", "2026-01-02T25:00", "yesterday", "2026", "1", "-1-01-01"] {
            assert_eq!(time_of(text), None, "{text}");
        }
    }
}
