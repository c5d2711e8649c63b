//! One month of one vault, and what would be owed if all of it were deleted today.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::money::Money;
use super::prices::{GB_BYTES, MONTH_SECONDS};
use super::settings::{AfterLock, Tariff};
use super::stock::{Lot, days_after};

/// What is paid for one month of 30 days.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Bill {
    /// For what lies there.
    pub storage_micros: Money,
    /// For the requests that put it there.
    pub requests_micros: Money,
}

impl Bill {
    /// Both.
    #[must_use]
    pub fn total(self) -> Money {
        self.storage_micros + self.requests_micros
    }

    /// The bill of the 30 days that begin at `from`.
    #[must_use]
    pub fn of_month(lots: &[Lot], tariff: &Tariff, after: AfterLock, from: DateTime<Utc>) -> Bill {
        let to = days_after(from, 30);
        let (mut class, mut standard, mut objects) = (0_u128, 0_u128, 0_u128);
        for lot in lots {
            let end = paid_until(lot, tariff, after).min(to);
            let seconds = u128::try_from((end - lot.put.max(from)).num_seconds()).unwrap_or(0);
            let byte_seconds = |bytes: u64| u128::from(bytes).saturating_mul(seconds);
            class = class.saturating_add(byte_seconds(lot.load.billed.class_bytes));
            standard = standard.saturating_add(byte_seconds(lot.load.billed.standard_bytes));
            if lot.put >= from && lot.put < to {
                objects += u128::from(lot.load.objects);
            }
        }
        let unit = GB_BYTES * MONTH_SECONDS;
        Bill {
            storage_micros: tariff.class.storage_per_gb_month.times(class, unit)
                + tariff.table.standard_per_gb_month().times(standard, unit),
            requests_micros: tariff.class.put_per_1000.times(objects, 1000),
        }
    }
}

/// Until when a lot is paid for: its lock, and at least the minimum duration of its class.
fn paid_until(lot: &Lot, tariff: &Tariff, after: AfterLock) -> DateTime<Utc> {
    match after {
        AfterLock::Kept => DateTime::<Utc>::MAX_UTC,
        AfterLock::Removed => lot.until.max(days_after(lot.put, tariff.class.minimum_days)),
    }
}

/// What would be owed for the rest of the minimum duration if all of it were deleted at `now`. A lock forbids that; the account's end does not.
#[must_use]
pub fn early_deletion(lots: &[Lot], tariff: &Tariff, now: DateTime<Utc>) -> Money {
    let owed = lots.iter().fold(0_u128, |sum, lot| {
        let rest = days_after(lot.put, tariff.class.minimum_days) - now.max(lot.put);
        let seconds = u128::try_from(rest.num_seconds()).unwrap_or(0);
        sum.saturating_add(u128::from(lot.load.billed.class_bytes).saturating_mul(seconds))
    });
    tariff.class.storage_per_gb_month.times(owed, GB_BYTES * MONTH_SECONDS)
}
