//! `iceboxer preflight`: what is wrong before anything is put, each with why and with the fix.

use chrono::Utc;
use cli::{Exit, Failed, Run};
use serde_json::Value;

use crate::preflight::{Finding, NotReady, Severity, preflight as look};
use crate::settings::Settings;

/// Looks, and prints what it finds, the weightiest first.
///
/// # Errors
/// The first failure that is found, after all are printed; a vault is named that the settings do not have (exit 2).
pub fn preflight(settings: &Settings, vaults: &[String], run: &mut Run) -> Result<Exit, Failed> {
    let mut findings = look(settings, vaults, Utc::now())?;
    findings.sort_by_key(|finding| finding.severity);
    for finding in &findings {
        show(finding, run);
    }
    if findings.is_empty() {
        run.line("nothing found");
    }
    let number = |severity| findings.iter().filter(|finding| finding.severity == severity).count() as u64;
    let (failures, warnings) = (number(Severity::Failure), number(Severity::Warning));
    run.report().count("failures", failures);
    run.report().count("warnings", warnings);
    run.report().count("advice", number(Severity::Advice));
    run.report().detail("findings", findings.iter().map(Finding::as_json).collect::<Vec<Value>>());
    match findings.into_iter().next() {
        Some(first) if first.severity == Severity::Failure => Err(NotReady(first).into()),
        _ if warnings > 0 => Ok(Exit::LEFT_OUT),
        _ => Ok(Exit::WHOLE),
    }
}

fn show(finding: &Finding, run: &mut Run) {
    let Finding { check, severity, on, seen } = finding;
    run.line(&format!("{:<8} {:<28} {on}: {seen}", severity.word(), check.code));
    run.line(&format!("{:8} why: {}", "", check.why));
    run.line(&format!("{:8} fix: {}", "", check.fix));
}
