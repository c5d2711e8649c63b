//! `cargo xtask build`, and building the programs where a person can watch.

use std::process::ExitCode;

use pipeline_tests::needs::Purpose;
use pipeline_tests::outcome::{code_of, line_of};
use pipeline_tests::{Profile, Programs};

use crate::args::BuildArgs;
use crate::needs;
use crate::trouble::{Result, Trouble};

pub(crate) fn run(args: &BuildArgs) -> Result<ExitCode> {
    needs::bring(&[Purpose::Build])?;
    let programs = programs(if args.dev { Profile::Dev } else { Profile::Release })?;
    programs.install(&args.to)?;
    println!("The five programs are in {}", args.to.display());
    Ok(ExitCode::SUCCESS)
}

/// Builds all five; cargo draws its own progress.
pub(crate) fn programs(profile: Profile) -> Result<Programs> {
    eprintln!("Building the programs");
    for mut command in Programs::commands(profile)? {
        let status = command.status()?;
        if !status.success() {
            return Err(Trouble::new(format!("{}: ended with {}", line_of(&command), code_of(status))));
        }
    }
    Ok(Programs::built(profile)?)
}
