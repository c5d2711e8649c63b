//! `push-client run`.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use cli::{Exit, Failed, Monitor, Run};
use formats::session::Role;
use rustix::fs::{Mode, OFlags};

use super::confine::confine;
use crate::host;
use crate::plan::Plan;
use crate::push::{Account, Count, Job, Outcome, PushError, Session, Warning, push};
use crate::state::StateFolder;
use crate::transport::{Ssh2Child, Transport};

pub(super) fn run(run: &mut Run, settings: &Path, role: Role) -> Result<Exit, Failed> {
    let console = run.console();
    let plan = Plan::load(settings)?;
    run.report().detail("host", plan.host.as_str());
    let state = StateFolder::open(&plan.state)?;
    let started = now();
    let zone = host::zone();
    let carried = Ssh2Child.open(&plan.target)?;
    console.info(&format!("connected to {} port {}", plan.target.address, plan.target.port));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = rustix::fs::open(c"/", flags, Mode::empty())
        .map_err(|errno| Failed::machine("opening /", errno.into()))?;
    confine(&top, Some(&state.as_fd()), carried.child_id(), &console)?;
    let mut account = Account::default();
    let job = Job { plan: &plan, top, started, zone, role };
    run.report().detail("emergency", role == Role::Emergency);
    let outcome = push(job, &state, Session::new(carried), &mut account, &console);
    tell(run, &account, &outcome);
    let Outcome { is_accepted, earlier, .. } = outcome?;
    Ok(match earlier {
        // Nobody has been told of it yet, and this push may be all that is left to tell it.
        Some(code) => Exit::of(code.exit_code()),
        None if is_accepted => Exit::WHOLE,
        None => Exit::PENDING,
    })
}

/// What was done, whatever came of it.
fn tell(run: &mut Run, account: &Account, outcome: &Result<Outcome, PushError>) {
    for (path, why) in &account.left_out {
        run.leave_out(path, why);
    }
    let unnamed = account.left_out_count.saturating_sub(account.left_out.len() as u64);
    if unnamed > 0 {
        run.console().warn(&format!("left out: {unnamed} more"));
        run.report().count("left_out", unnamed);
    }
    for Warning { what, used, limit } in &account.warnings {
        run.console()
            .warn(&format!("over the server's soft limit of {what}: {used}, where {limit} are expected"));
    }
    run.report().count("warnings", account.warnings.len() as u64);
    for count in Count::ALL {
        run.report().count(count.name(), account.get(count));
    }
    let Ok(outcome) = outcome else { return };
    let verdict = if outcome.is_accepted { "accepted" } else { "sealed, not yet accepted" };
    let report = run.report();
    report.detail("push", outcome.push.to_string());
    report.detail("root", outcome.root.to_string());
    report.detail("base", outcome.base.map(|root| root.to_string()));
    report.detail("verdict", verdict);
    run.line(&format!(
        "{verdict}: {} entries, {} changes, {} contents, {} bytes sent",
        account.get(Count::Entries),
        account.get(Count::Changes),
        account.get(Count::SentContents),
        account.get(Count::SentBytes),
    ));
}

fn now() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        // A clock before 1970: then no touch counts as settled, and everything is read.
        Err(_) => i64::MIN,
    }
}
