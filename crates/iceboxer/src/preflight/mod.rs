//! Before the first run, and whenever something was changed: what is wrong, why it matters, what to do.
//!
//! Nothing is changed, here or in a vault, and no run depends on it: what must hold for an ice to count is checked by the run itself.
//!
//! - [`checks`]: the table of all that can be found. docs/preflight.md
//! - [`certificates`]: to whom ice is sealed.
//! - [`machine`]: the history, the staging folder, the ledger, and room.
//! - [`vaults`]: what the settings say of the vaults, and whether they open.
//! - [`archives`], [`bucket`], [`folder`]: what a vault tells about itself, judged.

pub mod archives;
pub mod bucket;
pub mod certificates;
pub mod checks;
pub mod finding;
pub mod folder;
pub mod machine;
pub mod vaults;

use chrono::{DateTime, Utc};
use cli::Failed;

pub use checks::{Check, Severity};
pub use finding::{Finding, NotReady, UnknownVault};

use crate::settings::{Settings, VaultSettings};

/// Looks at everything; at the vaults named, or at all. Certificates are judged as of `now`.
///
/// # Errors
/// A vault is named that the settings do not have (exit 2).
pub fn preflight(settings: &Settings, names: &[String], now: DateTime<Utc>) -> Result<Vec<Finding>, Failed> {
    let known = |name: &&String| settings.vaults.iter().any(|vault| vault.store.name == **name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        return Err(UnknownVault(unknown.clone()).into());
    }
    let asked: Vec<&VaultSettings> = settings
        .vaults
        .iter()
        .filter(|vault| names.is_empty() || names.contains(&vault.store.name))
        .collect();
    let mut findings = certificates::findings(settings, now);
    let (found, needs) = machine::findings(settings);
    findings.extend(found);
    findings.extend(vaults::findings(settings, &asked, needs));
    Ok(findings)
}
