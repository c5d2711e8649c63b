//! `push-client audit`: the half of the twelve requirements that only a host can see. With its own key it tries on the server what must be
//! refused; on itself it looks for what would let the server in, for what starts the pushes, and for how they behave. Nothing is changed.

mod files;
mod local;
mod way_in;

use std::path::Path;

use chrono::{SecondsFormat, Utc};
use cli::{Exit, Failed, Monitor, Run};
use formats::records::Record;
use formats::records::audit::{Audit, Finding, Half, Requirement, Verdict};

use crate::plan::{Plan, Target};
use crate::state::{Remembered, StateFolder};
use crate::transport::{Attempt, Tried};

/// What a session of our own account must not give. Reading anything back is R4, reaching others R1.
const ATTEMPTS: [(Attempt, Requirement, &str); 7] = [
    (Attempt::Command, Requirement::R4, "run a command"),
    (Attempt::Shell, Requirement::R4, "get a shell"),
    (Attempt::Sftp, Requirement::R4, "read by SFTP"),
    (Attempt::Scp, Requirement::R4, "read by scp"),
    (Attempt::Terminal, Requirement::R1, "get a terminal"),
    (Attempt::Forward, Requirement::R1, "be forwarded"),
    (Attempt::Listen, Requirement::R1, "have the server listen"),
];
/// Accounts that are not ours. sshd counts failed logins against an address: no more than these, and last.
const ACCOUNTS: [&str; 2] = ["root", "firn"];

pub(super) fn audit(run: &mut Run, settings: &Path) -> Result<Exit, Failed> {
    let plan = Plan::load(settings)?;
    let findings = probe(run, &plan);
    let audit = Audit {
        format: Audit::format(),
        half: Half::Host,
        host: Some(plan.host.to_string()),
        time: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
        findings,
    };
    for finding in &audit.findings {
        run.line(&finding.line());
        for evidence in &finding.evidence {
            let id = finding.requirement.id();
            run.console().info(&format!("{id} {}: {}", evidence.verdict.word(), evidence.text));
        }
    }
    let exit = match audit.verdict() {
        Verdict::Pass => Exit::WHOLE,
        Verdict::Unknown => Exit::LEFT_OUT,
        Verdict::Fail => Exit::AUDIT_FAILED,
    };
    let value = serde_json::to_value(&audit).map_err(|error| Failed::bug("telling what was found", error))?;
    run.report().detail("host", plan.host.as_str());
    run.report().detail("audit", value);
    Ok(exit)
}

fn probe(run: &Run, plan: &Plan) -> Vec<Finding> {
    let mut apart = Finding::new(Requirement::R1);
    let mut own = Finding::new(Requirement::R4);
    for (attempt, requirement, words) in ATTEMPTS {
        run.console().info(&format!("trying to {words}"));
        let finding = if requirement == Requirement::R4 { &mut own } else { &mut apart };
        tell(finding, &plan.target.account, words, attempt.try_it(&plan.target, &plan.target.account));
    }
    others(&mut apart, &plan.target);
    let mut automatic = Finding::new(Requirement::R10);
    local::schedule(&mut automatic, plan.host.as_str());
    accepted(&mut automatic, plan);
    let mut calm = Finding::new(Requirement::R12);
    local::manners(&mut calm);
    let mut doors = local::doors(&plan.target);
    way_in::look(&mut doors);
    vec![apart, doors, own, automatic, calm]
}

fn others(finding: &mut Finding, target: &Target) {
    for account in ACCOUNTS.into_iter().filter(|account| *account != target.account) {
        tell(finding, account, "log in with the key of this host", Attempt::Login.try_it(target, account));
    }
}

fn tell(finding: &mut Finding, account: &str, words: &str, tried: Tried) {
    let account = cli::shown(account.as_bytes());
    let (verdict, text) = match tried {
        Tried::Refused(how) => (Verdict::Pass, format!("as {account}, cannot {words}: {how}")),
        Tried::Done(how) => (Verdict::Fail, format!("as {account}, CAN {words}: {how}")),
        Tried::Unclear(why) => (Verdict::Unknown, format!("as {account}, to {words}: {why}")),
    };
    finding.add(verdict, text);
}

/// Whether pushes arrive at all.
fn accepted(finding: &mut Finding, plan: &Plan) {
    match StateFolder::peek(&plan.state) {
        Ok(Some(Remembered { memory, .. })) if memory.accepted.is_some() => {
            finding.add(Verdict::Pass, "pushes of this host were accepted");
        }
        Ok(_) => finding.add(Verdict::Unknown, "no push of this host was accepted yet"),
        Err(error) => finding.add(Verdict::Unknown, Failed::from(error).chain()),
    }
}
