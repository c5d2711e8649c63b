//! The halves of hosts: reports of `push-client audit --json`, as Salt or a person has collected them.
//!
//! A report is its host's own word. That it is this host's, somebody else has to say: the admin (`HOST=FILE`), or Salt, which knows which minion
//! answered. Of a report of which nobody says so, and of one whose time says nothing of today, only what is not well is taken.

mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use formats::HostId;
use formats::records::audit::{Audit, Evidence, Finding, Requirement, Verdict};

use super::facts::{Host, Hosts};
use crate::trouble::Trouble;
use read::{Told, Word};

/// A report that is older says nothing of today.
const OLD_DAYS: i64 = 3;
/// So far may the clocks of two machines be apart.
const AHEAD_SECONDS_MAX: i64 = 300;

/// Reads all files of `--with`.
pub(super) fn read(typed: &[PathBuf], hosts: &Hosts) -> Result<Vec<Told>, Trouble> {
    read::read(typed, hosts.all.len())
}

/// What a report counts for.
enum Worth<'a> {
    /// It is this host's, and of these days.
    Whole(&'a Host),
    /// What is not well in it is taken; why not the rest.
    Complaints(&'a Host, String),
    /// Its host needs no report.
    Needless,
    /// It is nobody's whom we know; why.
    Refused(String),
}

/// Adds what hosts found; once there are reports, an active host without one is not known.
pub(super) fn add(findings: &mut [Finding], told: &[Told], hosts: &Hosts, now: i64) {
    if told.is_empty() {
        return;
    }
    let mut reported: BTreeSet<&HostId> = BTreeSet::new();
    let mut why_not: BTreeMap<&HostId, String> = BTreeMap::new();
    let mut refused = Vec::new();
    for one in told {
        match worth(one, hosts, now) {
            Worth::Whole(host) => {
                take(findings, &one.audit, &format!("on {}", host.id), Verdict::Pass);
                reported.insert(&host.id);
            }
            Worth::Complaints(host, why) => {
                take(findings, &one.audit, &format!("said to be on {}", host.id), Verdict::Unknown);
                why_not.insert(&host.id, why);
            }
            Worth::Needless => {}
            Worth::Refused(why) => refused.push(why),
        }
    }
    let Some(finding) = findings.iter_mut().find(|finding| finding.requirement == Requirement::R2) else {
        return;
    };
    let active = hosts.active().count();
    let verdict = if reported.len() == active { Verdict::Pass } else { Verdict::Unknown };
    let text = format!("{} of {active} hosts have reported; a report is its host's own word", reported.len());
    finding.add(verdict, text);
    refused.into_iter().for_each(|why| finding.add(Verdict::Unknown, why));
    for host in hosts.active().filter(|host| !reported.contains(&host.id)) {
        let why = why_not.remove(&host.id);
        let why = why.unwrap_or_else(|| format!("there is no report of {} itself", host.id));
        finding.add(Verdict::Unknown, why);
    }
}

fn worth<'a>(told: &Told, hosts: &'a Hosts, now: i64) -> Worth<'a> {
    let named = told.audit.host.as_deref().unwrap_or_default();
    let shown = cli::shown(named.as_bytes());
    let place = &told.place;
    let Some(host) = HostId::parse(named).ok().and_then(|id| hosts.get(&id)) else {
        return Worth::Refused(format!("a report in {place} is of {shown}, which is no host of this server"));
    };
    match &told.word {
        Word::Admin(id) if *id != host.id => {
            return Worth::Refused(format!("a report in {place} was named as of {id}, and is of {shown}"));
        }
        Word::Minion(minion) if host.record.known_as.as_deref() != Some(minion) => {
            let minion = cli::shown(minion.as_bytes());
            let whose = match &host.record.known_as {
                Some(other) => format!("is {other}'s"),
                None => "no minion has by its record (`host add --known-as`)".to_owned(),
            };
            return Worth::Refused(format!("minion {minion} gave a report of {shown}, which {whose}"));
        }
        _ if !host.is_active() => return Worth::Needless,
        Word::Nobody => {
            let why = format!("nobody says that the report of {shown} in {place} is of it: use HOST=FILE");
            return Worth::Complaints(host, why);
        }
        Word::Admin(_) | Word::Minion(_) => {}
    }
    let time = cli::shown(told.audit.time.as_bytes());
    match super::off_site::seconds(&told.audit.time) {
        None => Worth::Complaints(host, format!("the report of {shown} has no time: {time}")),
        Some(then) if then > now.saturating_add(AHEAD_SECONDS_MAX) => {
            Worth::Complaints(host, format!("the report of {shown} is of {time}, which is still to come"))
        }
        Some(then) if then < now.saturating_sub(OLD_DAYS * 86_400) => Worth::Complaints(
            host,
            format!("the report of {shown} is of {time}, more than {OLD_DAYS} days ago"),
        ),
        Some(_) => Worth::Whole(host),
    }
}

/// Adds evidence that is `least` or worse. Where two reports differ, both are there, so the worse one decides.
fn take(findings: &mut [Finding], audit: &Audit, whose: &str, least: Verdict) {
    for theirs in &audit.findings {
        let Some(finding) = findings.iter_mut().find(|ours| ours.requirement == theirs.requirement) else {
            continue;
        };
        for evidence in theirs.evidence.iter().filter(|evidence| evidence.verdict >= least) {
            let text = format!("{whose}: {}", cli::shown(evidence.text.as_bytes()));
            finding.take(Evidence { verdict: evidence.verdict, text });
        }
        // A verdict for which it gives no reason is one all the same.
        let worst = theirs.evidence.iter().map(|evidence| evidence.verdict).max();
        if worst.is_none_or(|worst| worst < theirs.verdict) && theirs.verdict >= least {
            finding.add(theirs.verdict, format!("{whose}: it says so, without evidence"));
        }
    }
}

#[cfg(test)]
mod tests;
