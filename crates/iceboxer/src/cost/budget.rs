//! The budget: a run stops before it puts what would make a month too expensive.
//!
//! What is compared is the bill of the 30 days that begin with the run: all that lies in vaults with prices, and what the run is about to put. Runs
//! that are only planned are not in it; `iceboxer cost` forecasts them. It is asked twice: before the run, with sizes guessed from the last ice, so
//! that nothing at all is put; and for each image once its size is known, so that one host that grew does not stop the others.

use chrono::{DateTime, SubsecRound, Utc};
use cli::{Exit, Failed, Failure, Monitor};

use super::bill::Bill;
use super::money::Money;
use super::settings::{AfterLock, Tariff};
use super::stock::{Load, Lot, Stock, days_after};
use crate::ledger::LedgerState;
use crate::settings::Settings;

/// What to do when it costs too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverBudget {
    /// Stop.
    Stop,
    /// Go on, and say so.
    Allow,
}

/// A month would cost too much.
#[derive(Debug, thiserror::Error)]
#[error(
    "{what} would bring the coming 30 days to {forecast} {currency}, and the budget is {limit} {currency}: nothing of it is put"
)]
pub struct BudgetError {
    what: String,
    forecast: Money,
    limit: Money,
    currency: String,
}

impl Failure for BudgetError {
    fn exit(&self) -> Exit {
        Exit::TOO_COSTLY
    }

    fn advice(&self) -> Option<String> {
        Some("look at `iceboxer cost`, and find out what grew; then raise `monthly` under [budget] in the settings, or run once with --over-budget".to_owned())
    }
}

/// A vault that is counted.
#[derive(Debug, Clone)]
struct Counted {
    vault: String,
    tariff: Tariff,
    retention_days: u32,
}

/// Objects that are about to be put in one vault, by their lengths.
#[derive(Debug, Clone)]
pub(crate) struct Addition<'a> {
    pub(crate) vault: &'a str,
    pub(crate) lengths: Vec<u64>,
}

/// The budget of a run. Without a limit everything is admitted.
#[derive(Debug, Clone)]
pub struct Budget {
    limit: Option<(Money, String)>,
    over: OverBudget,
    vaults: Vec<Counted>,
    after: AfterLock,
    started: DateTime<Utc>,
}

impl Budget {
    /// No budget.
    #[must_use]
    pub fn unlimited() -> Self {
        let after = AfterLock::default();
        Self { limit: None, over: OverBudget::Stop, vaults: Vec::new(), after, started: Utc::now() }
    }

    /// What the settings say. They were checked: all tables that vaults name exist, in one currency.
    #[must_use]
    pub fn of(settings: &Settings, over: OverBudget) -> Self {
        let counted = settings.vaults.iter().filter_map(|vault| {
            let tariff = Tariff::of(vault, &settings.prices).ok().flatten()?;
            Some(Counted { vault: vault.store.name.clone(), tariff, retention_days: vault.retention_days })
        });
        let vaults: Vec<Counted> = counted.collect();
        let limit = settings.budget.as_ref().map(|budget| {
            let currency = vaults.first().map(|counted| counted.tariff.table.currency.clone());
            (budget.monthly, currency.or_else(|| budget.currency.clone()).unwrap_or_default())
        });
        let started = Utc::now().trunc_subsecs(0);
        Self { limit, over, vaults, after: settings.cost.after_lock, started }
    }

    /// True if nothing has to be counted.
    pub(crate) fn is_unlimited(&self) -> bool {
        self.limit.is_none()
    }

    /// The bill of the 30 days that begin with this run, with the additions in it.
    fn forecast(&self, ledger: &LedgerState, additions: &[Addition<'_>]) -> Money {
        let now = Utc::now().trunc_subsecs(0);
        let bill = |counted: &Counted| {
            let mut lots = Stock::of(ledger, &counted.vault, &counted.tariff.class, now).lots;
            for addition in additions.iter().filter(|addition| addition.vault == counted.vault) {
                let load = Load::of(addition.lengths.iter().copied(), &counted.tariff.class);
                lots.push(Lot { put: now, until: days_after(now, counted.retention_days), load });
            }
            Bill::of_month(&lots, &counted.tariff, self.after, self.started).total()
        };
        self.vaults.iter().map(bill).sum()
    }

    /// Refuses the additions if they bring the month above the limit; with [`OverBudget::Allow`] it only tells. `what` begins the sentence.
    pub(crate) fn admit(
        &self,
        what: &str,
        ledger: &LedgerState,
        additions: &[Addition<'_>],
        monitor: &dyn Monitor,
    ) -> Result<(), Failed> {
        let Some((limit, currency)) = &self.limit else { return Ok(()) };
        let counted = |addition: &Addition<'_>| self.vaults.iter().any(|vault| vault.vault == addition.vault);
        if !additions.iter().any(counted) {
            return Ok(());
        }
        let forecast = self.forecast(ledger, additions);
        if forecast <= *limit {
            return Ok(());
        }
        if self.over == OverBudget::Allow {
            monitor.warn(&format!(
                "{what} brings the coming 30 days to {forecast} {currency}; the budget is {limit} {currency}, and --over-budget was given"
            ));
            return Ok(());
        }
        Err(BudgetError { what: what.to_owned(), forecast, limit: *limit, currency: currency.clone() }.into())
    }
}
