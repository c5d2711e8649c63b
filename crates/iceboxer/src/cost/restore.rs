//! What it costs and takes to get the newest ice of every host back from one vault.

use serde::Serialize;

use super::money::Money;
use super::prices::GB_BYTES;
use super::settings::Tariff;
use super::stock::Load;

/// A full restore by one tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Restore {
    /// How the objects are made readable.
    pub tier: &'static str,
    /// After so many minutes at most they are; the download comes after that.
    pub minutes_max: u32,
    /// Making them readable, by the gigabyte.
    pub retrieval_micros: Money,
    /// The requests for it.
    pub requests_micros: Money,
    /// Sending the bytes out of the provider's network.
    pub egress_micros: Money,
}

impl Restore {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> Money {
        self.retrieval_micros + self.requests_micros + self.egress_micros
    }

    /// One for each tier that the class has, cheapest name first.
    #[must_use]
    pub fn by_tier(load: Load, tariff: &Tariff) -> Vec<Restore> {
        let (bytes, objects) = (u128::from(load.bytes), u128::from(load.objects));
        let tiers = tariff.class.retrieval.iter();
        tiers
            .map(|(tier, price)| Restore {
                tier: tier.word(),
                minutes_max: price.minutes_max,
                retrieval_micros: price.per_gb.times(bytes, GB_BYTES),
                requests_micros: price.request_per_1000.times(objects, 1000),
                egress_micros: tariff.table.egress_per_gb.times(bytes, GB_BYTES),
            })
            .collect()
    }

    /// The waiting time in words.
    #[must_use]
    pub fn wait(&self) -> String {
        match self.minutes_max {
            0 => "none".to_owned(),
            minutes if minutes < 120 => format!("up to {minutes} min"),
            minutes => format!("up to {} h", minutes.div_ceil(60)),
        }
    }
}
