//! Pushes in which nothing had changed.

use std::fs;

use chrono::SecondsFormat;
use formats::published::Verdict;
use formats::records::log::{Event, Ingest, Unchanged};
use formats::{ContentHash, Root};
use history::{Error, LogAppender, LogDefect};

use crate::scratch::{Scratch, ingest, now, push};

fn unchanged(sequence: u64, number: u8) -> Event {
    let Event::Ingest(ingest) = ingest(sequence) else { panic!("not an ingest") };
    Event::Unchanged(Unchanged {
        sequence,
        root: ingest.root,
        left_out: 0,
        push: push(number),
        installation: ingest.installation,
        counter: u64::from(number),
        started: i64::from(number),
        zone: "Europe/Kyiv".to_owned(),
        emergency: false,
    })
}

#[test]
fn a_push_without_a_change_is_accepted_and_is_no_snapshot() {
    let scratch = Scratch::new();
    for event in [ingest(1), unchanged(1, 50), ingest(2), unchanged(2, 51), unchanged(2, 52)] {
        scratch.append(event);
    }
    let log = scratch.host().log().unwrap();
    assert_eq!((log.snapshots().len(), log.next_sequence()), (2, 3));
    let Event::Ingest(second) = ingest(2) else { panic!("not an ingest") };
    assert_eq!(log.base(), Some(second.root));
    let answered = log.answer(push(52)).unwrap();
    assert_eq!(answered.verdict, Verdict::Accepted { root: second.root });
    assert_eq!(log.counter(second.installation), Some(52), "a counter that was used is used");
    assert_eq!(log.judged_last(), Some(log.unchanged_pushes()[2].accepted.as_str()));
    let of = |place: usize| log.unchanged_at(&log.snapshots()[place]).map(|push| push.started);
    assert_eq!((of(0), of(1)), (Some(50), Some(52)));
    let started: Vec<i64> = log.accepted_pushes().map(|push| push.started).collect();
    assert_eq!(started, [-5, 50, -5, 51, 52], "snapshots and others in the order of their lines");
    assert_eq!(log.newest_push().map(|push| (push.place, push.zone)), Some((1, "Europe/Kyiv")));
    let Event::Ingest(first) = ingest(1) else { panic!("not an ingest") };
    let (name, planned) = (first.name, "2026-01-01T00:00:00Z".to_owned());
    scratch.append(Event::Prune { sequence: 1, name, root: first.root, planned });
    let log = scratch.host().log().unwrap();
    let left: Vec<(usize, i64)> = log.accepted_pushes().map(|push| (push.place, push.started)).collect();
    assert_eq!(left, [(0, -5), (0, 51), (0, 52)], "what stood for a pruned snapshot went with it");
    scratch.append(ingest(3));
    let log = scratch.host().log().unwrap();
    assert_eq!(log.unchanged_at(log.latest().unwrap()), None, "they were the one before it");
    assert_eq!(log.newest_push().map(|push| (push.place, push.started)), Some((1, -5)));
}

/// All rules of retention measure by it.
#[test]
fn a_push_without_a_change_at_no_time_is_damage() {
    let scratch = Scratch::new();
    scratch.append(ingest(1));
    scratch.append(unchanged(1, 50));
    let text = fs::read_to_string(scratch.log_path()).unwrap();
    let (first, second) = text.split_once('\n').unwrap();
    let (body, _) = second.split_once(",\"check\":\"").unwrap();
    let read = |time: &str| {
        let body = body.replace(&now().to_rfc3339_opts(SecondsFormat::Secs, true), time);
        let check = ContentHash::of(body.as_bytes());
        fs::write(scratch.log_path(), format!("{first}\n{body},\"check\":\"{check}\"}}\n")).unwrap();
        scratch.host().log()
    };
    assert_eq!(read("2026-01-03T00:00:00Z").unwrap().unchanged_pushes().len(), 1, "the control");
    let damaged = read("yesterday");
    assert!(matches!(damaged, Err(Error::Log { line: 2, source: LogDefect::Ingest(_), .. })), "{damaged:?}");
}

/// Each of these would let a push stand for something that is not there.
#[test]
fn only_the_base_that_the_host_is_told_can_be_unchanged() {
    let scratch = Scratch::new();
    let refused = |event: Event| {
        let host = scratch.host();
        let alone = host.write_lock().unwrap().unwrap();
        let answer = LogAppender::open(&host, &alone).unwrap().append(event, now());
        matches!(answer, Err(Error::Log { source: LogDefect::Snapshot(_), .. }))
    };
    assert!(refused(unchanged(1, 50)), "nothing is there");
    scratch.append(ingest(1));
    scratch.append(ingest(2));
    assert!(refused(unchanged(1, 50)), "not the newest");
    let Event::Unchanged(other) = unchanged(2, 50) else { panic!("not unchanged") };
    assert!(
        refused(Event::Unchanged(Unchanged { root: Root::from_bytes([99; 32]), ..other })),
        "another root"
    );
    scratch.append(Event::Reset { reason: "lost".to_owned() });
    assert!(refused(unchanged(2, 50)), "the host is told no base");
    let (Event::Ingest(third), Event::Ingest(second)) = (ingest(3), ingest(2)) else { panic!("no ingest") };
    scratch.append(Event::Ingest(Ingest { root: second.root, ..third }));
    assert!(refused(unchanged(2, 50)), "the root of the newest, and another snapshot");
    scratch.append(ingest(4));
    assert_eq!(scratch.host().log().unwrap().unchanged_pushes(), [], "the control: none was taken");
    scratch.append(unchanged(4, 50));
    let Event::Unchanged(again) = unchanged(4, 50) else { panic!("not unchanged") };
    let host = scratch.host();
    let alone = host.write_lock().unwrap().unwrap();
    let second = LogAppender::open(&host, &alone).unwrap().append(Event::Unchanged(again), now());
    assert!(
        matches!(second, Err(Error::Log { source: LogDefect::Ingest(_), .. })),
        "a second verdict: {second:?}"
    );
}
