//! Judges what waits, for all hosts or for some: one process for each push, one push of each host after another, so that no host waits for all of
//! another's.

use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};

use cli::{Exit, Failed, Monitor, Run};
use durable::{Dir, FileKind, Name};
use formats::HostId;

use crate::account::this_program;
use crate::ingest_host::outcome::{End, Outcome};
use crate::settings::Settings;
use crate::trouble::Trouble;
use crate::{sign, views};

/// Most names in a folder that has one for each host: more than any server has, and no more than memory takes.
pub(crate) const HOSTS_MAX: usize = 1_000_000;
/// Longest outcome.
const OUTCOME_BYTES: u64 = 64 * 1024;

/// Runs the verb.
pub(crate) fn run(run: &mut Run, settings: &Settings, only: &[HostId]) -> Result<Exit, Failed> {
    let all = hosts(settings)?;
    if let Some(host) = only.iter().find(|host| !all.contains(host)) {
        return Err(Trouble::NoHost { host: host.to_string() }.into());
    }
    let mut waiting = if only.is_empty() { all } else { only.to_vec() };
    let mut worst = Exit::WHOLE;
    let mut pushes = Vec::new();
    let mut written = BTreeSet::new();
    while !waiting.is_empty() {
        let mut again = Vec::new();
        for host in waiting {
            let (exit, outcome) = one(settings, &host)?;
            worst = worse(worst, exit);
            let Some(outcome) = outcome else {
                if is_abort(exit) {
                    run.console()
                        .warn(&format!("{host}: its ingest {}; the push waits", ended(settings, exit)));
                }
                pushes.push(
                    serde_json::json!({ "host": host.as_str(), "end": "pending", "exit": exit.code() }),
                );
                continue;
            };
            tell(run, &host, &outcome);
            if outcome.end != End::Idle {
                written.insert(host.clone());
                pushes.push(told(&host, &outcome)?);
            }
            if outcome.waiting > 0 && outcome.end != End::Idle {
                again.push(host);
            }
        }
        waiting = again;
    }
    sign::logs(&run.console(), settings, written.iter());
    run.report().detail("pushes", pushes);
    Ok(worst)
}

/// The hosts that have a jail, sorted.
pub(crate) fn hosts(settings: &Settings) -> Result<Vec<HostId>, Trouble> {
    let at = || Trouble::folder("listing the jails");
    let jails = Dir::open_root(&settings.jails).map_err(at())?;
    let mut hosts = Vec::new();
    for name in jails.names_at_most(HOSTS_MAX).map_err(at())? {
        let Some(host) = std::str::from_utf8(&name).ok().and_then(|text| HostId::parse(text).ok()) else {
            continue;
        };
        if jails.stat(Name::new(&name).map_err(at())?).map_err(at())?.kind == FileKind::Folder {
            hosts.push(host);
        }
    }
    Ok(hosts)
}

/// One process: at most one push. Without an outcome it has said on standard error what is wrong.
pub(crate) fn one(settings: &Settings, host: &HostId) -> Result<(Exit, Option<Outcome>), Failed> {
    process(settings, host, &[], Stdio::null())
}

/// As [`one`], with these words to it and this on its standard input.
pub(crate) fn process(
    settings: &Settings,
    host: &HostId,
    words: &[&str],
    input: Stdio,
) -> Result<(Exit, Option<Outcome>), Failed> {
    let starting = || format!("starting the ingest of {host}");
    let mut child = this_program()
        .args(["ingest-host", host.as_str(), "--config"])
        .arg(&settings.file)
        .args(words)
        .stdin(input)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Trouble::stream(starting()))?;
    let mut text = String::new();
    let read = child.stdout.take().map_or(Ok(0), |out| out.take(OUTCOME_BYTES).read_to_string(&mut text));
    let status = child.wait().map_err(Trouble::stream(starting()))?;
    let outcome = read.ok().and_then(|_| serde_json::from_str(text.lines().last()?).ok());
    let exit = exit_of(status);
    match outcome {
        Some(outcome) if exit == Exit::WHOLE || exit == Exit::SNAPSHOT_DIFFERS => Ok((exit, Some(outcome))),
        _ if exit == Exit::WHOLE => Ok((Exit::BUG, None)),
        _ => Ok((exit, None)),
    }
}

/// The code that a process ended with.
pub(crate) fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code).map_or(Exit::BUG, Exit::of),
        (None, Some(signal)) => u8::try_from(signal).map_or(Exit::BUG, Exit::signal),
        (None, None) => Exit::BUG,
    }
}

/// How a process ended that has judged nothing, in words.
pub(crate) fn ended(settings: &Settings, exit: Exit) -> String {
    if is_abort(exit) {
        let bytes = settings.ingest_memory_bytes;
        return format!(
            "was aborted, as it is if it needs more than {bytes} bytes of memory (limits.ingest_memory_bytes)"
        );
    }
    format!("ended with {exit}")
}

/// What an allocation that fails ends with.
fn is_abort(exit: Exit) -> bool {
    u8::try_from(rustix::process::Signal::ABORT.as_raw()).is_ok_and(|number| exit == Exit::signal(number))
}

/// What is wrong with a history is worse than what keeps a push waiting.
pub(crate) fn worse(a: Exit, b: Exit) -> Exit {
    let weight = |exit: Exit| match exit.class() {
        cli::exit::Class::Whole => 0,
        cli::exit::Class::Refused => 1,
        cli::exit::Class::Here | cli::exit::Class::Signal => 2,
        _ => 3,
    };
    if weight(b) > weight(a) { b } else { a }
}

/// Prints and counts what came of a push.
pub(crate) fn tell(run: &mut Run, host: &HostId, outcome: &Outcome) {
    let console = run.console();
    if let Some(lost) = &outcome.lost {
        console.warn(&format!("{host}: {lost}; the next push will be whole"));
    }
    for alarm in &outcome.alarms {
        console.warn(&format!("{host}: {alarm}; the push is kept, and expiry is on hold"));
    }
    if let Some(why) = &outcome.unmeasured {
        console.warn(&format!("{host}: the push could not be compared with what was there before: {why}"));
    }
    if let Some(why) = &outcome.views {
        views::warn(&console, host, why);
    }
    if let Some(why) = &outcome.unhealed {
        console.warn(&format!("{host}: what it brought again could not be put back: {why}; it stays wanted"));
    }
    let push = outcome.push.as_deref().unwrap_or("unknown");
    let code = outcome.code.as_ref().map_or("", |(_, words)| words.as_str());
    let report = run.report();
    match outcome.end {
        End::Idle => {}
        End::Accepted => {
            report.count("accepted", 1);
            report.count("new_bytes", outcome.new_bytes);
            let name = outcome.snapshot.as_deref().unwrap_or_default();
            let Outcome { entries, changes, new_bytes, .. } = outcome;
            let role = if outcome.is_emergency { " (an emergency)" } else { "" };
            run.line(&format!(
                "{host}: accepted as {name}{role}: {entries} entries, {changes} changes, {new_bytes} new bytes"
            ));
            if outcome.copies > 0 {
                run.report().count("copies", outcome.copies);
                run.line(&format!(
                    "{host}: copied {} contents whose file had as many names as it can bear; new bytes count them",
                    outcome.copies
                ));
            }
            if outcome.healed > 0 {
                run.report().count("healed", outcome.healed);
                run.line(&format!(
                    "{host}: healed {} contents in all snapshots that name them",
                    outcome.healed
                ));
            }
        }
        End::Unchanged => {
            report.count("accepted", 1);
            report.count("unchanged", 1);
            let name = outcome.snapshot.as_deref().unwrap_or_default();
            let role = if outcome.is_emergency { " (an emergency)" } else { "" };
            run.line(&format!("{host}: accepted{role}: nothing has changed since {name}"));
        }
        End::Rejected => {
            report.count("rejected", 1);
            run.line(&format!("{host}: push {push} rejected: {code}"));
        }
        End::Repeated => {
            report.count("repeated", 1);
            run.line(&format!("{host}: push {push} was judged before"));
        }
    }
}

pub(crate) fn told(host: &HostId, outcome: &Outcome) -> Result<serde_json::Value, Failed> {
    let mut value =
        serde_json::to_value(outcome).map_err(|error| Failed::bug("telling the outcome", error))?;
    if let Some(fields) = value.as_object_mut() {
        fields.insert("host".to_owned(), host.as_str().into());
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_host_hides_no_other_failure() {
        let worst = |exits: &[Exit]| exits.iter().fold(Exit::WHOLE, |worst, exit| worse(worst, *exit));
        assert_eq!(worst(&[Exit::WHOLE, Exit::BUSY]), Exit::BUSY);
        assert_eq!(worst(&[Exit::BUSY, Exit::LEFT_OUT]), Exit::LEFT_OUT);
        assert_eq!(worst(&[Exit::LEFT_OUT, Exit::BUSY]), Exit::LEFT_OUT);
        assert_eq!(worst(&[Exit::BUSY, Exit::MACHINE, Exit::DAMAGED, Exit::BUSY]), Exit::DAMAGED);
    }
}
