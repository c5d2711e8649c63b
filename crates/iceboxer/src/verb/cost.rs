//! `iceboxer cost`: what the vaults will cost, by the ledger and the price tables.

use chrono::{DateTime, SubsecRound, Utc};
use cli::{Amount, Exit, Failed, Monitor, Run};
use serde_json::{Value, json};

use crate::cost::bill::{Bill, early_deletion};
use crate::cost::forecast;
use crate::cost::money::Money;
use crate::cost::prices::OLD_DAYS;
use crate::cost::restore::Restore;
use crate::cost::settings::{AfterLock, Tariff};
use crate::cost::stock::Stock;
use crate::ledger::LedgerState;
use crate::settings::{Settings, VaultSettings};

/// One vault, counted.
struct Counted<'a> {
    vault: &'a VaultSettings,
    tariff: Tariff,
    stock: Stock,
    months: Vec<Bill>,
    early_deletion: Money,
    unlocked: Money,
    restore: Vec<Restore>,
}

/// Prints the forecast of all vaults that have prices.
///
/// # Errors
/// The ledger cannot be read (exit 4) or is not what was written (exit 28).
pub fn cost(settings: &Settings, months: u32, run: &mut Run) -> Result<Exit, Failed> {
    let ledger = LedgerState::read(&settings.ledger)?;
    let now = Utc::now().trunc_subsecs(0);
    let counted: Vec<Counted<'_>> =
        settings.vaults.iter().filter_map(|vault| count(settings, vault, &ledger, months, now)).collect();
    for vault in settings.vaults.iter().filter(|vault| vault.prices.is_none()) {
        run.line(&format!("vault {}: names no price table, counted as nothing", vault.store.name));
    }
    assumptions(settings, run);
    for counted in &counted {
        show(counted, settings.cost.after_lock, now, run);
    }
    budget(settings, &counted, run);
    run.report().count("vaults", counted.len() as u64);
    let vaults: Vec<Value> = counted.iter().map(|counted| as_json(counted, now)).collect();
    run.report().detail("vaults", vaults);
    run.report().detail("as_of", vault::stamp::utc_text(&now));
    run.report().detail("runs_per_month", settings.cost.runs_per_month);
    run.report().detail("after_lock", settings.cost.after_lock.word());
    Ok(Exit::WHOLE)
}

fn count<'a>(
    settings: &Settings,
    vault: &'a VaultSettings,
    ledger: &LedgerState,
    months: u32,
    now: DateTime<Utc>,
) -> Option<Counted<'a>> {
    // The settings were checked: the table is there if it is named.
    let tariff = Tariff::of(vault, &settings.prices).ok().flatten()?;
    let stock = Stock::of(ledger, &vault.store.name, &tariff.class, now);
    let gone: Vec<_> = stock.lots.iter().filter(|lot| lot.until <= now).copied().collect();
    let month_from_now =
        forecast::months(&stock, &tariff, (vault.retention_days, months), settings.cost, now);
    let unlocked = Bill::of_month(&gone, &tariff, AfterLock::Kept, now).storage_micros;
    Some(Counted {
        vault,
        months: month_from_now,
        early_deletion: early_deletion(&stock.lots, &tariff, now),
        unlocked,
        restore: Restore::by_tier(stock.newest_load(), &tariff),
        stock,
        tariff,
    })
}

fn assumptions(settings: &Settings, run: &mut Run) {
    let after = match settings.cost.after_lock {
        AfterLock::Kept => "stays in the vault until somebody deletes it",
        AfterLock::Removed => "is removed on that day, or when its minimum duration ends",
    };
    let runs = settings.cost.runs_per_month;
    run.line(&format!(
        "assumed: {runs} runs a month, each as large as the newest ice of every host; ice whose lock ends {after}; a month is 30 days"
    ));
}

fn show(counted: &Counted<'_>, after: AfterLock, now: DateTime<Utc>, run: &mut Run) {
    let Counted { vault, tariff, stock, .. } = counted;
    let (currency, load) = (&tariff.table.currency, stock.load());
    let age = tariff.table.age_days(now.date_naive());
    let old = if age > OLD_DAYS { "old: " } else { "" };
    run.line("");
    run.line(&format!("vault {}, class {}, prices {}", vault.store.name, tariff.class_name, tariff.name));
    run.line(&format!("  prices of {}, {age} days old: {old}verify before use", tariff.table.date));
    if age > OLD_DAYS {
        let name = &tariff.name;
        run.console()
            .warn(&format!("the prices of {name} are {age} days old: verify them, and set [prices.{name}]"));
    }
    let size = Amount::Bytes(None).describe(load.bytes);
    run.line(&format!("  there now: {size} in {} objects", load.objects));
    run.line(&format!("  {:>5}  {:>10}  {:>10}  {:>10}", "MONTH", "STORAGE", "REQUESTS", currency));
    for (number, bill) in (1..).zip(&counted.months) {
        let (storage, requests) = (bill.storage_micros, bill.requests_micros);
        run.line(&format!("  {number:>5}  {storage:>10}  {requests:>10}  {:>10}", bill.total()));
    }
    run.line(&format!(
        "  if all of it were deleted today: {} {currency} for minimum durations",
        counted.early_deletion
    ));
    let unlocked = stock.unlocked(now);
    if unlocked.objects > 0 && after == AfterLock::Removed {
        let size = Amount::Bytes(None).describe(unlocked.bytes);
        run.line(&format!(
            "  not locked any more: {size}; if it still lies there it costs {} {currency} a month",
            counted.unlocked
        ));
    }
    let newest = stock.newest_load();
    let size = Amount::Bytes(None).describe(newest.bytes);
    run.line(&format!("  a full restore, the newest ice of {} hosts, {size}:", stock.newest.len()));
    run.line(&format!(
        "  {:<9}  {:>10}  {:>10}  {:>10}  WAIT BEFORE THE DOWNLOAD",
        "TIER", "RETRIEVAL", "EGRESS", currency
    ));
    for restore in &counted.restore {
        let retrieval = restore.retrieval_micros + restore.requests_micros;
        let (tier, egress, total, wait) =
            (restore.tier, restore.egress_micros, restore.total(), restore.wait());
        run.line(&format!("  {tier:<9}  {retrieval:>10}  {egress:>10}  {total:>10}  {wait}"));
    }
}

/// The budget against the sum of all vaults, month by month.
fn budget(settings: &Settings, counted: &[Counted<'_>], run: &mut Run) {
    let Some(budget) = &settings.budget else { return };
    let currency = counted.first().map_or("", |counted| &counted.tariff.table.currency);
    let months = counted.iter().map(|counted| counted.months.len()).max().unwrap_or(0);
    let sum = |month: usize| {
        counted.iter().filter_map(|c| c.months.get(month)).map(|bill| bill.total()).sum::<Money>()
    };
    let first_over = (0..months).find(|month| sum(*month) > budget.monthly).map(|month| month + 1);
    run.line("");
    let limit = budget.monthly;
    match first_over {
        Some(month) => run.line(&format!(
            "the budget of {limit} {currency} a month is passed in month {month}; about then runs will stop"
        )),
        None => {
            run.line(&format!("the budget of {limit} {currency} a month holds for these {months} months"))
        }
    }
    let report = json!({ "monthly_micros": limit, "currency": currency, "passed_in_month": first_over });
    run.report().detail("budget", report);
}

fn as_json(counted: &Counted<'_>, now: DateTime<Utc>) -> Value {
    let Counted { vault, tariff, stock, .. } = counted;
    let load = stock.load();
    let month = |bill: &Bill| {
        json!({
            "storage_micros": bill.storage_micros,
            "requests_micros": bill.requests_micros,
            "total_micros": bill.total(),
        })
    };
    let restored = |restore: &Restore| {
        let mut value = json!(restore);
        if let Some(fields) = value.as_object_mut() {
            fields.insert("total_micros".to_owned(), json!(restore.total()));
        }
        value
    };
    let unlocked = stock.unlocked(now);
    json!({
        "vault": vault.store.name,
        "class": tariff.class_name,
        "prices": tariff.name,
        "prices_date": tariff.table.date.to_string(),
        "prices_age_days": tariff.table.age_days(now.date_naive()),
        "verify_before_use": true,
        "currency": tariff.table.currency,
        "objects": load.objects,
        "bytes": load.bytes,
        "months": counted.months.iter().map(month).collect::<Vec<_>>(),
        "early_deletion_micros": counted.early_deletion,
        "unlocked": { "objects": unlocked.objects, "bytes": unlocked.bytes, "monthly_micros": counted.unlocked },
        "restore": counted.restore.iter().map(restored).collect::<Vec<_>>(),
        "restore_bytes": stock.newest_load().bytes,
        "restore_hosts": stock.newest.len(),
    })
}
