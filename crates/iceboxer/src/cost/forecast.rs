//! The bills of the months to come, with the runs that are planned.

use chrono::{DateTime, TimeDelta, Utc};

use super::bill::Bill;
use super::settings::{CostSettings, Tariff};
use super::stock::{Lot, Stock, days_after};

/// Seconds of a month.
const MONTH: i64 = 30 * 86_400;

/// The bill of each of the next `months` months of 30 days. Each planned run puts as much as the newest ice of every host has, under a lock of
/// `retention_days`; the first one a whole period from `now`.
#[must_use]
pub fn months(
    stock: &Stock,
    tariff: &Tariff,
    (retention_days, months): (u32, u32),
    cost: CostSettings,
    now: DateTime<Utc>,
) -> Vec<Bill> {
    let mut lots = stock.lots.clone();
    lots.extend(planned(stock, (retention_days, months), cost.runs_per_month, now));
    (0..months)
        .map(|month| Bill::of_month(&lots, tariff, cost.after_lock, days_after(now, 30 * month)))
        .collect()
}

fn planned(
    stock: &Stock,
    (retention_days, months): (u32, u32),
    runs_per_month: u32,
    now: DateTime<Utc>,
) -> impl Iterator<Item = Lot> {
    let load = stock.newest_load();
    let runs = if load.objects == 0 { 0 } else { u64::from(months) * u64::from(runs_per_month) };
    (1..=runs).filter_map(move |run| {
        let seconds = i64::try_from(run).ok()?.checked_mul(MONTH)? / i64::from(runs_per_month.max(1));
        let put = now.checked_add_signed(TimeDelta::try_seconds(seconds)?)?;
        Some(Lot { put, until: days_after(put, retention_days), load })
    })
}
