//! Building the programs where a person can watch.

use pipeline_tests::outcome::{code_of, line_of};
use pipeline_tests::{Profile, Programs};

use crate::trouble::{Result, Trouble};

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
