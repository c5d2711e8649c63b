//! Redactions in the log: of the snapshots that there were, and of no later one.

use std::fs;

use formats::ContentHash;
use formats::records::grant::Person;
use formats::records::log::Event;
use formats::records::redaction::{IceBefore, REDACTED, REDACTED_ICE, RedactedContent, Redaction};
use history::{Error, LogAppender, LogDefect};

use crate::scratch::{Scratch, ingest, now};

fn content(n: u64) -> ContentHash {
    ContentHash::of(&n.to_le_bytes())
}

fn redaction(contents: Vec<RedactedContent>) -> Redaction {
    let person = |user: u32| Person { user, name: user.to_string() };
    Redaction {
        path: None,
        contents,
        names: 3,
        snapshots: 1,
        requested_by: person(1000),
        approved_by: person(1001),
        reason: "court order 12".to_owned(),
        ices: None,
        ice: Vec::new(),
    }
}

pub(crate) fn redact(numbers: std::ops::Range<u64>, size: u64) -> Event {
    let contents = numbers.map(|n| RedactedContent { content: content(n), size });
    Event::Redact(Box::new(redaction(contents.collect())))
}

#[test]
fn a_redaction_is_of_the_snapshots_before_it_and_ends_what_was_lost() {
    let scratch = Scratch::new();
    let rot = || Event::Rot { content: content(1), size: 5, names: 1, snapshots: 1 };
    for event in [ingest(1), rot(), ingest(2), redact(1..3, 5), ingest(3)] {
        scratch.append(event);
    }
    let log = scratch.host().log().unwrap();
    let through = |n, sequence| log.redacted().of(&content(n), sequence).map(|one| one.through);
    assert_eq!([through(1, 1), through(1, 2), through(1, 3), through(3, 1)], [Some(2), Some(2), None, None]);
    assert!(log.lacks(&content(2), 2) && !log.lacks(&content(2), 3) && !log.lacks(&content(3), 1));
    assert!(log.rotten().is_empty(), "it is not wanted back");
    assert_eq!(log.redacted().line(), 4);
    // What came back can rot, and be redacted again.
    scratch.append(rot());
    assert!(scratch.host().log().unwrap().lacks(&content(1), 3));
    scratch.append(redact(1..2, 5));
    let log = scratch.host().log().unwrap();
    assert_eq!(log.redacted().of(&content(1), 3).map(|one| one.line), Some(7));
    assert_eq!(log.redacted().of(&content(2), 3), None);
}

#[test]
fn a_redaction_of_nothing_of_too_much_or_on_hold_is_neither_written_nor_read() {
    let scratch = Scratch::new();
    let refused = |event: Event| {
        let host = scratch.host();
        let alone = host.write_lock().unwrap().unwrap();
        let mut log = LogAppender::open(&host, &alone).unwrap();
        let before = fs::read(scratch.log_path()).unwrap();
        let error = log.append(event, now()).expect_err("it was written");
        assert!(matches!(error, Error::Log { source: LogDefect::Snapshot(_), .. }), "{error}");
        assert_eq!(fs::read(scratch.log_path()).unwrap(), before);
    };
    refused(redact(0..1, 5));
    scratch.append(ingest(1));
    refused(redact(0..0, 5));
    refused(redact(0..1, 0));
    refused(redact(0..REDACTED as u64 + 1, 5));
    scratch.append(Event::Hold { reason: "case 4711".to_owned(), snapshot: None });
    refused(redact(0..1, 5));
    // The controls.
    scratch.append(Event::Release { reason: "over".to_owned(), snapshot: None });
    scratch.append(redact(0..1, 5));
}

#[test]
fn the_longest_redaction_fits_into_a_line() {
    let scratch = Scratch::new();
    scratch.append(ingest(1));
    let contents = (0..REDACTED as u64).map(|n| RedactedContent { content: content(n), size: u64::MAX });
    let ice = IceBefore {
        vault: "v".repeat(63),
        ice: format!("{}/20260102T030405Z-0000000001.9999", "h".repeat(63)),
        retain_until: "2026-01-02T03:04:05Z".to_owned(),
    };
    scratch.append(Event::Redact(Box::new(Redaction {
        path: Some("\\".repeat(1_000)),
        reason: "\"".repeat(1_000),
        ices: Some(u64::MAX),
        ice: vec![ice; REDACTED_ICE],
        ..redaction(contents.collect())
    })));
    assert_eq!(scratch.host().log().unwrap().redacted().iter().count(), REDACTED);
}
