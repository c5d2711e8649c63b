//! From the command line to the verb.

use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory;
use cli::{Exit, Failed, Run};

use crate::args::{Args, ImportOf, PROGRAM, Verb};
use crate::hold::{self, Change};
use crate::prune::{self, Step};
use crate::settings::{SETTINGS_FILE, Settings};
use crate::{
    account, audit, by_file, decode, diff, explain, find, grant, heal, host, import, ingest, ingest_host,
    list, redact, restore, scribe, show, sign, status, take, verify, views, watch,
};

/// Files that are made are for the account and its group only.
const UMASK: u32 = 0o027;

/// Runs what was asked for.
pub(crate) fn run(args: Args) -> ExitCode {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(UMASK));
    if let Verb::Decode(budget) = args.verb {
        // No report, no console: it talks only through its pipe.
        return decode::run(budget);
    }
    let run = Run::new(PROGRAM, args.verb.word(), &args.common);
    cli::run(run, |run| verb(run, &args))
}

fn verb(run: &mut Run, args: &Args) -> Result<Exit, Failed> {
    if let Verb::Manual(manual) = &args.verb {
        return manual.write(Args::command(), &mut std::io::stdout().lock());
    }
    if let Verb::AuditAttempts = &args.verb {
        // It gives root up before it tries anything, and may be in a jail without settings then.
        return audit::attempt::child();
    }
    let settings = Settings::load(args.common.config_or(SETTINGS_FILE))?;
    match &args.verb {
        Verb::Host { verb } => host::run(run, &settings, verb),
        Verb::Grant { verb } => grant::run(run, &settings, verb),
        Verb::Redact { verb } => redact::run(run, &settings, verb),
        Verb::Import { of: ImportOf::Rsnapshot(asked) } => import::run(run, &settings, asked),
        Verb::Take(asked) => take::run(run, &settings, asked),
        Verb::TakeHost { host, step, scratch } => take::child(&settings, host, *step, scratch),
        Verb::Audit { all, with, with_salt } => {
            audit::run(run, &settings, &audit::Asked::new(*all, with, with_salt))
        }
        Verb::Ingest { hosts, from: Some(file), opened, .. } => {
            by_file::run(run, &settings, &by_file::Brought { hosts, file, opened: *opened })
        }
        Verb::Restore(asked) => {
            let json = if args.common.json { restore::Json::Asked } else { restore::Json::Not };
            restore::run(run, &settings, asked, json)
        }
        verb => {
            account::leave_root(&settings)?;
            unprivileged(run, &settings, verb)
        }
    }
}

fn unprivileged(run: &mut Run, settings: &Settings, verb: &Verb) -> Result<Exit, Failed> {
    match verb {
        Verb::Ingest { hosts, watch: true, sweep_seconds, .. } => {
            watch::run(run, settings, hosts, Duration::from_secs(*sweep_seconds))
        }
        Verb::Ingest { hosts, .. } => ingest::run(run, settings, hosts),
        Verb::IngestHost { host, from_input, imported_at } => {
            let source = match (from_input, imported_at) {
                (_, Some(seconds)) => ingest_host::Source::imported(*seconds)?,
                (true, None) => ingest_host::Source::Input,
                (false, None) => ingest_host::Source::Jail,
            };
            ingest_host::run(run, settings, host, source)
        }
        Verb::List { host } => list::run(run, settings, host.as_ref()),
        Verb::Show { host, snapshot, entries } => {
            let depth = if *entries { show::Depth::Entries } else { show::Depth::Facts };
            show::run(run, settings, host, snapshot, depth)
        }
        Verb::Find { pattern, host } => find::run(run, settings, pattern, host.as_ref()),
        Verb::Diff { host, first, second, path } => {
            diff::run(run, settings, host, (first, second), path.as_deref())
        }
        Verb::Verify(asked) => verify_of(run, settings, asked),
        Verb::HealHosts => heal::foreman::child(run, settings),
        Verb::HealHost { host } => heal::host::run(run, settings, host),
        Verb::Note => scribe::child(settings),
        Verb::Sign => sign::child(settings),
        Verb::RedactHost { host } => redact::host::run(run, settings, host),
        Verb::NoteGrant { host } => grant::note::child(settings, host),
        Verb::Prune { hosts, plan, execute } => {
            let step = match (plan, execute) {
                (true, true) => Step::Both,
                (true, false) => Step::Plan,
                (false, _) => Step::Execute,
            };
            prune::run(run, settings, hosts, step)
        }
        Verb::PruneHost { host, step } => prune::host::run(run, settings, host, *step),
        Verb::Hold { target, reason } => hold::run(run, settings, target, reason, Change::Hold),
        Verb::Release { target, reason } => hold::run(run, settings, target, reason, Change::Release),
        Verb::Explain { target } => explain::run(run, settings, target),
        Verb::Views { host } => views::run(run, settings, host.as_ref()),
        Verb::Status { hosts } => status::run(run, settings, hosts),
        Verb::AuditHistory => audit::past::child(settings),
        Verb::Host { .. }
        | Verb::Grant { .. }
        | Verb::Redact { .. }
        | Verb::Import { .. }
        | Verb::Take(_)
        | Verb::TakeHost { .. }
        | Verb::Restore(_)
        | Verb::Decode(_)
        | Verb::Manual(_)
        | Verb::Audit { .. }
        | Verb::AuditAttempts => Err(Failed::bug("choosing a verb", "it was chosen before")),
    }
}

/// The logs alone, or all.
fn verify_of(run: &mut Run, settings: &Settings, typed: &verify::args::Typed) -> Result<Exit, Failed> {
    let (host, certificate) = (typed.host.as_ref(), typed.certificate.as_ref());
    if typed.log {
        return verify::log::run(run, settings, &verify::log::Asked { host, certificate, head: typed.head });
    }
    let extent = if typed.rolling { verify::Extent::Due } else { verify::Extent::Whole };
    let repair = if typed.repair { verify::Repair::Asked } else { verify::Repair::Never };
    verify::run(run, settings, verify::Asked { host, extent, repair })
}
