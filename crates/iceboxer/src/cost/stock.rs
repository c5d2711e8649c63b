//! What lies in one vault, as the ledger tells it.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, Utc};
use formats::HostId;
use formats::records::ice::segment_lengths;
use vault::stamp::parse_utc;

use super::prices::{Billed, ClassPrice};
use crate::ledger::{LedgerEntry, LedgerState};

/// What sealing may add to a segment, and room for its line in the record.
const SEALED_MORE_BYTES: u64 = 4_096;
const RECORD_BYTES: u64 = 4_096;

/// Objects that were put and are locked on the same dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lot {
    /// When they were put.
    pub put: DateTime<Utc>,
    /// Until when they are locked.
    pub until: DateTime<Utc>,
    /// How many.
    pub load: Load,
}

/// A number of objects, and what they are billed as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// How many.
    pub objects: u64,
    /// Their own bytes.
    pub bytes: u64,
    /// With minimum and overhead.
    pub billed: Billed,
}

impl Load {
    /// Objects of these lengths in a class.
    pub fn of(lengths: impl IntoIterator<Item = u64>, class: &ClassPrice) -> Load {
        lengths.into_iter().fold(Load::default(), |sum, bytes| {
            sum.with(Load { objects: 1, bytes, billed: class.billed(bytes) })
        })
    }

    /// Both together.
    #[must_use]
    pub fn with(self, other: Load) -> Load {
        let billed = Billed {
            class_bytes: self.billed.class_bytes.saturating_add(other.billed.class_bytes),
            standard_bytes: self.billed.standard_bytes.saturating_add(other.billed.standard_bytes),
        };
        Load {
            objects: self.objects.saturating_add(other.objects),
            bytes: self.bytes.saturating_add(other.bytes),
            billed,
        }
    }
}

/// What lies in one vault.
#[derive(Debug, Clone, Default)]
pub struct Stock {
    /// All of it; an object that several ices share is in it once.
    pub lots: Vec<Lot>,
    /// The newest ice of each host.
    pub newest: BTreeMap<HostId, Load>,
}

impl Stock {
    /// What the ledger says of `vault`. A line without a readable date counts as put `now` and locked for good: never as less.
    #[must_use]
    pub fn of(ledger: &LedgerState, vault: &str, class: &ClassPrice, now: DateTime<Utc>) -> Stock {
        let mut objects = BTreeMap::new();
        let mut stock = Stock::default();
        for entry in ledger.entries().iter().filter(|entry| entry.vault == vault) {
            let put = parse_utc(&entry.time).unwrap_or(now);
            let until = parse_utc(&entry.retain_until).unwrap_or(DateTime::<Utc>::MAX_UTC);
            for object in &entry.objects {
                let known = objects.entry(object.object.as_str()).or_insert((put, until, object.bytes));
                *known = (known.0.min(put), known.1.max(until), known.2.max(object.bytes));
            }
            stock.newest.insert(entry.ice.host().clone(), Load::of(lengths(entry), class));
        }
        let mut lots = BTreeMap::new();
        for (put, until, bytes) in objects.into_values() {
            let lot: &mut Load = lots.entry((put, until)).or_default();
            *lot = lot.with(Load::of([bytes], class));
        }
        stock.lots = lots.into_iter().map(|((put, until), load)| Lot { put, until, load }).collect();
        stock
    }

    /// All of it.
    #[must_use]
    pub fn load(&self) -> Load {
        self.lots.iter().fold(Load::default(), |sum, lot| sum.with(lot.load))
    }

    /// The newest ice of every host: what the next run puts, if nothing changes much, and what a full restore fetches.
    #[must_use]
    pub fn newest_load(&self) -> Load {
        self.newest.values().fold(Load::default(), |sum, load| sum.with(*load))
    }

    /// What is not locked any more.
    #[must_use]
    pub fn unlocked(&self, now: DateTime<Utc>) -> Load {
        self.lots.iter().filter(|lot| lot.until <= now).fold(Load::default(), |sum, lot| sum.with(lot.load))
    }
}

/// Length of each object of an ice.
pub(crate) fn lengths(entry: &LedgerEntry) -> impl Iterator<Item = u64> {
    entry.objects.iter().map(|object| object.bytes)
}

/// Lengths that the objects of an image will have at most, the record last.
pub(crate) fn lengths_of_image(image_bytes: u64, segment_bytes: u64) -> impl Iterator<Item = u64> {
    lengths_of_segments(segment_lengths(image_bytes, segment_bytes))
}

/// Lengths that the objects of these segments will have at most, the catalogue and the record last.
pub(crate) fn lengths_of_segments(segments: impl Iterator<Item = u64>) -> impl Iterator<Item = u64> {
    let sealed = segments.chain([RECORD_BYTES]).map(|bytes| bytes.saturating_add(SEALED_MORE_BYTES));
    sealed.chain([RECORD_BYTES])
}

/// So many days later, as far as the calendar goes.
pub(crate) fn days_after(at: DateTime<Utc>, days: u32) -> DateTime<Utc> {
    at.checked_add_days(Days::new(u64::from(days))).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
