//! One file for each verb.

mod image;
mod keep_image;
mod list;
mod report;
mod restore;
mod thaw;
mod verify;

use std::process::ExitCode;

use clap::CommandFactory;
use cli::Run;

use crate::args::{Args, PROGRAM, Verb};
use crate::settings;

/// Runs the verb to its end.
pub(crate) fn run(args: Args) -> ExitCode {
    let Args { common, verb } = args;
    if let Verb::ReadImage { memory_bytes, wanted } = &verb {
        return crate::image::child::serve(*memory_bytes, wanted);
    }
    cli::run(Run::new(PROGRAM, verb.word(), &common), |run| match verb {
        Verb::Manual(manual) => manual.write(Args::command(), &mut std::io::stdout()),
        verb => {
            let settings = settings::read(common.config_or(settings::PATH))?;
            match verb {
                Verb::List { host, vault } => list::list(run, &settings, host.as_ref(), vault.as_deref()),
                Verb::Verify { source } => verify::verify(run, &settings, &source),
                Verb::Restore { source, path, to, snapshot } => {
                    let wanted = restore::Wanted { path, to, snapshot };
                    restore::restore(run, &settings, &source, &wanted)
                }
                Verb::Thaw { ice, vault, tier, days } => {
                    thaw::thaw(run, &settings, &ice, vault.as_deref(), thaw::wish(tier, days))
                }
                Verb::Report { host } => report::report(run, &settings, host.as_ref()),
                Verb::ReadImage { .. } | Verb::Manual(_) => Ok(cli::Exit::USAGE),
            }
        }
    })
}
