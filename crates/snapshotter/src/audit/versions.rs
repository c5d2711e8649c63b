//! R3: backups are versioned: more than one snapshot, a log that is whole, and older files that are what they were after later pushes changed them.

use chrono::DateTime;
use formats::records::audit::{Finding, Requirement, Verdict};

use super::facts::Hosts;
use super::past::{self, Past};
use crate::status::stamp;

/// A host that is younger may have one snapshot only.
const YOUNG_DAYS: i64 = 2;

pub(super) fn judge(hosts: &Hosts, pasts: &Result<Vec<Past>, String>, now: i64) -> Finding {
    let mut finding = Finding::new(Requirement::R3);
    let pasts = match pasts {
        Ok(pasts) => pasts,
        Err(error) => {
            finding.add(Verdict::Unknown, error);
            return finding;
        }
    };
    for host in hosts.active() {
        match past::of_host(pasts, &host.id) {
            Some(past) => one(&mut finding, past, now),
            None => finding.add(Verdict::Unknown, format!("{} has no history yet", host.id)),
        }
    }
    finding
}

fn one(finding: &mut Finding, past: &Past, now: i64) {
    let host = &past.host;
    if let Some(error) = &past.error {
        finding.add(if past.damaged { Verdict::Fail } else { Verdict::Unknown }, error);
    }
    if let Some(doubt) = &past.doubt {
        finding.add(doubt.verdict(), &doubt.what);
    }
    for file in &past.spoiled {
        finding.add(Verdict::Fail, format!("{host}: {file} is not what it was when it was pushed"));
    }
    let days = (now - past.first) / 86_400;
    match past.snapshots {
        _ if past.error.is_some() || !past.spoiled.is_empty() => {}
        0 => finding.add(Verdict::Unknown, format!("{host} has pushed nothing yet")),
        // It has no older state, and what it pushed since is in the log.
        1 if past.unchanged > 0 => {
            let [since, still] = [past.first, past.unchanged].map(text);
            let what = format!("one snapshot, as nothing has changed since {since}, by its push of {still}");
            finding.add(Verdict::Pass, format!("{host}: {what}"));
        }
        1 if days < YOUNG_DAYS => {
            finding.add(Verdict::Unknown, format!("{host} has one snapshot, its first"))
        }
        1 => finding.add(Verdict::Fail, format!("{host} has one snapshot only, {days} days old")),
        many => {
            let files = past.older_files;
            finding.add(
                Verdict::Pass,
                format!("{host}: {many} snapshots in a log without a gap, {files} older files read again"),
            );
        }
    }
}

fn text(seconds: i64) -> String {
    stamp(DateTime::from_timestamp(seconds, 0).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::signature::Doubt;
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn verdict(change: impl FnOnce(&mut Past)) -> Verdict {
        let mut past =
            Past { host: "web01".to_owned(), snapshots: 3, first: NOW - 5 * 86_400, ..Past::default() };
        change(&mut past);
        let mut finding = Finding::new(Requirement::R3);
        one(&mut finding, &past, NOW);
        finding.verdict
    }

    #[test]
    fn one_snapshot_is_enough_for_a_new_host_only() {
        assert_eq!(verdict(|_| ()), Verdict::Pass);
        assert_eq!(verdict(|past| past.snapshots = 0), Verdict::Unknown);
        assert_eq!(verdict(|past| past.snapshots = 1), Verdict::Fail);
        assert_eq!(verdict(|past| (past.snapshots, past.first) = (1, NOW - 3600)), Verdict::Unknown);
    }

    #[test]
    fn a_host_on_which_nothing_changed_since_its_first_push_is_versioned_and_told_since_when() {
        let mut past =
            Past { host: "web01".to_owned(), snapshots: 1, first: NOW - 5 * 86_400, ..Past::default() };
        let judged = |past: &Past| {
            let mut finding = Finding::new(Requirement::R3);
            one(&mut finding, past, NOW);
            (finding.verdict, finding.evidence.iter().map(|one| one.text.clone()).collect::<String>())
        };
        assert_eq!(judged(&past).0, Verdict::Fail, "the control: it pushed once, and never again");
        past.unchanged = NOW - 3600;
        let (verdict, text) = judged(&past);
        assert_eq!(verdict, Verdict::Pass, "{text}");
        assert!(text.contains("2027-01-10T08:00:00Z") && text.contains("2027-01-15T07:00:00Z"), "{text}");
        past.spoiled.push("a".to_owned());
        assert_eq!(judged(&past).0, Verdict::Fail);
    }

    #[test]
    fn damage_and_older_files_that_changed_fail_whatever_else_is_there() {
        assert_eq!(verdict(|past| past.spoiled.push("a".to_owned())), Verdict::Fail);
        assert_eq!(verdict(|past| (past.error, past.damaged) = (Some("x".to_owned()), true)), Verdict::Fail);
        assert_eq!(verdict(|past| past.error = Some("busy".to_owned())), Verdict::Unknown);
        let doubt = |damaged| Some(Doubt { what: "its log is not signed".to_owned(), damaged });
        assert_eq!(verdict(|past| past.doubt = doubt(false)), Verdict::Unknown);
        assert_eq!(verdict(|past| past.doubt = doubt(true)), Verdict::Fail);
    }
}
