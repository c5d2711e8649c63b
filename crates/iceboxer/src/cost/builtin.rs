//! The price tables that are built in: a beginning, to be verified before use. Where each number is from stands in docs/prices.md.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use chrono::NaiveDate;

use super::money::Money;
use super::prices::{ClassPrice, PriceTable, Retrieval, STANDARD, Tier};

/// AWS S3, US East (N. Virginia). List prices in USD as read on 2026-06-05.
pub const AWS: &str = "aws-us-east-1";
/// Google Cloud Storage, us-central1. List prices in USD as read on 2026-09-20.
pub const GCS: &str = "gcs-us-central1";

static TABLES: LazyLock<BTreeMap<&'static str, PriceTable>> =
    LazyLock::new(|| BTreeMap::from([(AWS, aws()), (GCS, gcs())]));

/// The built-in table of this name.
#[must_use]
pub fn table(name: &str) -> Option<&'static PriceTable> {
    TABLES.get(name)
}

/// Names of all built-in tables.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLES.keys().copied()
}

const HOUR: u32 = 60;

/// Storage and put in millionths, minimum days, and one way to get it back, at once.
fn class(storage: u64, put_per_1000: u64, minimum_days: u32, per_gb: u64) -> ClassPrice {
    ClassPrice {
        storage_per_gb_month: Money::from_micros(storage),
        put_per_1000: Money::from_micros(put_per_1000),
        lifecycle_per_1000: Money::from_micros(put_per_1000),
        minimum_days,
        minimum_bytes: 0,
        overhead_bytes: 0,
        overhead_standard_bytes: 0,
        retrieval: BTreeMap::from([(Tier::Standard, retrieval(per_gb, 0, 0))]),
    }
}

/// Per gigabyte and per thousand requests in millionths.
fn retrieval(per_gb: u64, request_per_1000: u64, minutes_max: u32) -> Retrieval {
    Retrieval {
        per_gb: Money::from_micros(per_gb),
        request_per_1000: Money::from_micros(request_per_1000),
        minutes_max,
    }
}

/// Each object of the Glacier classes carries 32 KiB at the class's price and 8 KiB at the standard price.
fn glacier(mut class: ClassPrice, retrieval: &[(Tier, Retrieval)]) -> ClassPrice {
    class.overhead_bytes = 32 * 1024;
    class.overhead_standard_bytes = 8 * 1024;
    class.retrieval = retrieval.iter().copied().collect();
    class
}

fn aws() -> PriceTable {
    let flexible = [
        (Tier::Bulk, retrieval(2_500, 0, 12 * HOUR)),
        (Tier::Standard, retrieval(10_000, 50_000, 5 * HOUR)),
        (Tier::Expedited, retrieval(30_000, 10_000_000, 5)),
    ];
    let deep = [
        (Tier::Bulk, retrieval(2_500, 25_000, 48 * HOUR)),
        (Tier::Standard, retrieval(20_000, 100_000, 12 * HOUR)),
    ];
    let small = |mut class: ClassPrice| {
        class.minimum_bytes = 128 * 1024;
        class
    };
    let classes = [
        (STANDARD, class(23_000, 5_000, 0, 0)),
        ("STANDARD_IA", small(class(12_500, 10_000, 30, 10_000))),
        ("GLACIER_IR", small(class(4_000, 20_000, 90, 30_000))),
        ("GLACIER", glacier(class(3_600, 30_000, 90, 0), &flexible)),
        ("DEEP_ARCHIVE", glacier(class(990, 50_000, 180, 0), &deep)),
    ];
    usd((2026, 6, 5), 90_000, &classes)
}

fn gcs() -> PriceTable {
    let classes = [
        (STANDARD, class(20_000, 5_000, 0, 0)),
        ("NEARLINE", class(10_000, 10_000, 30, 10_000)),
        ("COLDLINE", class(4_000, 20_000, 90, 20_000)),
        ("ARCHIVE", class(1_200, 50_000, 365, 50_000)),
    ];
    usd((2026, 9, 20), 120_000, &classes)
}

fn usd((year, month, day): (i32, u32, u32), egress: u64, classes: &[(&str, ClassPrice)]) -> PriceTable {
    PriceTable {
        date: NaiveDate::from_ymd_opt(year, month, day).unwrap_or_default(),
        currency: "USD".to_owned(),
        egress_per_gb: Money::from_micros(egress),
        classes: classes.iter().map(|(name, class)| ((*name).to_owned(), class.clone())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_tables_are_sound_and_say_what_their_document_says() {
        let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/prices.md");
        let document = std::fs::read_to_string(document).unwrap();
        let mut rows = 0;
        for name in names() {
            let table = table(name).unwrap();
            table.check().unwrap();
            let section =
                document.split("\n### ").find(|part| part.starts_with(&format!("`{name}`"))).unwrap();
            assert!(section.contains(&table.date.to_string()), "{name}: date");
            for (class, price) in &table.classes {
                let amount = |money: Money| {
                    let text = format!("{}.{:06}", money.micros() / 1_000_000, money.micros() % 1_000_000);
                    let short = text.trim_end_matches('0').trim_end_matches('.').to_owned();
                    format!(" {short} ")
                };
                let row = section.lines().find(|line| line.starts_with(&format!("| {class} |"))).unwrap();
                let cells: Vec<&str> = row.split('|').collect();
                assert_eq!(cells[2], amount(price.storage_per_gb_month), "{name} {class}");
                assert_eq!(cells[3], amount(price.put_per_1000), "{name} {class}");
                assert_eq!(cells[4], format!(" {} ", price.minimum_days), "{name} {class}");
                for tier in price.retrieval.values() {
                    assert!(cells[5].contains(amount(tier.per_gb).trim()), "{name} {class} {row}");
                }
                rows += 1;
            }
        }
        assert_eq!(rows, 9);
    }
}
