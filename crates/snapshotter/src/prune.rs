//! Removes what no rule keeps, in two steps: a plan, and after it has waited, its execution, which asks everything anew. Whatever is odd keeps
//! everything.
//!
//! [`judge`] says what may go, as a value; [`host`] obeys, one confined process a host; [`plans`] are what is remembered between the steps;
//! [`trash`] is how a snapshot leaves.

pub(crate) mod bases;
pub(crate) mod host;
mod iced;
pub(crate) mod judge;
mod outcome;
mod plans;
pub(crate) mod settings;
pub(crate) mod trash;

use cli::{Amount, Exit, Failed, Run};
use formats::HostId;

use crate::account::this_program;
use crate::child;
use crate::ingest::{exit_of, worse};
use crate::list::{hosts, open};
use crate::settings::Settings;
use crate::trouble::Trouble;
use crate::{sign, views};
use outcome::{Outcome, Why};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Step {
    /// Write down what may go.
    Plan,
    /// Carry out what was written down long enough ago.
    Execute,
    /// First carry out, then plan.
    Both,
}

impl Step {
    fn word(self) -> &'static str {
        match self {
            Step::Plan => "plan",
            Step::Execute => "execute",
            Step::Both => "both",
        }
    }
}

/// Runs the verb. One host's trouble hides no other's.
pub(crate) fn run(run: &mut Run, settings: &Settings, only: &[HostId], step: Step) -> Result<Exit, Failed> {
    let history = open(settings)?;
    let mut worst = Exit::WHOLE;
    let mut told = Vec::new();
    let only = if only.is_empty() { hosts(&history, None)? } else { only.to_vec() };
    for host in &only {
        let (exit, outcome) = one(settings, host, step)?;
        if let Some(outcome) = &outcome {
            tell(run, host, outcome);
        }
        let exit = match outcome.as_ref().and_then(|outcome| outcome.why) {
            Some(Why::Damaged) => Exit::DAMAGED,
            Some(Why::Odd) => worse(Exit::LEFT_OUT, exit),
            Some(Why::Held) | None => exit,
        };
        worst = worse(worst, exit);
        let mut fields = serde_json::json!({ "host": host.as_str(), "exit": exit.code() });
        if let (Some(fields), Some(outcome)) = (fields.as_object_mut(), outcome) {
            let outcome =
                serde_json::to_value(outcome).map_err(|error| Failed::bug("telling the outcome", error))?;
            fields.extend(outcome.as_object().cloned().unwrap_or_default());
        }
        told.push(fields);
    }
    sign::logs(&run.console(), settings, only.iter());
    run.report().detail("hosts", told);
    Ok(worst)
}

/// One process. It tells what it has done also when it could not go on.
fn one(settings: &Settings, host: &HostId, step: Step) -> Result<(Exit, Option<Outcome>), Failed> {
    let mut command = this_program();
    command.args(["prune-host", host.as_str(), step.word(), "--config"]).arg(&settings.file);
    let said = child::output(&mut command);
    let said = said.map_err(Trouble::stream(format!("starting the prune of {host}")))?;
    let outcome: Option<Outcome> =
        said.text().lines().last().and_then(|line| serde_json::from_str(line).ok());
    match exit_of(said.status) {
        Exit::WHOLE if outcome.is_none() => Ok((Exit::BUG, None)),
        exit => Ok((exit, outcome)),
    }
}

fn tell(run: &mut Run, host: &HostId, outcome: &Outcome) {
    for name in &outcome.removed {
        run.line(&format!("{host}: removed {name}"));
    }
    for spared in &outcome.spared {
        run.line(&format!("{host}: kept {}: {}", spared.name, spared.why));
    }
    if outcome.freed_bytes > 0 {
        run.line(&format!("{host}: freed {}", Amount::Bytes(None).describe(outcome.freed_bytes)));
    }
    for name in &outcome.planned {
        run.line(&format!("{host}: plans to remove {name}"));
    }
    if let Some(why) = &outcome.views {
        views::warn(&run.console(), host, why);
    }
    match (&outcome.refused, outcome.why) {
        (Some(refused), Some(Why::Held)) => run.line(&format!("{host}: nothing is removed: {refused}")),
        (Some(refused), _) => {
            run.leave_out(host.as_str().as_bytes(), &format!("nothing is removed: {refused}"))
        }
        (None, _) => {}
    }
    let report = run.report();
    report.count("removed", outcome.removed.len() as u64);
    report.count("freed_bytes", outcome.freed_bytes);
    report.count("planned", outcome.planned.len() as u64);
}
