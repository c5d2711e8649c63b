//! The options that all programs share, and parsing that keeps the promise of `--json` even for a mistyped command.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::console::Console;
use crate::exit::Exit;
use crate::failure::{Failed, Failure};
use crate::report::Report;
use crate::run::print_report;

/// Flattened into the command line of each program.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Common {
    /// Read the settings from FILE
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// End standard output with one line of JSON that reports the run
    #[arg(long, global = true)]
    pub json: bool,
    /// Say what is done; twice for details
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl Common {
    /// The settings file: the one that was named, or the program's own.
    #[must_use]
    pub fn config_or<'a>(&'a self, own: &'a str) -> &'a Path {
        self.config.as_deref().unwrap_or(Path::new(own))
    }

    /// The console these options ask for.
    #[must_use]
    pub fn console(&self) -> Console {
        Console::new(self.verbose)
    }
}

/// The command line was not understood. Its text is already on the screen.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

impl Failure for Usage {
    fn exit(&self) -> Exit {
        Exit::USAGE
    }
}

/// Parses the command line of `program`.
///
/// # Errors
/// The code to end with: 0 after `--help` and `--version`, 2 after a mistake. All is printed by then, the report under `--json` too.
pub fn parse<A: clap::Parser>(program: &str) -> Result<A, std::process::ExitCode> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let json = words.iter().take_while(|word| *word != "--").any(|word| word == "--json");
    A::try_parse_from(words).map_err(|error| {
        // Nobody to tell if the screen is gone.
        let _ = error.print();
        if !error.use_stderr() {
            return Exit::WHOLE.into();
        }
        if json {
            print_report(&refused(program, &error));
        }
        Exit::USAGE.into()
    })
}

fn refused(program: &str, error: &clap::Error) -> Report {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    let mut report = Report::new(program, "");
    let failed = Failed::from(Usage(first.trim_start_matches("error: ").to_owned()));
    report.close(Exit::USAGE, Some(&failed));
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Args {
        #[command(flatten)]
        common: Common,
        #[command(subcommand)]
        verb: Verb,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Verb {
        Run,
    }

    #[test]
    fn shared_options_stand_before_or_after_the_verb() {
        for line in [["firn", "--json", "-vv", "run"], ["firn", "run", "--json", "-vv"]] {
            let args = Args::try_parse_from(line).unwrap();
            assert!(args.common.json);
            assert_eq!(args.common.verbose, 2);
            assert_eq!(args.common.config_or("/etc/firn/push.toml"), Path::new("/etc/firn/push.toml"));
            assert!(matches!(args.verb, Verb::Run));
        }
    }

    #[test]
    fn a_mistyped_verb_is_reported_with_code_2() {
        let error = Args::try_parse_from(["firn", "rnu"]).unwrap_err();
        let line = refused("push-client", &error).line().unwrap();
        assert!(line.contains("\"exit\":2"), "{line}");
        assert!(line.contains("unrecognized subcommand 'rnu'"), "{line}");
    }
}
