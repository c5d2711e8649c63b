//! R5, R8 and R11: that the newest ice of every host is in every vault, that it is locked for long enough, and that the costs have an end.

use std::collections::BTreeMap;

use chrono::DateTime;
use formats::records::audit::{Finding, Requirement, Verdict};
use serde_json::Value;

use super::facts::Hosts;
use super::ice::{IceSettings, Report, Unchanged};
use super::past::{self, Iced, Past};

/// Runs are on days 1 and 15, and one may be late.
const ICE_DAYS_MAX: i64 = 17;
const DAY_SECONDS: i64 = 86_400;
/// Three months, whichever they are.
const LOCK_DAYS_MIN: u32 = 92;
/// A lock may be set a little after the ice is stored.
const LOCK_SECONDS_MIN: i64 = 90 * 86_400;

/// The newest ice of one host in one vault. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Newest {
    pub(super) host: String,
    pub(super) vault: String,
    /// The newest snapshot in it.
    pub(super) snapshot: String,
    pub(super) stored: i64,
    pub(super) retain_until: i64,
}

/// What is known of ice here.
pub(super) struct Known<'a> {
    pub(super) settings: &'a Result<Option<IceSettings>, String>,
    /// None if iceboxer has published nothing.
    pub(super) standing: &'a Result<Option<Vec<Newest>>, String>,
}

impl Known<'_> {
    /// The vaults, or the one thing there is to say.
    fn vaults(&self, finding: &mut Finding) -> Option<&IceSettings> {
        match self.settings {
            Ok(Some(settings)) if settings.vaults.is_empty() => {
                finding.add(Verdict::Fail, "the settings of iceboxer name no vault");
                None
            }
            Ok(Some(settings)) => Some(settings),
            Ok(None) => {
                finding
                    .add(Verdict::Unknown, "iceboxer has no settings here; where ice is made is not known");
                None
            }
            Err(error) => {
                finding.add(Verdict::Unknown, error);
                None
            }
        }
    }
}

/// R5.
pub(super) fn stored(
    known: &Known<'_>,
    hosts: &Hosts,
    pasts: &Result<Vec<Past>, String>,
    now: i64,
) -> Finding {
    let mut finding = Finding::new(Requirement::R5);
    let Some(settings) = known.vaults(&mut finding) else { return finding };
    if settings.vaults.iter().all(|vault| vault.is_folder()) {
        let text = "every vault is a folder here; whether what holds it lies elsewhere cannot be told";
        finding.add(Verdict::Unknown, text);
    }
    let (newest, pasts) = match (known.standing, pasts) {
        (Ok(newest), Ok(pasts)) => (newest.as_deref(), pasts),
        (Err(error), _) | (_, Err(error)) => {
            finding.add(Verdict::Unknown, error);
            return finding;
        }
    };
    let newest = by_place(newest.unwrap_or_default());
    for host in hosts.active() {
        let past = past::of_host(pasts, &host.id).filter(|past| past.snapshots > 0);
        let Some(past) = past else {
            finding.add(Verdict::Unknown, format!("{} has nothing that could be off-site yet", host.id));
            continue;
        };
        for vault in &settings.vaults {
            let found = newest.get(&(past.host.as_str(), vault.name.as_str())).copied();
            let held = found.map_or(Held::Older, |ice| held(ice, past, settings.unchanged));
            let (verdict, text) = age(found, held, i64::from(vault.retention_days), past.first, now);
            finding.add(verdict, format!("{} in vault {}: {text}", host.id, vault.name));
        }
    }
    finding
}

/// The newest ice by host and vault.
fn by_place(newest: &[Newest]) -> BTreeMap<(&str, &str), &Newest> {
    let mut found: BTreeMap<(&str, &str), &Newest> = BTreeMap::new();
    for ice in newest {
        let place = found.entry((ice.host.as_str(), ice.vault.as_str())).or_insert(ice);
        if ice.stored > place.stored {
            *place = ice;
        }
    }
    found
}

/// Of which snapshots the histories are asked.
pub(super) fn iced(standing: &Result<Option<Vec<Newest>>, String>) -> Iced {
    let mut iced = Iced::new();
    for ice in standing.iter().flatten().flatten() {
        iced.entry(ice.host.clone()).or_default().push(ice.snapshot.clone());
    }
    iced
}

/// What the newest ice holds of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// Not what the history has now.
    Older,
    /// The newest snapshot itself, as the host has sent nothing since, or nothing that had changed: no other ice of it can be made.
    Newest,
    /// The same as the newest snapshot, and the settings let it stay, with a lock that every run renews.
    Same,
}

fn held(ice: &Newest, past: &Past, unchanged: Unchanged) -> Held {
    match unchanged {
        // Not every vault can renew a lock: of what is still the newest, a lock that has not ended is enough.
        _ if ice.snapshot == past.latest => Held::Newest,
        Unchanged::Extend if past.same.contains(&ice.snapshot) => Held::Same,
        _ => Held::Older,
    }
}

fn age(ice: Option<&Newest>, held: Held, retention_days: i64, first: i64, now: i64) -> (Verdict, String) {
    let days = |since: i64| (now - since) / DAY_SECONDS;
    let Some(Newest { stored, retain_until, .. }) = ice else {
        return match days(first) {
            young if young <= ICE_DAYS_MAX => {
                (Verdict::Unknown, "no ice yet, and the host is new".to_owned())
            }
            old => (Verdict::Fail, format!("no ice, and its first snapshot is {old} days old")),
        };
    };
    let old = days(*stored);
    // Locks last until the end of a day.
    let renewed = days(retain_until - retention_days * DAY_SECONDS).max(0);
    match held {
        _ if stored - now > DAY_SECONDS => {
            (Verdict::Unknown, "the newest ice is of a time that is still to come".to_owned())
        }
        _ if old <= ICE_DAYS_MAX => (Verdict::Pass, format!("ice of {old} days ago")),
        Held::Older => (Verdict::Fail, format!("the newest ice is {old} days old")),
        _ if *retain_until <= now => {
            (Verdict::Fail, format!("the newest ice is {old} days old, and not locked any more"))
        }
        Held::Newest => (Verdict::Pass, format!("ice of {old} days ago, of its newest snapshot")),
        Held::Same if renewed <= ICE_DAYS_MAX => (
            Verdict::Pass,
            format!(
                "ice of {old} days ago holds what it has now, and its lock was renewed {renewed} days ago"
            ),
        ),
        Held::Same => (
            Verdict::Fail,
            format!(
                "ice of {old} days ago holds what it has now, but its lock was renewed {renewed} days ago"
            ),
        ),
    }
}

/// R8.
pub(super) fn locked(known: &Known<'_>) -> Finding {
    let mut finding = Finding::new(Requirement::R8);
    let Some(settings) = known.vaults(&mut finding) else { return finding };
    for vault in &settings.vaults {
        let verdict = if vault.retention_days >= LOCK_DAYS_MIN { Verdict::Pass } else { Verdict::Fail };
        finding.add(
            verdict,
            format!("vault {}: what is put there is locked for {} days", vault.name, vault.retention_days),
        );
    }
    match known.standing {
        Err(error) => finding.add(Verdict::Unknown, error),
        Ok(None) => finding.add(Verdict::Unknown, "iceboxer has published nothing, so no lock is known"),
        Ok(Some(newest)) => {
            for ice in newest.iter().filter(|ice| ice.retain_until - ice.stored < LOCK_SECONDS_MIN) {
                let days = (ice.retain_until - ice.stored) / 86_400;
                finding.add(
                    Verdict::Fail,
                    format!("{} in vault {}: locked for {days} days", ice.host, ice.vault),
                );
            }
        }
    }
    finding
}

/// R11.
pub(super) fn costs(known: &Known<'_>, cost: &Result<Report, String>) -> Finding {
    let mut finding = Finding::new(Requirement::R11);
    let Some(settings) = known.vaults(&mut finding) else { return finding };
    if settings.budget.is_none() {
        for vault in settings.vaults.iter().filter(|vault| !vault.is_folder() || vault.prices.is_some()) {
            finding.add(
                Verdict::Fail,
                format!("vault {} costs, and iceboxer has no [budget] to stop at", vault.name),
            );
        }
        if finding.evidence.is_empty() {
            finding.add(Verdict::Pass, "no vault but folders, which no provider charges for");
        }
        return finding;
    }
    let report = match cost {
        Ok(report) if report.code == 0 => report,
        Ok(report) => {
            finding.add(Verdict::Unknown, report.error());
            return finding;
        }
        Err(error) => {
            finding.add(Verdict::Unknown, error);
            return finding;
        }
    };
    let (verdict, text) = budget(report.detail("/budget"));
    finding.add(verdict, text);
    finding
}

fn budget(told: Option<&Value>) -> (Verdict, String) {
    let Some(told) = told else {
        return (Verdict::Unknown, "iceboxer cost says nothing of the budget".to_owned());
    };
    match (told.get("passed_in_month"), told.get("monthly_micros")) {
        (Some(Value::Null), Some(limit)) => (
            Verdict::Pass,
            format!("the forecast stays within the budget of {limit} millionths a month, at which runs stop"),
        ),
        (Some(Value::Number(month)), _) => {
            (Verdict::Fail, format!("the forecast passes the budget in month {month}"))
        }
        _ => (Verdict::Unknown, "iceboxer cost tells no forecast".to_owned()),
    }
}

/// A time of a record, as seconds since 1970.
pub(super) fn seconds(text: &str) -> Option<i64> {
    Some(DateTime::parse_from_rfc3339(text).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::ice::{Budget, VaultSettings};
    use serde_json::json;

    const DAY: i64 = 86_400;
    const NOW: i64 = 1_800_000_000;

    fn settings(
        url: &str,
        retention_days: u32,
        budget: Option<Budget>,
    ) -> Result<Option<IceSettings>, String> {
        let vault = VaultSettings { name: "v".to_owned(), url: url.to_owned(), retention_days, prices: None };
        Ok(Some(IceSettings { vaults: vec![vault], budget, unchanged: Unchanged::Seal }))
    }

    fn ice(stored: i64, retain_until: i64) -> Newest {
        let [host, vault, snapshot] = ["web01", "v", "b"].map(str::to_owned);
        Newest { host, vault, snapshot, stored, retain_until }
    }

    #[test]
    fn ice_may_be_seventeen_days_old_and_not_one_more() {
        let judged = |days| age(Some(&ice(NOW - days * DAY, NOW + DAY)), Held::Older, 92, 0, NOW).0;
        assert_eq!((judged(17), judged(18)), (Verdict::Pass, Verdict::Fail));
        assert_eq!((judged(-1), judged(-2)), (Verdict::Pass, Verdict::Unknown));
        assert_eq!(age(None, Held::Older, 92, NOW - 17 * DAY, NOW).0, Verdict::Unknown);
        assert_eq!(age(None, Held::Older, 92, NOW - 18 * DAY, NOW).0, Verdict::Fail);
    }

    #[test]
    fn ice_that_stays_is_as_good_as_its_lock_is_new() {
        let judged =
            |held, lock_days: i64| age(Some(&ice(NOW - 60 * DAY, NOW + lock_days * DAY)), held, 92, 0, NOW).0;
        assert_eq!(judged(Held::Same, 92 - 17), Verdict::Pass);
        assert_eq!(judged(Held::Same, 92 - 18), Verdict::Fail);
        assert_eq!((judged(Held::Newest, 1), judged(Held::Newest, 0)), (Verdict::Pass, Verdict::Fail));
        assert_eq!(judged(Held::Older, 92), Verdict::Fail);
    }

    #[test]
    fn only_where_the_settings_say_so_does_ice_of_the_same_content_stay() {
        let past = |latest: &str, same: &[&str]| Past {
            latest: latest.to_owned(),
            same: same.iter().map(|name| (*name).to_owned()).collect(),
            ..Past::default()
        };
        let ice = ice(NOW, NOW);
        for (unchanged, past, expected) in [
            (Unchanged::Extend, past("c", &["b"]), Held::Same),
            (Unchanged::Seal, past("c", &["b"]), Held::Older),
            (Unchanged::Extend, past("c", &["a"]), Held::Older),
            (Unchanged::Seal, past("b", &["b"]), Held::Newest),
            (Unchanged::Extend, past("b", &["b"]), Held::Newest),
        ] {
            assert_eq!(held(&ice, &past, unchanged), expected, "{unchanged:?}");
        }
    }

    #[test]
    fn locks_are_for_three_months_in_the_settings_and_in_the_vault() {
        let ice = |days| ice(NOW, NOW + days * DAY);
        for (of_settings, of_ice, expected) in [
            (92, 92, Verdict::Pass),
            (91, 92, Verdict::Fail),
            (92, 90, Verdict::Pass),
            (92, 89, Verdict::Fail),
        ] {
            let known = Known {
                settings: &settings("s3:b", of_settings, None),
                standing: &Ok(Some(vec![ice(of_ice)])),
            };
            assert_eq!(locked(&known).verdict, expected, "{of_settings} {of_ice}");
        }
        let known = Known { settings: &settings("s3:b", 92, None), standing: &Ok(None) };
        assert_eq!(locked(&known).verdict, Verdict::Unknown);
        let known = Known { settings: &Ok(None), standing: &Ok(None) };
        assert_eq!(locked(&known).verdict, Verdict::Unknown);
    }

    #[test]
    fn costs_need_a_budget_that_holds() {
        let report = |passed: Value| {
            Ok(Report {
                code: 0,
                value: json!({ "details": { "budget": { "monthly_micros": 5, "passed_in_month": passed } } }),
            })
        };
        for (url, budget, cost, expected) in [
            ("file:/v", None, report(Value::Null), Verdict::Pass),
            ("s3:b", None, report(Value::Null), Verdict::Fail),
            ("s3:b", Some(Budget {}), report(Value::Null), Verdict::Pass),
            ("s3:b", Some(Budget {}), report(json!(3)), Verdict::Fail),
            ("s3:b", Some(Budget {}), Err("no".to_owned()), Verdict::Unknown),
        ] {
            let known = Known { settings: &settings(url, 92, budget), standing: &Ok(None) };
            assert_eq!(costs(&known, &cost).verdict, expected, "{url}");
        }
    }
}
