//! Installing what is missing, with a word to the person in front of it.

use pipeline_tests::needs::{Purpose, install_missing};

use crate::trouble::Result;

pub(crate) fn bring(purposes: &[Purpose]) -> Result<()> {
    install_missing(purposes, &mut |packages| eprintln!("Installing {}", packages.join(" ")))?;
    Ok(())
}
