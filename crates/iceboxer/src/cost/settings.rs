//! The part of the settings that is about money, and what a vault's prices are.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::builtin;
use super::money::Money;
use super::prices::{ClassPrice, PriceTable};
use crate::settings::{Settings, VaultSettings};

/// Most runs a month that can be planned: four a day.
const RUNS_PER_MONTH_MAX: u32 = 120;

/// `[prices.<name>]`: tables that are set, beside those that are built in.
pub type PriceTables = BTreeMap<String, PriceTable>;

/// `[cost]`: what the forecast assumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CostSettings {
    /// So often a month iceboxer runs.
    pub runs_per_month: u32,
    /// What becomes of ice whose lock has ended.
    pub after_lock: AfterLock,
}

/// What becomes of ice whose lock has ended. Firn itself never deletes, so the default is what happens if nobody else does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AfterLock {
    /// It stays, and is paid for.
    #[default]
    Kept,
    /// Somebody or something else removes it on that day.
    Removed,
}

/// `[budget]`: what a month may cost.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetSettings {
    /// A run that would bring the month above it stops before it puts anything.
    pub monthly: Money,
    /// In which currency; by default that of the price tables.
    pub currency: Option<String>,
}

/// What one vault charges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tariff {
    /// Name of the price table.
    pub name: String,
    /// The table.
    pub table: PriceTable,
    /// Name of the class that objects are put in.
    pub class_name: String,
    /// Its prices.
    pub class: ClassPrice,
}

impl Default for CostSettings {
    fn default() -> Self {
        Self { runs_per_month: 2, after_lock: AfterLock::default() }
    }
}

impl AfterLock {
    /// Its name in settings and reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            AfterLock::Kept => "kept",
            AfterLock::Removed => "removed",
        }
    }
}

impl Tariff {
    /// What `vault` charges; none if its settings name no price table.
    ///
    /// # Errors
    /// The table or its class does not exist: what is wrong, as the end of a sentence that begins with the key.
    pub fn of(vault: &VaultSettings, tables: &PriceTables) -> Result<Option<Tariff>, String> {
        let Some(name) = &vault.prices else { return Ok(None) };
        let Some(table) = tables.get(name).or_else(|| builtin::table(name)) else {
            let builtin = builtin::names().map(str::to_owned);
            let known: Vec<String> = builtin.chain(tables.keys().cloned()).collect();
            return Err(format!("names {name:?}, and there are only {}", known.join(", ")));
        };
        let class_name = vault.price_class();
        let Some(class) = table.classes.get(class_name) else {
            return Err(format!("names {name:?}, which has no class {class_name}"));
        };
        Ok(Some(Tariff {
            name: name.clone(),
            table: table.clone(),
            class_name: class_name.to_owned(),
            class: class.clone(),
        }))
    }
}

/// Refuses prices and a budget that cannot be counted with.
///
/// # Errors
/// The key, and what is wrong with it.
pub(crate) fn check(settings: &Settings) -> Result<(), (&'static str, String)> {
    if !(1..=RUNS_PER_MONTH_MAX).contains(&settings.cost.runs_per_month) {
        return Err(("cost.runs_per_month", format!("must be 1 to {RUNS_PER_MONTH_MAX}")));
    }
    for (name, table) in &settings.prices {
        table.check().map_err(|what| ("prices", format!("{name:?} {what}")))?;
    }
    let mut currencies = BTreeSet::new();
    for vault in &settings.vaults {
        let tariff = Tariff::of(vault, &settings.prices).map_err(|what| ("vaults.prices", what))?;
        if let Some(tariff) = &tariff {
            currencies.insert(tariff.table.currency.clone());
        } else if settings.budget.is_some() && !vault.store.url.starts_with("file:") {
            let what =
                format!("is missing for vault {}: a budget holds only what can be counted", vault.store.name);
            return Err(("vaults.prices", what));
        }
    }
    match &settings.budget {
        Some(budget) => {
            currencies.extend(budget.currency.clone());
            if currencies.len() == 1 {
                return Ok(());
            }
            let named: Vec<String> = currencies.into_iter().collect();
            Err((
                "budget",
                format!("needs vaults with `prices`, all in one currency; named are: {}", named.join(", ")),
            ))
        }
        None => Ok(()),
    }
}
