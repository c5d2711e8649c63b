//! Tries the twelve requirements for real, and says of each whether it holds, with what was tried. docs/audit.md lists the probes.
//!
//! Root's work, as it has to become every host's account; what it looks at that came from hosts is read by children without root: [`past`] reads
//! the histories as the account that owns them, [`attempt`] tries what must be refused as the account that must be refused, [`ice`] lets iceboxer
//! speak as its own. Nothing is written and nothing is removed. Each requirement has a probe that gathers and a judge that decides.

mod apart;
pub(crate) mod attempt;
mod automatic;
mod calls;
mod command;
mod facts;
mod grants;
mod halves;
mod ice;
mod kept;
mod load;
mod locks;
mod off_site;
mod own_history;
pub(crate) mod past;
mod private_keys;
mod reach;
mod rulers;
pub(crate) mod settings;
mod signature;
mod sshd;
mod standing;
mod systemd;
mod versions;

use std::path::{Path, PathBuf};

use chrono::{SecondsFormat, Utc};
use cli::{Exit, Failed, Monitor, Run};
use formats::records::Record;
use formats::records::audit::{Audit, Finding, Half, Verdict};

use crate::account::is_root;
use crate::settings::Settings;
use crate::trouble::Trouble;
use facts::{Extent, Hosts};
use off_site::Known;

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    extent: Extent,
    with: &'a [PathBuf],
    with_salt: &'a [PathBuf],
}

impl<'a> Asked<'a> {
    /// From the command line.
    pub(crate) fn new(all: bool, with: &'a [PathBuf], with_salt: &'a [PathBuf]) -> Self {
        Self { extent: if all { Extent::All } else { Extent::Sample }, with, with_salt }
    }
}

/// Runs the verb: 6 if a requirement does not hold, 3 if none fails and one is not known, 0 if all hold.
pub(crate) fn run(run: &mut Run, settings: &Settings, asked: &Asked<'_>) -> Result<Exit, Failed> {
    if !is_root() {
        let advice = Some("run it as root: it gives root up for each attempt".to_owned());
        return Err(
            Trouble::Usage { what: "only root can become every host's account".to_owned(), advice }.into()
        );
    }
    let hosts = Hosts::read(settings, asked.extent)?;
    let halves = halves::read(asked.with, asked.with_salt, &hosts)?;
    let Probed { mut findings, grants } = probe(run, settings, &hosts);
    halves::add(&mut findings, &halves, &hosts, Utc::now().timestamp());
    let audit = Audit {
        format: Audit::format(),
        half: Half::Server,
        host: None,
        time: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
        findings,
    };
    for finding in &audit.findings {
        run.line(&finding.line());
        details(run, finding);
    }
    grants.iter().for_each(|grant| run.line(&format!("open grant: {grant}")));
    let exit = exit(audit.verdict());
    let value = serde_json::to_value(&audit).map_err(|error| Failed::bug("telling what was found", error))?;
    run.report().count("hosts", hosts.all.len() as u64);
    run.report().detail("audit", value);
    run.report().detail("open_grants", grants);
    Ok(exit)
}

fn details(run: &Run, finding: &Finding) {
    for evidence in &finding.evidence {
        run.console().info(&format!(
            "{} {}: {}",
            finding.requirement.id(),
            evidence.verdict.word(),
            evidence.text
        ));
    }
}

fn exit(verdict: Verdict) -> Exit {
    match verdict {
        Verdict::Pass => Exit::WHOLE,
        Verdict::Unknown => Exit::LEFT_OUT,
        Verdict::Fail => Exit::AUDIT_FAILED,
    }
}

/// What was found.
struct Probed {
    /// All twelve, in order.
    findings: Vec<Finding>,
    /// What hosts may fetch right now, in words.
    grants: Vec<String>,
}

fn probe(run: &Run, settings: &Settings, hosts: &Hosts) -> Probed {
    let console = run.console();
    let now = Utc::now().timestamp();
    let ice = ice::settings(settings);
    let standing = standing::read(settings);
    console.info("reading the histories");
    let pasts = past::read(settings, hosts.all.len(), &off_site::iced(&standing));
    let has_ice = matches!(ice, Ok(Some(_)));
    let ask = |words: &[&str]| match has_ice {
        true => {
            console.info(&format!("running iceboxer {}", words.join(" ")));
            ice::report(settings, words)
        }
        false => Err("iceboxer has no settings here".to_owned()),
    };
    let (retention, deletion) = locks::judge(&ice, &ask(&["prove-lock"]));
    let known = Known { settings: &ice, standing: &standing };
    console.info("trying what must be refused");
    let mut own_history = own_history::probe(settings, hosts);
    let grants = grants::probe(&mut own_history, settings, hosts, &pasts);
    let findings = vec![
        apart::probe(settings, hosts),
        reach::probe(settings, hosts),
        versions::judge(hosts, &pasts, now),
        own_history,
        off_site::stored(&known, hosts, &pasts, now),
        retention,
        deletion,
        off_site::locked(&known),
        kept::judge(settings, hosts, &pasts, now),
        automatic::judge(settings, hosts, &pasts, now),
        off_site::costs(&known, &ask(&["cost"])),
        load::judge(hosts, &pasts),
    ];
    Probed { findings, grants }
}

fn shown(path: &Path) -> String {
    cli::shown(path.as_os_str().as_encoded_bytes())
}
