//! Forecasts against numbers reckoned by hand.

use std::fs;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use formats::ContentHash;
use formats::records::Record;
use formats::records::ice::{IceRecord, IceSnapshot, Image, Segment};
use formats::records::ledger::{LedgerLine, LedgerReceipt};
use iceboxer::cost::bill::{Bill, early_deletion};
use iceboxer::cost::builtin;
use iceboxer::cost::forecast;
use iceboxer::cost::money::Money;
use iceboxer::cost::restore::Restore;
use iceboxer::cost::settings::{AfterLock, CostSettings, Tariff};
use iceboxer::cost::stock::{Load, Lot, Stock};
use iceboxer::ledger::LedgerState;
use vault::stamp::utc_text;

pub(crate) const GIB: u64 = 1 << 30;

fn tariff(table: &str, class: &str) -> Tariff {
    let prices = builtin::table(table).unwrap();
    Tariff {
        name: table.to_owned(),
        table: prices.clone(),
        class_name: class.to_owned(),
        class: prices.classes[class].clone(),
    }
}

fn now() -> DateTime<Utc> {
    vault::stamp::parse_utc("2026-11-21T12:00:00Z").unwrap()
}

/// Objects put `put` days from now, locked until `until` days from now.
fn lot(lengths: &[u64], put: i64, until: i64, tariff: &Tariff) -> Lot {
    let day = |days| now() + TimeDelta::days(days);
    Lot { put: day(put), until: day(until), load: Load::of(lengths.iter().copied(), &tariff.class) }
}

fn micros(bill: Bill) -> (u64, u64) {
    (bill.storage_micros.micros(), bill.requests_micros.micros())
}

#[test]
fn a_month_costs_storage_by_the_day_and_requests_by_the_object() {
    let coldline = tariff("gcs-us-central1", "COLDLINE");
    let month = |lots: &[Lot]| micros(Bill::of_month(lots, &coldline, AfterLock::Kept, now()));
    // 100 GB at 0.004: 0.40. Put half a month later it is half of it, and one put at 0.02 a thousand.
    let old = lot(&[100 * GIB], -300, -200, &coldline);
    assert_eq!(month(&[old]), (400_000, 0));
    assert_eq!(month(&[lot(&[100 * GIB], 15, 107, &coldline)]), (200_000, 20));
    assert_eq!(month(&[lot(&[100 * GIB], 30, 122, &coldline)]), (0, 0));
    assert_eq!(month(&[old, lot(&[100 * GIB], 15, 107, &coldline)]), (600_000, 20));
}

#[test]
fn each_object_of_a_glacier_class_carries_its_overhead() {
    let glacier = tariff("aws-us-east-1", "GLACIER");
    // 1000 * (1 GB + 32 KiB) at 0.0036 = 3,600,109.86 millionths; 1000 * 8 KiB at 0.023 = 175.48; each rounded up.
    let lots = [lot(&[GIB; 1000], -1, 91, &glacier)];
    assert_eq!(micros(Bill::of_month(&lots, &glacier, AfterLock::Kept, now())), (3_600_110 + 176, 0));
    let instant = tariff("aws-us-east-1", "GLACIER_IR");
    // 8192 objects of one byte count as 128 KiB each: 1 GB.
    let lots = [lot(&[1; 8192], -1, 91, &instant)];
    assert_eq!(micros(Bill::of_month(&lots, &instant, AfterLock::Kept, now())), (4_000, 0));
}

#[test]
fn what_is_removed_early_is_paid_to_the_end_of_its_minimum() {
    let mut deep = tariff("aws-us-east-1", "DEEP_ARCHIVE");
    (deep.class.overhead_bytes, deep.class.overhead_standard_bytes) = (0, 0);
    // Put 100 days ago, its lock ended 8 days ago, 180 days are the least: 30, 30 and 20 days are left, 90 GB at 0.00099.
    let lots = [lot(&[90 * GIB], -100, -8, &deep)];
    let bills = |after, removed: [u64; 4]| {
        let months = (0..4).map(|month| {
            let from = now() + TimeDelta::days(30 * month);
            micros(Bill::of_month(&lots, &deep, after, from)).0
        });
        assert_eq!(months.collect::<Vec<_>>(), removed);
    };
    bills(AfterLock::Removed, [89_100, 89_100, 59_400, 0]);
    bills(AfterLock::Kept, [89_100, 89_100, 89_100, 89_100]);
    // A lock longer than the minimum is what counts.
    let nearline = tariff("gcs-us-central1", "NEARLINE");
    let lots = [lot(&[GIB], -40, 15, &nearline)];
    assert_eq!(micros(Bill::of_month(&lots, &nearline, AfterLock::Removed, now())).0, 5_000);
}

#[test]
fn deleting_today_owes_the_rest_of_the_minimum_and_no_more() {
    let mut deep = tariff("aws-us-east-1", "DEEP_ARCHIVE");
    deep.class.overhead_bytes = 0;
    let owed = |lots: &[Lot]| early_deletion(lots, &deep, now()).micros();
    // 80 of 180 days: 90 GB * 0.00099 * 80 / 30.
    assert_eq!(owed(&[lot(&[90 * GIB], -100, -8, &deep)]), 237_600);
    assert_eq!(owed(&[lot(&[90 * GIB], -180, -8, &deep)]), 0);
    assert_eq!(owed(&[lot(&[90 * GIB], -400, 500, &deep)]), 0);
    assert_eq!(owed(&[lot(&[90 * GIB], 0, 92, &deep), lot(&[90 * GIB], -100, -8, &deep)]), 534_600 + 237_600);
}

#[test]
fn twice_a_month_grows_to_as_many_ices_as_a_lock_is_long() {
    let nearline = tariff("gcs-us-central1", "NEARLINE");
    let first = lot(&[10 * GIB], 0, 92, &nearline);
    let host = "web01".parse().unwrap();
    let stock = Stock { lots: vec![first], newest: [(host, first.load)].into() };
    let months = |after_lock| {
        let cost = CostSettings { runs_per_month: 2, after_lock };
        let months = forecast::months(&stock, &nearline, (92, 5), cost, now());
        months.into_iter().map(micros).collect::<Vec<_>>()
    };
    // One ice costs 0.10 a month, and is put for 10 millionths. Month 4 pays 2 days of the first, 17 of the second, six whole ones but for a half.
    let requests = [20, 20, 20, 20, 20];
    let removed = [150_000, 350_000, 550_000, 613_334, 613_334];
    let kept = [150_000, 350_000, 550_000, 750_000, 950_000];
    assert_eq!(months(AfterLock::Removed), removed.into_iter().zip(requests).collect::<Vec<_>>());
    assert_eq!(months(AfterLock::Kept), kept.into_iter().zip(requests).collect::<Vec<_>>());
}

#[test]
fn a_restore_costs_retrieval_requests_and_egress_by_each_tier() {
    let glacier = tariff("aws-us-east-1", "GLACIER");
    // 50 GB in 20 objects; egress 0.09 a GB.
    let load = Load::of([5 * GIB / 2; 20], &glacier.class);
    let tiers = Restore::by_tier(load, &glacier);
    let rows: Vec<_> = tiers
        .iter()
        .map(|r| {
            (r.tier, r.retrieval_micros.micros(), r.requests_micros.micros(), r.total().micros(), r.wait())
        })
        .collect();
    assert_eq!(
        rows,
        [
            ("bulk", 125_000, 0, 4_625_000, "up to 12 h".to_owned()),
            ("standard", 500_000, 1_000, 5_001_000, "up to 5 h".to_owned()),
            ("expedited", 1_500_000, 200_000, 6_200_000, "up to 5 min".to_owned()),
        ]
    );
    let nearline = tariff("gcs-us-central1", "NEARLINE");
    let tiers = Restore::by_tier(load, &nearline);
    assert_eq!((tiers.len(), tiers[0].wait().as_str()), (1, "none"));
    assert_eq!(tiers[0].total(), Money::from_micros(500_000 + 6_000_000));
}

/// Length of a catalogue and of a record.
const SMALL: u64 = 900;

/// One line for each `(vault, snapshot, days ago, days of lock, sealed bytes)`.
pub(crate) fn write_ledger(folder: &Path, lines: &[(&str, &str, i64, i64, u64)]) {
    let hash = ContentHash::of(b"x");
    let mut previous = LedgerLine::first_previous();
    let mut text = Vec::new();
    for (number, (vault, snapshot, ago, locked, bytes)) in (1..).zip(lines) {
        let name = format!("20260102T030405Z-000000000{snapshot}");
        let ice: formats::records::ice_id::IceId = format!("web01/{name}").parse().unwrap();
        let object = ice.segment_object(0);
        let root = formats::Root::from_bytes([1; 32]);
        let record = IceRecord {
            format: IceRecord::format(),
            host: ice.host().clone(),
            ice,
            created: "2026-01-02T03:04:05Z".to_owned(),
            snapshots: vec![IceSnapshot { name, sequence: 1, root, entries: 1 }],
            image: Image { bytes: 4_096, hash },
            segment_bytes: 65_536,
            segments: vec![Segment {
                object,
                version: None,
                plain_bytes: 4_096,
                plain_hash: hash,
                bytes: *bytes,
                hash,
            }],
            recipients: Vec::new(),
            left_out: 0,
            log_head: hash,
            redact_line: 0,
            redacted: Vec::new(),
        };
        let put = Utc::now() - TimeDelta::days(*ago);
        let retain_until = utc_text(&(put + TimeDelta::days(*locked)));
        let objects = [
            (record.segments[0].object.clone(), *bytes),
            (record.ice.catalogue_object(), SMALL),
            (record.ice.record_object(), SMALL),
        ];
        let receipt = |(object, bytes)| LedgerReceipt {
            object,
            version: None,
            bytes,
            retain_until: retain_until.clone(),
        };
        let receipts = objects.map(receipt).to_vec();
        let line = LedgerLine {
            format: LedgerLine::format(),
            line: number,
            previous,
            time: utc_text(&put),
            vault: (*vault).to_owned(),
            retain_until,
            ice: record,
            receipts,
        };
        let bytes = line.to_line().unwrap();
        previous = ContentHash::of(&bytes);
        text.extend(bytes);
    }
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("ledger"), text).unwrap();
}

#[test]
fn an_object_named_by_two_lines_lies_there_once_until_the_later_date() {
    let folder = tempfile::tempdir().unwrap();
    let lines = [
        ("a", "1", 100, 92, 7 * GIB),
        ("a", "1", 10, 92, 7 * GIB),
        ("b", "1", 10, 92, 5 * GIB),
        ("a", "2", 5, 92, GIB),
    ];
    write_ledger(folder.path(), &lines);
    let ledger = LedgerState::read(folder.path()).unwrap();
    let class = tariff("gcs-us-central1", "NEARLINE").class;
    let stock = Stock::of(&ledger, "a", &class, Utc::now());
    assert_eq!((stock.load().objects, stock.load().bytes), (6, 8 * GIB + 4 * SMALL));
    assert_eq!((stock.newest_load().objects, stock.newest_load().bytes), (3, GIB + 2 * SMALL));
    assert_eq!(stock.unlocked(Utc::now()), Load::default());
    assert_eq!(stock.lots[0].until - stock.lots[0].put, TimeDelta::days(182));
}
