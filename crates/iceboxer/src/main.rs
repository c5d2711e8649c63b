//! Seals history as encrypted images in locked vaults. The story is told in the library.

use std::process::ExitCode;

use clap::CommandFactory;
use iceboxer::args::{Args, Verb};
use iceboxer::plan::{Again, Plan};
use iceboxer::settings::{DEFAULT_PATH, Settings};
use iceboxer::verb;

fn main() -> ExitCode {
    let args = match cli::parse::<Args>("iceboxer") {
        Ok(args) => args,
        Err(code) => return code,
    };
    cli::run(cli::Run::new("iceboxer", args.verb.name(), &args.common), |run| {
        let settings = || Settings::load(args.common.config_or(DEFAULT_PATH));
        match &args.verb {
            Verb::Run { hosts, again } => {
                let again = if *again { Again::Seal } else { Again::Skip };
                verb::run::run(Plan::new(&settings()?, hosts.clone(), again, &run.console())?, run)
            }
            Verb::List => verb::list::list(&settings()?, run),
            Verb::Manual(manual) => manual.write(Args::command(), &mut std::io::stdout()),
        }
    })
}
