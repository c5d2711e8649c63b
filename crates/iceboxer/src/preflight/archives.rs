//! What a vault of archives tells about itself, judged.

use chrono::TimeDelta;
use vault::inspection::{AgeLock, Archives, Fact};

use super::checks::{CLOCK_SKEW, NO_OBJECT_LOCK, NOT_ANSWERED, NOT_VISIBLE, SHORT_DEFAULT_RETENTION};
use super::finding::Finding;
use super::vaults::on;
use crate::settings::VaultSettings;

/// So far apart the clocks may be before a person is told.
const SKEW_WARNED: TimeDelta = TimeDelta::minutes(5);
/// Ice is locked until the end of a day, and not all of it is put on one.
pub(super) const DAYS_MORE: u32 = 2;

/// What there is to say about a vault of archives.
#[must_use]
pub fn findings(vault: &VaultSettings, archives: &Archives) -> Vec<Finding> {
    let on = on(vault);
    let mut findings = Vec::new();
    if archives.clock_ahead.is_some_and(|ahead| ahead.abs() > SKEW_WARNED) {
        findings.push(Finding::new(CLOCK_SKEW, &on, "this machine's clock is not the vault's"));
    }
    match &archives.lock {
        Fact::Seen(AgeLock::Absent { why }) => findings.push(Finding::new(NO_OBJECT_LOCK, &on, *why)),
        Fact::Seen(AgeLock::Keeps { days }) if *days < vault.retention_days.saturating_add(DAYS_MORE) => {
            let seen = format!(
                "its Vault Lock keeps archives for {days} days, and retention_days is {}; {DAYS_MORE} more are needed",
                vault.retention_days
            );
            findings.push(Finding::new(SHORT_DEFAULT_RETENTION, &on, seen));
        }
        Fact::Seen(AgeLock::Keeps { .. }) => {}
        Fact::Hidden { permission } => {
            findings.push(Finding::new(NOT_VISIBLE, &on, format!("the lock, without {permission}")));
        }
        Fact::Unanswered { why } => {
            findings.push(Finding::new(NOT_ANSWERED, &on, format!("the lock: {why}")))
        }
    }
    findings
}
