//! `push-client check`: each thing a push needs, in the order in which it needs them. The first that is wrong is named, with
//! what to do about it.

use std::path::Path;
use std::time::Duration;

use cli::{Exit, Failed, Run};
use rustix::fs::{Mode, OFlags};

use super::confine::confine;
use crate::commands;
use crate::openssh::{KeyError, PrivateKey};
use crate::plan::{Plan, Target, Way};
use crate::push::{PushError, Session, greet};
use crate::state::{StateError, StateFolder};
use crate::transport;

pub(super) fn check(run: &mut Run, settings: &Path) -> Result<Exit, Failed> {
    let plan = Plan::load(settings)?;
    let target = &plan.target;
    run.report().detail("host", plan.host.as_str());
    run.report().detail("account", target.account.as_str());
    run.report().detail("transport", target.way.name());
    run.line(&format!("settings    good: host {}", plan.host));
    if !plan.commands.is_empty() {
        run.line(&format!("commands    good: {}", commands::look(&plan.commands)?));
    }
    run.line(&format!("key         good: {}", key(target)?));
    let state = match StateFolder::open(&plan.state) {
        Ok(state) => Some(state),
        Err(StateError::Busy) => None,
        Err(error) => return Err(error.into()),
    };
    run.line(match state {
        Some(_) => "state       good",
        None => "state       good, and in use by a push under way",
    });
    let carried = transport::open(target)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = rustix::fs::open(c"/", flags, Mode::empty())
        .map_err(|errno| Failed::machine("opening /", errno.into()))?;
    let console = run.console();
    confine(&top, state.as_ref().map(|state| state.as_fd()).as_ref(), carried.child_id(), &plan, &console)?;
    let mut session = Session::new(carried)?;
    let message = greet(&mut session, Duration::from_secs(u64::from(target.connect_seconds) * 2))?;
    session.end();
    let address = cli::shown(target.address.as_bytes());
    run.line(&format!("connection  good: {address} port {} by {}", target.port, target.way.name()));
    run.line("host key    good: it is the pinned one");
    run.line(&format!("account     good: {} is let in", cli::shown(target.account.as_bytes())));
    if message.published.host != plan.host {
        return Err(PushError::WrongHost { theirs: message.published.host, ours: plan.host }.into());
    }
    let waiting = message.queued.len();
    let base =
        message.base().map_or_else(|| "nothing accepted yet".to_owned(), |root| format!("accepted {root}"));
    run.line(&format!("jail        good: {base}; {waiting} pushes wait to be judged"));
    run.report().count("queued", waiting as u64);
    Ok(Exit::WHOLE)
}

/// What lets us in, as far as it is ours to look at.
fn key(target: &Target) -> Result<String, KeyError> {
    let Some(path) = &target.key else { return Ok("none of ours; what ssh finds, or its agent".to_owned()) };
    match &target.way {
        Way::Ssh2 => PrivateKey::load(path).map(drop)?,
        Way::Ssh(program) => program.look(path)?,
    }
    Ok(cli::shown(path.as_os_str().as_encoded_bytes()))
}
