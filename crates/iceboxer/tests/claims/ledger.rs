//! The ledger is a chain, and says when it was touched.

use std::fs;
use std::io::Write;

use cli::{Exit, Failure};
use formats::ContentHash;
use formats::records::Record;
use formats::records::ledger::LedgerLine;
use iceboxer::ledger::LedgerState;

use crate::rig::{Scratch, Spec, meta, run};

fn three_lines(scratch: &Scratch) -> Vec<u8> {
    let recipients = [scratch.recipient("one")];
    for version in [&b"one"[..], b"two", b"three"] {
        scratch.snapshot("web01", &vec![(b"a", Spec::File(version.to_vec()), meta(0o644, 0, 1))]);
        run(scratch.plan(&recipients, vec![scratch.target()])).unwrap();
    }
    fs::read(scratch.path("ledger/ledger")).unwrap()
}

#[test]
fn each_line_carries_the_hash_of_the_line_before() {
    let scratch = Scratch::new();
    let bytes = three_lines(&scratch);
    let mut previous = ContentHash::of(b"firn ledger");
    let mut number = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        number += 1;
        let read = LedgerLine::from_line(line).unwrap();
        assert_eq!((read.line, read.previous), (number, previous));
        assert_eq!(read.receipts.len(), read.ice.segments.len() + 2);
        assert!(read.receipts.iter().all(|receipt| receipt.retain_until >= read.retain_until));
        previous = ContentHash::of(line);
    }
    assert_eq!(number, 3);
}

#[test]
fn a_ledger_that_was_changed_is_refused_and_not_added_to() {
    let scratch = Scratch::new();
    let good = three_lines(&scratch);
    let file = scratch.path("ledger/ledger");
    let text = String::from_utf8(good.clone()).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let changed = [
        text.replacen("\"vault\":\"local\"", "\"vault\":\"other\"", 1),
        [lines[1], lines[2]].concat(),
        [lines[0], lines[2]].concat(),
        [lines[0], lines[0], lines[1]].concat(),
        [lines[0], "{}\n", lines[2]].concat(),
        [lines[0], "\n", lines[1]].concat(),
        text.replacen("firn.ledger/2.0", "firn.ledger/3.0", 1),
    ];
    let recipients = [scratch.recipient("more")];
    scratch.snapshot("web01", &vec![(b"a", Spec::File(b"four".to_vec()), meta(0o644, 0, 1))]);
    for text in &changed {
        fs::write(&file, text).unwrap();
        assert_eq!(LedgerState::read(&scratch.path("ledger")).unwrap_err().exit(), Exit::DAMAGED);
        let failed = run(scratch.plan(&recipients, vec![scratch.target()])).unwrap_err();
        assert_eq!(failed.exit(), Exit::DAMAGED);
        assert_eq!(fs::read_to_string(&file).unwrap(), *text);
    }
    fs::write(&file, good).unwrap();
    run(scratch.plan(&recipients, vec![scratch.target()])).unwrap();
    assert_eq!(LedgerState::read(&scratch.path("ledger")).unwrap().entries().len(), 4);
}

#[test]
fn a_line_cut_short_by_a_crash_is_cut_off_and_written_again() {
    let scratch = Scratch::new();
    let good = three_lines(&scratch);
    let file = scratch.path("ledger/ledger");
    let half = &good[..good.len() / 6];
    fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(half).unwrap();
    assert_eq!(LedgerState::read(&scratch.path("ledger")).unwrap().entries().len(), 3);
    let recipients = [scratch.recipient("more")];
    scratch.snapshot("web01", &vec![(b"a", Spec::File(b"four".to_vec()), meta(0o644, 0, 1))]);
    run(scratch.plan(&recipients, vec![scratch.target()])).unwrap();
    assert_eq!(LedgerState::read(&scratch.path("ledger")).unwrap().entries().len(), 4);
    assert!(fs::read(&file).unwrap().starts_with(&good));
}
