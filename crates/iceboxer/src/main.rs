//! Seals history as encrypted images in locked vaults. The story is told in the library.

use std::process::ExitCode;

use clap::CommandFactory;
use iceboxer::args::{Args, Verb};
use iceboxer::cost::budget::OverBudget;
use iceboxer::plan::{Again, Plan};
use iceboxer::{settings::DEFAULT_PATH, settings::Settings, verb};

fn main() -> ExitCode {
    let args = match cli::parse::<Args>("iceboxer") {
        Ok(args) => args,
        Err(code) => return code,
    };
    cli::run(cli::Run::new("iceboxer", args.verb.name(), &args.common), |run| {
        let settings = || Settings::load(args.common.config_or(DEFAULT_PATH));
        match &args.verb {
            Verb::Run { hosts, again, over_budget } => {
                let over = if *over_budget { OverBudget::Allow } else { OverBudget::Stop };
                let again = if *again { Again::Seal } else { Again::Skip };
                verb::run::run(Plan::new(&settings()?, hosts.clone(), again, over, &run.console()), run)
            }
            Verb::ProveLock { vaults } => verb::prove_lock::prove_lock(&settings()?, vaults, run),
            Verb::Status => verb::status::status(&settings()?, run),
            Verb::List => verb::list::list(&settings()?, run),
            Verb::Cost { months } => verb::cost::cost(&settings()?, *months, run),
            Verb::Preflight { vaults } => verb::preflight::preflight(&settings()?, vaults, run),
            Verb::Setup(setup) => verb::setup::setup(setup, run),
            Verb::Manual(manual) => manual.write(Args::command(), &mut std::io::stdout()),
        }
    })
}
