//! `iceboxer setup`: prints how a vault is made. Touches nothing.

use cli::{Exit, Failed, Run};

use crate::setup::Setup;

/// Prints the Terraform; under `--json` the report carries the policies alone.
///
/// # Errors
/// None.
pub fn setup(setup: &Setup, run: &mut Run) -> Result<Exit, Failed> {
    let plans = setup.plans();
    for line in plans.terraform.lines() {
        run.line(line);
    }
    for (name, policy) in plans.policies {
        run.report().detail(name, policy);
    }
    Ok(Exit::WHOLE)
}
