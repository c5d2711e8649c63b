//! `push-client run`.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cli::{Console, Exit, Failed, Monitor, Run};
use formats::Root;
use formats::session::Role;
use rustix::fs::{Mode, OFlags};
use rustix::process::{getpriority_process, setpriority_process};

use super::commands::Around;
use super::confine::confine;
use crate::commands::{Runner, stop};
use crate::host;
use crate::plan::{Plan, Target};
use crate::push::{Account, Count, Delivery, Job, Outcome, Phase, PushError, Session, Warning, push};
use crate::state::{RunRecord, Runs, StateFolder};
use crate::transport::{self, PushFile};
use crate::walk::Ahead;

/// A push into a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct ByFile<'a> {
    pub(super) file: &'a Path,
    /// What somebody says that the server has accepted meanwhile.
    pub(super) accepted: Option<Root>,
}

pub(super) fn run(
    run: &mut Run,
    settings: &Path,
    role: Role,
    to_file: Option<ByFile<'_>>,
) -> Result<Exit, Failed> {
    let console = run.console();
    let mut plan = Plan::load(settings)?;
    run.report().detail("host", plan.host.as_str());
    run.report().detail("transport", if to_file.is_some() { "file" } else { plan.target.way.name() });
    step_back(plan.nice, &console);
    let state = StateFolder::open(&plan.state)?;
    let (started, clock) = (now(), Instant::now());
    // Only told and estimated with; what cannot be read is not known.
    let before = state.runs().unwrap_or_default();
    let mut account = Account::default();
    run.report().detail("emergency", role == Role::Emergency);
    let by_file = to_file.map(|file| file_of(file, &mut plan, &state, &console)).transpose()?;
    let order = Order { plan: &plan, started, role, before: before.as_ref(), by_file: by_file.as_ref() };
    let mut around = Around::start(settings, &plan, &state)?;
    let prepared = around.before(&plan.commands, &console);
    let outcome = prepared.and_then(|()| {
        let runner = around.runner.as_mut();
        attempt(&order, &state, runner, &mut account, &console)
    });
    let outcome = around.judged(outcome);
    account.enter(None);
    let took = clock.elapsed();
    tell(run, &account, &outcome, took);
    if let (Some(ByFile { file, .. }), Ok(_)) = (to_file, &outcome) {
        run.line(&format!("written to {}", cli::shown(file.as_os_str().as_encoded_bytes())));
    }
    let exit = match &outcome {
        Ok(outcome) => exit(outcome),
        Err(failed) => failed.exit(),
    };
    let is_left_out = exit == Exit::WHOLE && account.left_out_count > 0;
    let exit = around.after(run, &plan.commands, if is_left_out { Exit::LEFT_OUT } else { exit });
    let record = RunRecord {
        started,
        seconds: rounded(took),
        exit: exit.code(),
        counts: Count::ALL.iter().map(|count| (count.name().to_owned(), account.get(*count))).collect(),
    };
    let is_accepted = outcome.as_ref().is_ok_and(|outcome| outcome.is_accepted);
    if let Err(error) = state.record_run(&Runs::after(record, is_accepted, before)) {
        console.warn(&format!("how this run went is not remembered: {}", Failed::from(error).chain()));
    }
    outcome.map(|_| exit)
}

/// What is to be done, and what was done before.
struct Order<'a> {
    plan: &'a Plan,
    started: i64,
    role: Role,
    before: Option<&'a Runs>,
    /// Where the push goes instead of to a server.
    by_file: Option<&'a PushFile>,
}

/// From the connection to the verdict.
fn attempt(
    order: &Order<'_>,
    state: &StateFolder,
    runner: Option<&mut Runner>,
    account: &mut Account,
    console: &Console,
) -> Result<Outcome, Failed> {
    let Order { plan, started, role, before, by_file } = *order;
    account.enter(Some(Phase::Connect));
    let zone = host::zone();
    let (carried, delivery) = match by_file {
        Some(file) => (file.open(&plan.target)?, Delivery::File),
        None => {
            let Target { address, port, way, .. } = &plan.target;
            console.info(&format!("connecting to {address} port {port} by {}", way.name()));
            (transport::open(&plan.target)?, Delivery::Session)
        }
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = rustix::fs::open(c"/", flags, Mode::empty())
        .map_err(|errno| Failed::machine("opening /", errno.into()))?;
    confine(&top, Some(&state.as_fd()), carried.child_id(), plan, console)?;
    stop::ends(carried.child_id()).map_err(|error| Failed::machine("starting a thread", error))?;
    // The walk goes ahead while the server is still being reached: nothing of it depends on what the server says.
    let ahead = Ahead::start(Arc::clone(&plan.selection), top)
        .map_err(|error| Failed::machine("starting a thread", error))?;
    let expected = before.and_then(|runs| runs.accepted.as_ref()).map(|run| run.count(Count::Entries.name()));
    let walked_before = before.and_then(Runs::walked);
    let job =
        Job { plan, ahead, started, zone, entries_expected: expected, walked_before, role, delivery, runner };
    let pushed = push(job, state, Session::new(carried)?, account, console);
    if let Err(PushError::Refused { retry_seconds, .. }) = &pushed {
        account.retry_seconds = Some(*retry_seconds);
    }
    Ok(pushed?)
}

fn exit(outcome: &Outcome) -> Exit {
    match outcome.earlier {
        // Nobody has been told of it yet, and this push may be all that is left to tell it.
        Some(code) => Exit::of(code.exit_code()),
        None if outcome.is_accepted => Exit::WHOLE,
        None => Exit::PENDING,
    }
}

/// What is written there, which is no part of what is pushed.
fn file_of(
    asked: ByFile<'_>,
    plan: &mut Plan,
    state: &StateFolder,
    monitor: &dyn Monitor,
) -> Result<PushFile, Failed> {
    let ByFile { file, accepted } = asked;
    let file = std::path::absolute(file).map_err(|error| Failed::machine("finding the push file", error))?;
    // As the walk meets it, which follows no link: the file must not be pushed itself. What is not there is told when it is opened.
    let file = match (file.parent().map(Path::canonicalize), file.file_name()) {
        (Some(Ok(parent)), Some(name)) => parent.join(name),
        _ => file,
    };
    let memory = state.memory(monitor)?;
    let queued = memory.pending.iter().map(|pending| pending.push).collect();
    if let Some(root) = accepted
        && !memory.roots().any(|known| known == root)
    {
        return Err(PushError::Unremembered { root }.into());
    }
    let base = accepted.or(memory.accepted);
    let asked = PushFile { host: plan.host.clone(), base, queued, file };
    for name in asked.names() {
        plan.pass_over(&name);
    }
    Ok(asked)
}

/// Behind other programs, and the transport with us. Nobody is brought forward: a unit may have set us further back.
fn step_back(nice: i32, monitor: &dyn Monitor) {
    let now = getpriority_process(None);
    if now.is_ok_and(|now| now >= nice) {
        return;
    }
    // The kernel serves the disk by it too, where nothing else was set (ioprio_set(2)).
    if let Err(errno) = setpriority_process(None, nice) {
        monitor.info(&format!("cannot step back behind other programs: {errno}"));
    }
}

/// What was left out, and the counts.
pub(super) fn tell_account(run: &mut Run, account: &Account) {
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
}

/// What was done, whatever came of it.
fn tell(run: &mut Run, account: &Account, outcome: &Result<Outcome, Failed>, took: Duration) {
    tell_account(run, account);
    let phases: serde_json::Map<_, _> = Phase::ALL
        .map(|phase| (phase.name().to_owned(), rounded(account.spent(phase)).into()))
        .into_iter()
        .collect();
    run.report().detail("seconds", phases);
    if let Some(seconds) = account.retry_seconds {
        run.report().detail("retry_seconds", seconds);
    }
    let Ok(outcome) = outcome else { return };
    let verdict = if outcome.is_accepted { "accepted" } else { "sealed, not yet accepted" };
    let report = run.report();
    report.detail("push", outcome.push.to_string());
    report.detail("root", outcome.root.to_string());
    report.detail("base", outcome.base.map(|root| root.to_string()));
    report.detail("verdict", verdict);
    let phases =
        Phase::ALL.map(|phase| format!("{} {:.1}", phase.name(), account.spent(phase).as_secs_f64()));
    run.line(&format!(
        "{verdict}: {} entries, {} changes, {} contents, {} bytes read, {} bytes sent, {} excluded, {} left out; {:.1} seconds ({})",
        account.get(Count::Entries),
        account.get(Count::Changes),
        account.get(Count::SentContents),
        account.get(Count::ReadBytes),
        account.get(Count::SentBytes),
        account.get(Count::Excluded),
        account.left_out_count,
        took.as_secs_f64(),
        phases.join(", "),
    ));
}

/// Seconds, to the millisecond.
fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

fn now() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        // A clock before 1970: then no touch counts as settled, and everything is read.
        Err(_) => i64::MIN,
    }
}
