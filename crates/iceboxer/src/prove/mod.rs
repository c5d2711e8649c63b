//! Proving that what is in a vault stays there: with the credentials of this server, every call that could break a lock is tried on a canary.
//!
//! The canary is a small object of each month, locked as long as ice is; its lock is extended at each proof, so that there is one a month. Where it is
//! spoiled, each proof puts another. What puts on top of it leave there stays, too: a few bytes each.

mod canary;
mod error;
mod run;

use cli::Monitor;
use serde_json::{Value, json};
use vault::{Lock, Outcome, Probe};

use crate::store::Target;

pub use self::error::ProveError;
pub use self::run::{after, before};

/// What came of the attempts on one vault. Whether its locks hold is for [`Proved::require_held`] to say.
#[derive(Debug, Clone)]
pub struct Proved {
    /// The vault's name.
    pub vault: String,
    /// The object on which they were made.
    pub canary: String,
    /// All of them.
    pub probes: Vec<Probe>,
}

/// Makes every attempt on one vault.
///
/// # Errors
/// [`ProveError::Vault`] if the vault fails, or has no lock that an attempt could be made on: then nothing is proved.
pub fn prove(target: &Target, monitor: &dyn Monitor) -> Result<Proved, ProveError> {
    let failed = |source| ProveError::Vault { vault: target.name.clone(), source };
    let attempt = |canary: Lock| Ok((target.vault.prove_lock(&canary)?, canary));
    let proved = match canary::of_month(target).and_then(attempt) {
        Err(error) if canary::is_spoiled(&error) => {
            monitor.warn(&format!(
                "vault {}: the month's canary is spoiled, and another is put: {error}",
                target.name
            ));
            canary::another(target).and_then(attempt)
        }
        proved => proved,
    };
    let (probes, canary) = proved.map_err(failed)?;
    for probe in &probes {
        monitor.detail(&format!("vault {}: {}: {}", target.name, probe.call, probe.outcome));
    }
    Ok(Proved { vault: target.name.clone(), canary: canary.object.to_string(), probes })
}

impl Proved {
    /// Fails if one attempt was not refused.
    ///
    /// # Errors
    /// [`ProveError::Broken`], with the names of all calls that were not.
    pub fn require_held(&self) -> Result<(), ProveError> {
        let calls: Vec<&str> =
            self.probes.iter().filter(|probe| probe.outcome.is_broken()).map(|probe| probe.call).collect();
        if calls.is_empty() {
            return Ok(());
        }
        Err(ProveError::Broken { vault: self.vault.clone(), calls: calls.join("; ") })
    }

    /// How many attempts ended like this.
    #[must_use]
    pub fn count(&self, which: fn(&Outcome) -> bool) -> usize {
        self.probes.iter().filter(|probe| which(&probe.outcome)).count()
    }

    /// Whether somebody should look at it, although no lock was broken.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        self.count(|outcome| matches!(outcome, Outcome::ByAgreement { .. }) || is_unclear(outcome)) > 0
    }

    /// One line for people.
    #[must_use]
    pub fn summary(&self) -> String {
        let refused = self.count(|outcome| matches!(outcome, Outcome::Refused { .. }));
        let broken = self.count(Outcome::is_broken);
        let agreed = self.count(|outcome| matches!(outcome, Outcome::ByAgreement { .. }));
        let mut text = format!("vault {}: {refused} attempts refused, {broken} not refused", self.vault);
        for (number, what) in [(agreed, "held by agreement only"), (self.count(is_unclear), "unclear")] {
            if number > 0 {
                text = format!("{text}, {number} {what}");
            }
        }
        text
    }

    /// For the report.
    #[must_use]
    pub fn as_json(&self) -> Value {
        let probe = |probe: &Probe| json!({ "call": probe.call, "outcome": probe.outcome.word(), "text": probe.outcome.to_string() });
        json!({
            "vault": self.vault,
            "canary": self.canary,
            "refused": self.count(|outcome| matches!(outcome, Outcome::Refused { .. })),
            "broken": self.count(Outcome::is_broken),
            "probes": self.probes.iter().map(probe).collect::<Vec<_>>(),
        })
    }
}

fn is_unclear(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Unclear { .. })
}
