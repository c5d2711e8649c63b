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
use read::{Named, Told, Word};

/// A report that is older says nothing of today.
const OLD_DAYS: i64 = 3;
/// So far may the clocks of two machines be apart.
const AHEAD_SECONDS_MAX: i64 = 300;

/// Reads all files of `--with` and of `--with-salt`.
pub(super) fn read(with: &[PathBuf], with_salt: &[PathBuf], hosts: &Hosts) -> Result<Vec<Told>, Trouble> {
    let salts = with_salt.iter().map(|file| Named::of_salt(file));
    let files: Vec<Named> = with.iter().map(|typed| Named::of(typed)).chain(salts).collect();
    read::read(&files, hosts.all.len())
}

/// What a report counts for.
enum Worth<'a> {
    /// It is this host's, and of these days.
    Whole(&'a Host),
    /// What is not well in it is taken; why not the rest.
    Complaints(&'a Host, String),
    /// Its host needs no report.
    Needless,
    /// Of a minion that is no host here: one Salt may serve several servers.
    Elsewhere,
    /// It is not this host's, as far as is known; why. If the host has another report, nothing is missing.
    Unclaimed(&'a Host, String),
    /// It is nobody's whom we know, or another's than it says; why.
    Refused(String),
}

/// Adds what hosts found; once there are reports, an active host without one is not known.
pub(super) fn add(findings: &mut [Finding], told: &[Told], hosts: &Hosts, now: i64) {
    if told.is_empty() {
        return;
    }
    let mut reported: BTreeSet<&HostId> = BTreeSet::new();
    let mut why_not: BTreeMap<&HostId, String> = BTreeMap::new();
    let (mut refused, mut elsewhere) = (Vec::new(), 0_usize);
    let judged: Vec<(&Told, Worth<'_>)> = told.iter().map(|one| (one, worth(one, hosts, now))).collect();
    for (_, worth) in &judged {
        match worth {
            Worth::Whole(host) => drop(reported.insert(&host.id)),
            Worth::Complaints(host, why) | Worth::Unclaimed(host, why) => {
                drop(why_not.insert(&host.id, why.clone()));
            }
            Worth::Needless => {}
            Worth::Elsewhere => elsewhere += 1,
            Worth::Refused(why) => refused.push(why.clone()),
        }
    }
    // The count comes before what the hosts say: of that, a finding keeps no more than so much.
    if let Some(finding) = findings.iter_mut().find(|finding| finding.requirement == Requirement::R2) {
        let active = hosts.active().count();
        let verdict = if reported.len() == active { Verdict::Pass } else { Verdict::Unknown };
        let own =
            format!("{} of {active} hosts have reported; a report is its host's own word", reported.len());
        let others = (elsewhere > 0).then(|| format!("; {elsewhere} reports are of no host of this server"));
        finding.add(verdict, own + &others.unwrap_or_default());
        refused.into_iter().for_each(|why| finding.add(Verdict::Unknown, why));
        for host in hosts.active().filter(|host| !reported.contains(&host.id)) {
            let why = why_not.remove(&host.id);
            let why = why.unwrap_or_else(|| format!("there is no report of {} itself", host.id));
            finding.add(Verdict::Unknown, why);
        }
    }
    for (one, worth) in &judged {
        match worth {
            Worth::Whole(host) => take(findings, &one.audit, &format!("on {}", host.id), Verdict::Pass),
            Worth::Complaints(host, _) => {
                take(findings, &one.audit, &format!("said to be on {}", host.id), Verdict::Unknown);
            }
            Worth::Needless | Worth::Elsewhere | Worth::Unclaimed(..) | Worth::Refused(_) => {}
        }
    }
}

fn worth<'a>(told: &Told, hosts: &'a Hosts, now: i64) -> Worth<'a> {
    let named = told.audit.host.as_deref().unwrap_or_default();
    let shown = cli::shown(named.as_bytes());
    let place = &told.place;
    let Some(host) = HostId::parse(named).ok().and_then(|id| hosts.get(&id)) else {
        return match &told.word {
            Word::Minion(_) => Worth::Elsewhere,
            _ => {
                Worth::Refused(format!("a report in {place} is of {shown}, which is no host of this server"))
            }
        };
    };
    match &told.word {
        Word::Admin(id) if *id != host.id => {
            return Worth::Refused(format!("a report in {place} was named as of {id}, and is of {shown}"));
        }
        Word::Minion(minion) if host.record.known_as.as_deref() != Some(minion) => {
            let minion = cli::shown(minion.as_bytes());
            let gave = format!("minion {minion} gave a report of {shown}, which");
            return match &host.record.known_as {
                Some(other) => Worth::Refused(format!("{gave} is {other}'s")),
                None if !host.is_active() => Worth::Needless,
                None => {
                    let why = format!("{gave} no minion has by its record (`host add --known-as`)");
                    Worth::Unclaimed(host, why)
                }
            };
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
