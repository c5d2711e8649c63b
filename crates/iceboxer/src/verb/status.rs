//! `iceboxer status`: how long what is off-site stays locked, if nothing is done from now on.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use cli::{Exit, Failed, Monitor, Run};
use formats::HostId;
use serde_json::{Value, json};
use vault::stamp::parse_utc;

use crate::drills::Drills;
use crate::ledger::{LedgerEntry, LedgerState};
use crate::settings::Settings;

/// A lock that ends within so many days is a warning: the timer has missed more than one of its days.
const LOCK_DAYS_MIN: i64 = 45;
/// So is a newest ice older than this: the timer runs twice a month.
const AGE_DAYS_MAX: i64 = 35;

/// Prints one line for each host and vault, from the ledger alone: no vault is asked. What a person should look at makes it end with 3.
///
/// # Errors
/// The ledger or the drill records cannot be read (exit 4), or the ledger is not what was written (exit 28).
pub fn status(settings: &Settings, run: &mut Run) -> Result<Exit, Failed> {
    let ledger = LedgerState::read(&settings.ledger)?;
    let drills = Drills::read(settings.drill_records.as_deref(), &run.console())?;
    let now = Utc::now();
    let mut newest: BTreeMap<(&HostId, &str), &LedgerEntry> = BTreeMap::new();
    for entry in ledger.entries() {
        newest.insert((entry.ice.host(), &entry.vault), entry);
    }
    if newest.is_empty() {
        run.line("no ice yet");
    }
    let (mut hosts, mut warnings) = (Vec::new(), 0);
    for ((host, vault), entry) in newest {
        let proved = drills.newest_proved(&ledger, vault, host);
        let state = State::of(entry, proved, now);
        run.line(&state.line(entry, proved));
        let named = state.warnings(settings);
        named.iter().for_each(|warning| run.console().warn(&format!("{host} in {vault}: {warning}")));
        warnings += named.len() as u64;
        hosts.push(state.json(entry, proved, &named));
    }
    run.report().count("ices", ledger.entries().len() as u64);
    run.report().count("warnings", warnings);
    run.report().detail("hosts", hosts);
    Ok(if warnings == 0 { Exit::WHOLE } else { Exit::LEFT_OUT })
}

/// What the ledger says of the newest ice of one host in one vault.
struct State {
    age_days: Option<i64>,
    locked_days: Option<i64>,
    proved_days: Option<i64>,
    is_proved: bool,
}

impl State {
    fn of(entry: &LedgerEntry, proved: Option<&LedgerEntry>, now: DateTime<Utc>) -> Self {
        let days = |text: &str| parse_utc(text).map(|at| (at - now).num_days());
        State {
            age_days: parse_utc(&entry.record.created).map(|at| (now - at).num_days()),
            locked_days: days(&entry.retain_until),
            proved_days: proved.and_then(|entry| days(&entry.retain_until)),
            is_proved: proved.is_some(),
        }
    }

    fn line(&self, entry: &LedgerEntry, proved: Option<&LedgerEntry>) -> String {
        let proof = match proved {
            Some(proved) if proved.ice == entry.ice => "proved".to_owned(),
            Some(proved) => format!("proved: {}, {}", proved.ice.snapshot(), locked(self.proved_days)),
            None => "not proved".to_owned(),
        };
        let age = self.age_days.map_or("of unknown age".to_owned(), |days| format!("{days} days old"));
        format!("{} in {}: {age}, {}, {proof}", entry.ice, entry.vault, locked(self.locked_days))
    }

    fn warnings(&self, settings: &Settings) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut warn = |what: String| warnings.push(what);
        match self.locked_days {
            Some(days) if days >= LOCK_DAYS_MIN => {}
            _ => warn(format!("its newest ice is {}: run iceboxer", locked(self.locked_days))),
        }
        if self.age_days.is_none_or(|days| days > AGE_DAYS_MAX) {
            warn("no new ice for more than a month: see whether firn-ice.timer runs".to_owned());
        }
        match (self.is_proved, self.proved_days) {
            (true, Some(days)) if days >= LOCK_DAYS_MIN => {}
            (true, days) => warn(format!("its newest proved ice is {}: run iceboxer", locked(days))),
            (false, _) if settings.drill_records.is_none() => {
                let what = "no drill is known of: bring the drill records here, and name their folder as drill_records";
                warn(what.to_owned());
            }
            (false, _) => warn("no drill has proved any of its ice: run restore-drill verify".to_owned()),
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
