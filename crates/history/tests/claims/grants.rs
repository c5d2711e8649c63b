//! Grants in the log: one at a time, of a snapshot that is there, ended once.

use std::fs;

use formats::ContentHash;
use formats::records::grant::{GrantEnded, Granted, Person};
use formats::records::log::Event;
use history::{Error, LogAppender, LogDefect};

use crate::scratch::{Scratch, ingest, now};

fn grant(sequence: u64) -> Event {
    let Event::Ingest(ingest) = ingest(sequence) else { panic!("not an ingest") };
    let person = |user: u32| Person { user, name: user.to_string() };
    Event::Grant(Granted {
        snapshot: ingest.name,
        path: "etc".to_owned(),
        until: "2026-01-03T00:00:00Z".to_owned(),
        bytes: 10_240,
        archive: ContentHash::of(b"archive"),
        requested_by: person(1000),
        approved_by: person(1001),
        reason: "case 4711".to_owned(),
    })
}

fn end(grant: u64) -> Event {
    Event::GrantEnd { grant, how: GrantEnded::Fetched }
}

#[test]
fn a_grant_is_open_from_its_line_to_the_line_that_ends_it() {
    let scratch = Scratch::new();
    for event in [ingest(1), grant(1)] {
        scratch.append(event);
    }
    let log = scratch.host().log().unwrap();
    let open = log.grant().unwrap();
    assert_eq!((open.line, open.granted.path.as_str()), (2, "etc"));
    scratch.append(end(2));
    assert_eq!(scratch.host().log().unwrap().grant(), None);
}

#[test]
fn a_second_grant_one_of_nothing_and_an_end_of_none_are_neither_written_nor_read() {
    let scratch = Scratch::new();
    scratch.append(ingest(1));
    let refused = |event: Event| {
        let host = scratch.host();
        let alone = host.write_lock().unwrap().unwrap();
        let before = fs::read(scratch.log_path()).unwrap();
        let mut log = LogAppender::open(&host, &alone).unwrap();
        let error = log.append(event.clone(), now()).expect_err("it was written");
        assert!(matches!(error, Error::Log { source: LogDefect::Snapshot(_), .. }), "{event:?}: {error}");
        assert_eq!(fs::read(scratch.log_path()).unwrap(), before);
    };
    refused(grant(2));
    refused(end(1));
    scratch.append(grant(1));
    refused(grant(1));
    refused(end(1));
    // The controls.
    scratch.append(end(2));
    refused(end(2));
    scratch.append(grant(1));
    scratch.append(end(4));
}
