//! `iceboxer status`: how long what is off-site stays locked, if nothing is done from now on.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Utc;
use cli::{Exit, Failed, Monitor, Run};
use formats::HostId;
use serde_json::{Value, json};
use vault::stamp::parse_utc;

use crate::drills::Drills;
use crate::ledger::{LedgerEntry, LedgerState};
use crate::publish::{Publisher, newest};
use crate::settings::Settings;
use crate::standing::{LOCK_DAYS_MIN, days_locked};

/// A newest ice older than this is a warning: the timer runs twice a month.
const AGE_DAYS_MAX: i64 = 35;

/// Prints one line for each host and vault, from the ledger alone: no vault is asked. What a person should look at makes it end with 3.
///
/// # Errors
/// The ledger or the drill records cannot be read (exit 4), or the ledger is not what was written (exit 28).
pub fn status(settings: &Settings, run: &mut Run) -> Result<Exit, Failed> {
    let ledger = LedgerState::read(&settings.ledger)?;
    let drills = Drills::read(settings.drill_records.as_deref(), &run.console())?;
    let now = Utc::now();
    let published =
        Publisher::of(settings).publish(&ledger, settings.drill_records.as_ref().map(|_| &drills));
    if let Err(error) = published {
        // Whoever looks need not be the one who may write it.
        run.console().info(&error.told());
    }
    let newest = newest(&ledger);
    let vaults: BTreeSet<&str> = settings.vaults.iter().map(|vault| vault.store.name.as_str()).collect();
    if newest.is_empty() {
        run.line("no ice yet");
    }
    let mut warnings = no_ice(&newest, &vaults);
    let unused = drills.unused(&ledger, |vault| vaults.contains(vault));
    warnings.extend(unused.into_iter().map(|(what, why)| format!("{what}: {why}")));
    let mut hosts = Vec::new();
    for ((host, vault), entry) in newest {
        let proved = drills.newest_proved(&ledger, vault, host);
        let state = State {
            age_days: parse_utc(&entry.record.created).map(|at| (now - at).num_days()),
            locked_days: days_locked(entry, now),
            proved_days: proved.and_then(|entry| days_locked(entry, now)),
            is_proved: proved.is_some(),
            was_proved: !drills.kept(&ledger, vault, host).is_empty(),
            is_suspect: drills.is_suspect(&ledger, entry),
            is_kept: vaults.contains(vault),
        };
        run.line(&state.line(entry, proved));
        let named = state.warnings(settings);
        warnings.extend(named.iter().map(|warning| format!("{host} in {vault}: {warning}")));
        hosts.push(state.json(entry, proved, &named));
    }
    warnings.iter().for_each(|warning| run.console().warn(warning));
    run.report().count("ices", ledger.entries().len() as u64);
    run.report().count("warnings", warnings.len() as u64);
    run.report().detail("hosts", hosts);
    Ok(if warnings.is_empty() { Exit::WHOLE } else { Exit::LEFT_OUT })
}

/// What the vaults of the settings never got.
fn no_ice(newest: &BTreeMap<(&HostId, &str), &LedgerEntry>, vaults: &BTreeSet<&str>) -> Vec<String> {
    let hosts: BTreeSet<&HostId> = newest.keys().map(|(host, _)| *host).collect();
    let lacks = |vault: &str, host: &HostId| !newest.contains_key(&(host, vault));
    let lacking = |vault: &&str| -> Vec<String> {
        let lacking = hosts.iter().filter(|host| lacks(vault, host));
        lacking.map(|host| format!("{host} in {vault}: no ice yet: run iceboxer")).collect()
    };
    match hosts.is_empty() {
        true => vaults.iter().map(|vault| format!("vault {vault}: no ice yet: run iceboxer")).collect(),
        false => vaults.iter().flat_map(lacking).collect(),
    }
}

/// What the ledger says of the newest ice of one host in one vault.
struct State {
    age_days: Option<i64>,
    locked_days: Option<i64>,
    proved_days: Option<i64>,
    is_proved: bool,
    /// At any time, whatever was found since.
    was_proved: bool,
    is_suspect: bool,
    /// The settings still name its vault.
    is_kept: bool,
}

impl State {
    fn line(&self, entry: &LedgerEntry, proved: Option<&LedgerEntry>) -> String {
        let proof = match proved {
            Some(proved) if proved.ice == entry.ice => "proved".to_owned(),
            Some(proved) => format!("proved: {}, {}", proved.ice.snapshot(), locked(self.proved_days)),
            None if self.was_proved => "proved once, and found damaged since".to_owned(),
            None => "never proved".to_owned(),
        };
        let age = self.age_days.map_or("of unknown age".to_owned(), |days| format!("{days} days old"));
        format!("{} in {}: {age}, {}, {proof}", entry.ice, entry.vault, locked(self.locked_days))
    }

    fn warnings(&self, settings: &Settings) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut warn = |what: String| warnings.push(what);
        let advice = match self.is_kept {
            true => "run iceboxer, which locks it for longer",
            false => "the settings do not name this vault any more, and nothing there is kept locked",
        };
        match self.locked_days {
            Some(days) if days >= LOCK_DAYS_MIN => {}
            _ => warn(format!("its newest ice is {}: {advice}", locked(self.locked_days))),
        }
        if self.is_suspect {
            warn("a drill has found damage in its newest ice: run iceboxer, which seals it anew".to_owned());
        }
        if self.age_days.is_none_or(|days| days > AGE_DAYS_MAX) {
            warn(
                "no new ice for more than a month: see whether it pushes, and firn-ice.timer runs".to_owned(),
            );
        }
        match (self.is_proved, self.proved_days) {
            (true, Some(days)) if days >= LOCK_DAYS_MIN => {}
            (true, days) => warn(format!("its newest proved ice is {}: {advice}", locked(days))),
            (false, _) if settings.drill_records.is_none() => {
                let what = "no drill is known of: bring the drill records here, and name their folder as drill_records";
                warn(what.to_owned());
            }
            (false, _) if self.was_proved => {
                warn(
                    "a drill has found damage in all of its ice that was proved: run restore-drill verify"
                        .to_owned(),
                );
            }
            (false, _) => {
                warn("never proved: no drill has proved any of its ice: run restore-drill verify".to_owned())
            }
        }
        warnings
    }

    fn json(&self, entry: &LedgerEntry, proved: Option<&LedgerEntry>, warnings: &[String]) -> Value {
        json!({
            "host": entry.ice.host(),
            "vault": entry.vault,
            "ice": entry.ice,
            "age_days": self.age_days,
            "retain_until": entry.retain_until,
            "locked_days": self.locked_days,
            "proved_ice": proved.map(|entry| &entry.ice),
            "proved_retain_until": proved.map(|entry| &entry.retain_until),
            "proved_locked_days": self.proved_days,
            "warnings": warnings,
        })
    }
}

fn locked(days: Option<i64>) -> String {
    match days {
        Some(days) if days >= 0 => format!("locked for {days} more days"),
        Some(days) => format!("NOT LOCKED since {} days", -days),
        None => "locked until nobody knows when".to_owned(),
    }
}
