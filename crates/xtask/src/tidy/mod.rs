//! `cargo xtask tidy`: the house rules, as far as a program can hold them. Also a test, so nobody has to remember it.

mod changelog;
mod crates;
mod floors;
mod golden;
mod mask;
mod metadata;
mod receiver;
mod shape;
mod sources;
mod words;

use std::process::ExitCode;

use pipeline_tests::machine::workspace;

use crate::trouble::Result;
use sources::Sources;

/// One rule that does not hold, with the place.
pub(crate) type Finding = String;

pub(crate) fn run() -> Result<ExitCode> {
    let findings = findings()?;
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        println!("All house rules hold.");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

/// What is not as the house rules want it; empty if all hold.
fn findings() -> Result<Vec<Finding>> {
    let metadata = metadata::load()?;
    let sources = Sources::load(&workspace())?;
    let mut findings = Vec::new();
    findings.extend(floors::check(&metadata));
    findings.extend(crates::check(&metadata, &sources));
    findings.extend(shape::check(&sources));
    findings.extend(words::check(&sources));
    findings.extend(changelog::check(&sources));
    findings.extend(golden::check(&workspace())?);
    findings.extend(receiver::check(&sources)?);
    Ok(findings)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_house_rules_hold() {
        let findings = super::findings().unwrap();
        assert!(findings.is_empty(), "\n{}", findings.join("\n"));
    }
}
