//! From the command line to the verb.

mod audit;
mod check;
mod commands;
mod confine;
mod dry_run;
mod exclude_test;
mod rendezvous;
mod run;
mod schedule;
mod status;

use std::process::ExitCode;

use clap::CommandFactory;
use cli::{Exit, Failed, Run};
use formats::session::Role;
use sandbox::Landlock;

use crate::args::{Args, PROGRAM, Verb};
use crate::commands::{become_user, serve, stop};
use crate::settings::SETTINGS_FILE;
use crate::transport::{become_ssh, run_attempt, run_transport, write_push_file};

/// Runs the program.
pub fn main() -> ExitCode {
    let args = match cli::parse::<Args>(PROGRAM) {
        Ok(args) => args,
        Err(code) => return code,
    };
    if matches!(args.verb, Verb::Transport) {
        // No report, no console: it talks to its parent only.
        return run_transport();
    }
    if let Verb::Attempt { what } = args.verb {
        return run_attempt(what);
    }
    if let Verb::BecomeSsh { paths, confined, command } = &args.verb {
        let landlock = if *confined { Landlock::Required } else { Landlock::IfAvailable };
        return become_ssh(paths, landlock, command);
    }
    if let Verb::WritePushFile(asked) = &args.verb {
        return write_push_file(asked);
    }
    if let Verb::BecomeUser(asked) = &args.verb {
        return become_user(asked);
    }
    if matches!(args.verb, Verb::RunCommands) {
        return serve(args.common.config_or(SETTINGS_FILE));
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let run = Run::new(PROGRAM, args.verb.word(), &args.common);
    let code = cli::run(run, |run| verb(run, &args));
    stop::end_as_told();
    code
}

fn verb(run: &mut Run, args: &Args) -> Result<Exit, Failed> {
    let settings = args.common.config_or(SETTINGS_FILE);
    match &args.verb {
        Verb::Run { dry_run: true, .. } => dry_run::dry_run(run, settings),
        Verb::Run { emergency: true, .. } => run::run(run, settings, Role::Emergency, None),
        Verb::Run { emergency: false, to_file, accepted, .. } => {
            let by_file = to_file.as_deref().map(|file| run::ByFile { file, accepted: *accepted });
            run::run(run, settings, Role::Usual, by_file)
        }
        Verb::Audit => audit::audit(run, settings),
        Verb::Check => check::check(run, settings),
        Verb::Schedule { hostname } => {
            schedule::schedule(run, settings, hostname.as_deref(), args.common.verbose)
        }
        Verb::ExcludeTest { paths } => exclude_test::exclude_test(run, settings, paths),
        Verb::Rendezvous { verb } => rendezvous::rendezvous(run, verb),
        Verb::Status => status::status(run, settings),
        Verb::Manual(manual) => manual.write(Args::command(), &mut std::io::stdout().lock()),
        Verb::Transport
        | Verb::Attempt { .. }
        | Verb::BecomeSsh { .. }
        | Verb::WritePushFile(_)
        | Verb::RunCommands
        | Verb::BecomeUser(_) => Err(Failed::bug("choosing a verb", "it was chosen before")),
    }
}
