//! `iceboxer prove-lock`: tries to break the locks of the vaults, and shows what came of it.

use cli::{Exit, Failed, Monitor, Run};
use serde_json::Value;
use vault::Outcome;

use crate::plan::open;
use crate::prove::{ProveError, Proved, prove};
use crate::settings::{Settings, VaultSettings};

/// Proves the vaults of these names; all if none is named. One vault's failure does not stop the others.
///
/// # Errors
/// The first failure, after all were tried: a lock that can be broken (exit 32), a vault that fails (30 and others), a name that is none (2).
pub fn prove_lock(settings: &Settings, names: &[String], run: &mut Run) -> Result<Exit, Failed> {
    let vaults = named(settings, names)?;
    let console = run.console();
    let mut failures: Vec<Failed> = Vec::new();
    let mut all: Vec<Value> = Vec::new();
    for vault in vaults {
        let proved = match open(vault).map_err(Failed::from).and_then(|target| Ok(prove(&target, &console)?))
        {
            Ok(proved) => proved,
            Err(failed) => {
                console.warn(&failed.chain());
                failures.push(failed);
                continue;
            }
        };
        show(&proved, run);
        run.report().count("attempts", proved.probes.len() as u64);
        run.report()
            .count("refused", proved.count(|outcome| matches!(outcome, Outcome::Refused { .. })) as u64);
        run.report().count("broken", proved.count(Outcome::is_broken) as u64);
        if proved.is_doubtful() {
            console.warn(&proved.summary());
        }
        all.push(proved.as_json());
        if let Err(error) = proved.require_held() {
            failures.push(error.into());
        }
    }
    run.report().count("vaults", all.len() as u64);
    run.report().detail("vaults", all);
    match failures.into_iter().next() {
        Some(first) => Err(first),
        None => Ok(Exit::WHOLE),
    }
}

fn named<'a>(settings: &'a Settings, names: &[String]) -> Result<Vec<&'a VaultSettings>, ProveError> {
    if names.is_empty() {
        return Ok(settings.vaults.iter().collect());
    }
    let find = |name: &String| {
        let found = settings.vaults.iter().find(|vault| vault.store.name == *name);
        found.ok_or_else(|| ProveError::NoSuchVault { name: name.chars().take(64).collect() })
    };
    names.iter().map(find).collect()
}

fn show(proved: &Proved, run: &mut Run) {
    let width = proved.probes.iter().map(|probe| probe.call.len()).max().unwrap_or(0).max(4);
    run.line(&format!("vault {}, on {}", proved.vault, proved.canary));
    run.line(&format!("  {:width$}  OUTCOME", "CALL"));
    for probe in &proved.probes {
        run.line(&format!("  {:width$}  {}", probe.call, probe.outcome));
    }
    run.line(&proved.summary());
}
