//! `push-client run --dry-run`: what a push would send. No connection is made, and nothing written, not even a lock.

use std::os::fd::OwnedFd;
use std::path::Path;

use cli::{Exit, Failed, Monitor, Run};
use rustix::fs::{Mode, OFlags};

use super::confine::confine;
use super::run::tell_account;
use crate::plan::Plan;
use crate::push::{Account, Difference, Preview, preview};
use crate::state::StateFolder;

pub(super) fn dry_run(run: &mut Run, settings: &Path) -> Result<Exit, Failed> {
    let console = run.console();
    let plan = Plan::load(settings)?;
    run.report().detail("host", plan.host.as_str());
    for line in plan.commands.lines() {
        run.line(&format!("would run {line}"));
    }
    let accepted = StateFolder::peek(&plan.state)?.and_then(|remembered| remembered.memory.accepted);
    let base = match accepted.map(|root| StateFolder::peek_base(&plan.state, root)).transpose() {
        Ok(base) => base,
        Err(error) => {
            let error = Failed::from(crate::push::PushError::Base(error)).chain();
            console.warn(&format!("{error}: comparing with nothing"));
            None
        }
    };
    run.report().detail("base", base.as_ref().and(accepted).map(|root| root.to_string()));
    let than =
        if base.is_some() { "the accepted state" } else { "nothing, as no state is known to be accepted" };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = rustix::fs::open(c"/", flags, Mode::empty())
        .map_err(|errno| Failed::machine("opening /", errno.into()))?;
    confine(&top, None::<&OwnedFd>, None, &plan, &console)?;
    let mut account = Account::default();
    let mut tell = |difference, path: &formats::RelPath| {
        let sign = match difference {
            Difference::New => '+',
            Difference::Changed => 'M',
            Difference::Removed => '-',
        };
        run.line(&format!("{sign} /{}", cli::shown(path.as_bytes())));
    };
    let outcome = preview((&plan.selection, top), base, &mut account, &console, &mut tell);
    tell_account(run, &account);
    let Preview { entries, new, changed, removed, content_bytes } = outcome?;
    for (name, number) in [
        ("entries", entries),
        ("new", new),
        ("changed", changed),
        ("removed", removed),
        ("content_bytes", content_bytes),
    ] {
        run.report().count(name, number);
    }
    run.line(&format!(
        "dry run: {new} new, {changed} changed, {removed} removed, {entries} entries in all, at most {content_bytes} bytes of \
         contents to send before compression; compared with {than}"
    ));
    Ok(Exit::WHOLE)
}
