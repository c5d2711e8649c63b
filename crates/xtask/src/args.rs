//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::trouble::Trouble;
use crate::{bench, build, demo, fuzz, janitor, package, simulate, test, tidy};

/// The project's own commands
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Back up real folders on a scratch server, seal them, restore them with stock tools, and compare
    Demo(DemoArgs),
    /// Install what the tests need and run everything: format, lints, tests, fuzz targets
    Test(TestArgs),
    /// Build the five programs, and put them into a folder
    Build(BuildArgs),
    /// Build the Debian packages
    Package(PackageArgs),
    /// Measure ours and the peers side by side
    Bench(BenchArgs),
    /// Load on a backup server of 30 to 100,000 hosts, by the real minutes of their names
    Simulate(SimulateArgs),
    /// Run each fuzz target for a while
    Fuzz(FuzzArgs),
    /// Hold the sources against the house rules
    Tidy,
    /// Cleans up if its employer is killed; started by the others
    #[command(hide = true)]
    Janitor(JanitorArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// A folder to back up instead of /etc and /usr/share/doc; may be given several times
    #[arg(long = "path", value_name = "FOLDER")]
    pub(crate) paths: Vec<PathBuf>,
    /// Leave the folder of the scratch server to look around in
    #[arg(long)]
    pub(crate) keep: bool,
    /// Build quickly instead of well, as the tests do
    #[arg(long)]
    pub(crate) dev: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TestArgs {
    /// Also run the tests that take many minutes
    #[arg(long)]
    pub(crate) long: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct BuildArgs {
    /// The folder; made if it is not there
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: PathBuf,
    /// Build quickly instead of well, as the tests do
    #[arg(long)]
    pub(crate) dev: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PackageArgs {
    /// The folder; `packages` of cargo's own if it is not given
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: Option<PathBuf>,
    /// Build quickly instead of well, as the tests do
    #[arg(long)]
    pub(crate) dev: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// Only rows whose id begins with this
    #[arg(long, value_name = "PREFIX", default_value = "")]
    pub(crate) only: String,
    /// How often each is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// Write the rows to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SimulateArgs {
    /// Hosts of a fleet; may be given several times, and replaces the usual six fleets
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) hosts: Vec<u32>,
    /// Cores of the server
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(4..=1_024))]
    pub(crate) cores: u64,
    /// Measure the costs on this machine first, on a scratch server, and use them instead of those of docs/scaling.md
    #[arg(long)]
    pub(crate) measure: bool,
    /// Write all figures to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct JanitorArgs {
    #[arg(long)]
    pub(crate) parent: PathBuf,
    #[arg(long)]
    pub(crate) employer: u32,
    #[arg(long)]
    pub(crate) image: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct FuzzArgs {
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    pub(crate) seconds: u32,
}

pub(crate) fn run() -> ExitCode {
    let args = Args::parse();
    let done = match &args.verb {
        Verb::Demo(args) => demo::run(args),
        Verb::Test(args) => test::run(args),
        Verb::Build(args) => build::run(args),
        Verb::Package(args) => package::run(args),
        Verb::Bench(args) => bench::run(args),
        Verb::Simulate(args) => simulate::run(args),
        Verb::Fuzz(args) => fuzz::run(args),
        Verb::Tidy => tidy::run(),
        Verb::Janitor(args) => janitor::run(args),
    };
    done.unwrap_or_else(|trouble: Trouble| {
        eprintln!("{trouble}");
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }
}
