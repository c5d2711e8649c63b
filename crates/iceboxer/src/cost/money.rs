//! Amounts of money, as whole millionths of a currency's unit.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const MICROS: u64 = 1_000_000;
/// Digits after the point.
const DIGITS: usize = 6;
/// Largest amount that settings may name: a thousand million.
const WHOLE_MAX: u64 = 1_000_000_000;

/// An amount in millionths. Sums saturate: an amount too large to count is over every budget.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money(u64);

/// Why a text is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an amount like \"12.50\": digits, and at most {DIGITS} after the point")]
pub struct MoneyError;

impl Money {
    /// So many millionths.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The amount in millionths.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// This price for each `unit`, times `amount`, rounded up to the next millionth. The one place where money is rounded before it is shown.
    #[must_use]
    pub fn times(self, amount: u128, unit: u128) -> Self {
        let exact = amount.checked_mul(u128::from(self.0));
        let micros = exact.map(|exact| exact.div_ceil(unit.max(1)));
        Self(micros.and_then(|micros| u64::try_from(micros).ok()).unwrap_or(u64::MAX))
    }
}

impl Add for Money {
    type Output = Money;

    fn add(self, other: Money) -> Money {
        Money(self.0.saturating_add(other.0))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Money>>(amounts: I) -> Money {
        amounts.fold(Money::default(), Add::add)
    }
}

/// With two digits after the point, rounded up: what is shown is never less than what was counted.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cents = self.0.div_ceil(MICROS / 100);
        f.pad(&format!("{}.{:02}", cents / 100, cents % 100))
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > DIGITS {
            return Err(MoneyError);
        }
        let whole: u64 = whole.parse().map_err(|_| MoneyError)?;
        let part: u64 = format!("{part:0<DIGITS$}").parse().map_err(|_| MoneyError)?;
        if whole > WHOLE_MAX { Err(MoneyError) } else { Ok(Self(whole * MICROS + part)) }
    }
}

/// Settings write amounts as text, so that no float ever holds one.
impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// As a number of millionths.
impl Serialize for Money {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_exactly_or_not_at_all() {
        for (text, micros) in
            [("25.00", 25_000_000), ("0.00099", 990), ("0.000001", 1), ("3", 3_000_000), ("0", 0)]
        {
            assert_eq!(text.parse(), Ok(Money(micros)), "{text}");
        }
        for bad in ["", ".", "1.", ".5", "-1", "+1", "1e3", "0.0000001", "1,5", " 1", "1000000001", "€1"] {
            assert_eq!(bad.parse::<Money>(), Err(MoneyError), "{bad}");
        }
    }

    #[test]
    fn rounding_never_shows_less_than_is_owed() {
        assert_eq!(Money(10_000).to_string(), "0.01");
        assert_eq!(Money(10_001).to_string(), "0.02");
        assert_eq!(Money(1).to_string(), "0.01");
        assert_eq!(Money(0).to_string(), "0.00");
        assert_eq!(Money(1).times(1, 3), Money(1));
        assert_eq!(Money(7).times(3, 2), Money(11));
    }

    #[test]
    fn an_amount_too_large_to_count_stays_the_largest() {
        assert_eq!(Money(u64::MAX) + Money(1), Money(u64::MAX));
        assert_eq!(Money(u64::MAX).times(u128::MAX, 1), Money(u64::MAX));
    }
}
