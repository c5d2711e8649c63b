//! A price table: what a provider asks for, on one date.

use std::collections::BTreeMap;
use std::fmt;

use chrono::NaiveDate;
use serde::Deserialize;

use super::money::Money;

/// Providers bill by the binary gigabyte.
pub const GB_BYTES: u128 = 1 << 30;
/// A month of a bill, in seconds: always 30 days.
pub const MONTH_SECONDS: u128 = 30 * 86_400;
/// The class at whose price the second part of an overhead is billed.
pub const STANDARD: &str = "STANDARD";
/// After so many days prices are called old.
pub const OLD_DAYS: i64 = 180;
/// Most that settings may name for a class's minimum or overhead bytes, and for days and minutes.
const BYTES_MAX: u64 = 1 << 30;
const TIME_MAX: u32 = 100_000;

/// What one provider asks for, on one date.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceTable {
    /// When these prices were read, `2026-06-05`.
    #[serde(deserialize_with = "date")]
    pub date: NaiveDate,
    /// The currency of every amount in it, `USD`.
    pub currency: String,
    /// Sending a gigabyte out of the provider's network.
    pub egress_per_gb: Money,
    /// Each storage class by the provider's name for it.
    pub classes: BTreeMap<String, ClassPrice>,
}

/// What one storage class costs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassPrice {
    /// Keeping a gigabyte for a month of 30 days.
    pub storage_per_gb_month: Money,
    /// A thousand requests that put an object.
    pub put_per_1000: Money,
    /// A thousand objects that a lifecycle rule moves into this class.
    #[serde(default)]
    pub lifecycle_per_1000: Money,
    /// What is removed earlier is billed as if it had lain so long.
    #[serde(default)]
    pub minimum_days: u32,
    /// A smaller object is billed as if it had this length.
    #[serde(default)]
    pub minimum_bytes: u64,
    /// Added to each object, at the price of this class.
    #[serde(default)]
    pub overhead_bytes: u64,
    /// Added to each object, at the price of class `STANDARD`.
    #[serde(default)]
    pub overhead_standard_bytes: u64,
    /// The ways to get an object back.
    pub retrieval: BTreeMap<Tier, Retrieval>,
}

/// How quickly an object is made readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Slowest and cheapest.
    Bulk,
    /// As usual; for classes that can be read at once the only one.
    Standard,
    /// Fastest and dearest.
    Expedited,
}

/// One way to get an object back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retrieval {
    /// A gigabyte.
    pub per_gb: Money,
    /// A thousand objects.
    #[serde(default)]
    pub request_per_1000: Money,
    /// It is readable after at most so many minutes; 0 if it always is. The download comes after that.
    #[serde(default)]
    pub minutes_max: u32,
}

/// What an object is billed as: its bytes at the price of its class, and the few at the standard price.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Billed {
    /// At the price of its class.
    pub class_bytes: u64,
    /// At the price of class `STANDARD`.
    pub standard_bytes: u64,
}

impl ClassPrice {
    /// What an object of `bytes` is billed as.
    #[must_use]
    pub fn billed(&self, bytes: u64) -> Billed {
        Billed {
            class_bytes: bytes.max(self.minimum_bytes).saturating_add(self.overhead_bytes),
            standard_bytes: self.overhead_standard_bytes,
        }
    }
}

impl PriceTable {
    /// How many days old it is on `today`; 0 if its date is yet to come.
    #[must_use]
    pub fn age_days(&self, today: NaiveDate) -> i64 {
        (today - self.date).num_days().max(0)
    }

    /// The price of class `STANDARD`; nothing if the table has none, which [`PriceTable::check`] allows only where it is not needed.
    #[must_use]
    pub fn standard_per_gb_month(&self) -> Money {
        self.classes.get(STANDARD).map_or(Money::default(), |class| class.storage_per_gb_month)
    }

    /// Refuses a table that cannot be counted with.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the key.
    pub fn check(&self) -> Result<(), String> {
        let currency = &self.currency;
        if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(format!("names the currency {currency:?}, which is not three letters like USD"));
        }
        for (name, class) in &self.classes {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
            if name.is_empty() || !name.bytes().all(plain) {
                return Err(format!("has a class {name:?} that is not of A-Z a-z 0-9 _ -"));
            }
            if class.overhead_standard_bytes > 0 && !self.classes.contains_key(STANDARD) {
                return Err(format!("needs a class {STANDARD}, because {name} has overhead_standard_bytes"));
            }
            let bytes = [class.minimum_bytes, class.overhead_bytes, class.overhead_standard_bytes];
            let minutes = class.retrieval.values().map(|retrieval| retrieval.minutes_max);
            if bytes.iter().any(|bytes| *bytes > BYTES_MAX)
                || minutes.chain([class.minimum_days]).any(|time| time > TIME_MAX)
            {
                return Err(format!(
                    "has a class {name} with an overhead, a minimum or a time beyond reason"
                ));
            }
        }
        if self.classes.is_empty() { Err("names no class".to_owned()) } else { Ok(()) }
    }
}

impl Tier {
    /// Its name in settings and reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Tier::Bulk => "bulk",
            Tier::Standard => "standard",
            Tier::Expedited => "expedited",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A date as text: the settings file's own dates carry times and zones that mean nothing here.
fn date<'de, D: serde::Deserializer<'de>>(from: D) -> Result<NaiveDate, D::Error> {
    let text = String::deserialize(from)?;
    let date = NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok();
    date.filter(|date| date.to_string() == text)
        .ok_or_else(|| serde::de::Error::custom("not a date like \"2026-06-05\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_object_is_billed_with_minimum_and_overhead() {
        let class = ClassPrice {
            storage_per_gb_month: Money::from_micros(1),
            put_per_1000: Money::default(),
            lifecycle_per_1000: Money::default(),
            minimum_days: 90,
            minimum_bytes: 131_072,
            overhead_bytes: 32_768,
            overhead_standard_bytes: 8_192,
            retrieval: BTreeMap::new(),
        };
        assert_eq!(class.billed(5), Billed { class_bytes: 163_840, standard_bytes: 8_192 });
        assert_eq!(class.billed(200_000), Billed { class_bytes: 232_768, standard_bytes: 8_192 });
        let classes = BTreeMap::from([("COLD".to_owned(), class)]);
        let date = NaiveDate::from_ymd_opt(2026, 6, 5).unwrap();
        let table = PriceTable { date, currency: "USD".to_owned(), egress_per_gb: Money::default(), classes };
        assert!(table.check().unwrap_err().contains("needs a class STANDARD"));
        assert_eq!(table.age_days(NaiveDate::from_ymd_opt(2026, 11, 21).unwrap()), 169);
    }
}
