//! The log: what was written is read; what was changed is seen.

use std::fs;
use std::os::unix::fs::FileExt;

use formats::published::Verdict;
use formats::records::log::Event;
use formats::session::Code;
use formats::{HostId, Root};
use history::{Error, Log, LogAppender, LogDefect};

use crate::scratch::{Scratch, alarm, host, ingest, now, push, reject};

fn hold() -> Event {
    Event::Hold { reason: "a reason".to_owned(), snapshot: None }
}

fn written() -> Scratch {
    let scratch = Scratch::new();
    for event in [ingest(1), reject(9), alarm(2), hold(), ingest(2)] {
        scratch.append(event);
    }
    scratch
}

/// The log of a history with these bytes in place of its own.
fn read(scratch: &Scratch, bytes: &[u8]) -> Result<Log, Error> {
    fs::write(scratch.log_path(), bytes).unwrap();
    scratch.host().log()
}

fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

#[test]
fn what_was_appended_is_what_the_log_comes_to() {
    let scratch = written();
    let log = scratch.host().log().unwrap();
    assert_eq!(log.lines(), 5);
    let names: Vec<_> = log.snapshots().iter().map(|snapshot| snapshot.name.as_str()).collect();
    assert_eq!(names, ["20260102T030210Z-0000000001", "20260102T030210Z-0000000002"]);
    assert_eq!(log.latest().unwrap().accepted, "2026-01-02T03:02:10Z");
    assert_eq!(log.base(), Some(Root::from_bytes([2; 32])));
    assert_eq!(log.by_root(Root::from_bytes([1; 32])).unwrap().sequence, 1);
    assert_eq!(log.find("latest").unwrap().sequence, 2);
    assert_eq!(log.find("20260102T030210Z-0000000001").unwrap().sequence, 1);
    assert!(matches!(log.find("20260102T030210Z-0000000003"), Err(Error::NoSnapshot { .. })));
    assert_eq!(log.answer(push(9)).unwrap().verdict, Verdict::Rejected { code: Code::WrongRoot });
    assert_eq!(log.hold(), Some("a reason"));
    assert_eq!((log.alarms().len(), log.installations(), log.next_sequence()), (1, 1, 3));
}

#[test]
fn a_reset_takes_the_base_away_until_the_next_snapshot() {
    let scratch = written();
    scratch.append(Event::Reset { reason: "lost".to_owned() });
    assert_eq!(scratch.host().log().unwrap().base(), None);
    scratch.append(ingest(3));
    assert_eq!(scratch.host().log().unwrap().base(), Some(Root::from_bytes([3; 32])));
    scratch.append(Event::Release { reason: "looked".to_owned(), snapshot: None });
    assert_eq!(scratch.host().log().unwrap().hold(), None);
}

#[test]
fn any_bit_flipped_anywhere_in_a_log_is_seen() {
    let scratch = written();
    let good = fs::read(scratch.log_path()).unwrap();
    let file = fs::OpenOptions::new().write(true).open(scratch.log_path()).unwrap();
    let host = scratch.host();
    let mut flips = 0;
    for (place, byte) in good.iter().enumerate() {
        for bit in 0..8 {
            file.write_all_at(&[byte ^ (1 << bit)], place as u64).unwrap();
            let error = host.log().expect_err("a flipped bit went unseen");
            assert!(error.is_damage(), "{place}.{bit}: {error}");
            flips += 1;
        }
        file.write_all_at(&[*byte], place as u64).unwrap();
    }
    println!("flipped bits seen: {flips}");
    read(&scratch, &good).unwrap();
}

#[test]
fn a_line_removed_repeated_swapped_or_replaced_is_seen() {
    let scratch = written();
    let good = lines(&fs::read(scratch.log_path()).unwrap());
    let other = Scratch::new();
    for event in [ingest(1), reject(8), alarm(2), hold(), ingest(2)] {
        other.append(event);
    }
    let other = lines(&fs::read(other.log_path()).unwrap());
    for place in 0..good.len() {
        let mut bad = Vec::new();
        let mut removed = good.clone();
        removed.remove(place);
        // Without its last line a log is whole again: that is seen by what it leaves behind.
        if place + 1 < good.len() {
            bad.push(("removed", removed));
            let mut swapped = good.clone();
            swapped.swap(place, place + 1);
            bad.push(("swapped", swapped));
        }
        let mut repeated = good.clone();
        repeated.insert(place, good[place].clone());
        bad.push(("repeated", repeated));
        if place > 1 {
            let mut replaced = good.clone();
            replaced[place].clone_from(&other[place]);
            bad.push(("replaced", replaced));
        }
        for (how, bad) in bad {
            let error = read(&scratch, &bad.concat()).expect_err(how);
            assert!(error.is_damage(), "{how} {place}: {error}");
        }
    }
}

#[test]
fn another_hosts_log_is_refused() {
    let scratch = written();
    let bytes = fs::read(scratch.log_path()).unwrap();
    let neighbour = scratch.history.host_or_new(&HostId::parse("db1").unwrap()).unwrap();
    fs::write(scratch.dir.path().join("db1/log"), bytes).unwrap();
    assert!(matches!(neighbour.log(), Err(Error::Log { source: LogDefect::Chain, line: 1, .. })));
}

#[test]
fn a_last_line_torn_at_any_byte_is_cut_off_and_written_again() {
    let scratch = written();
    let good = fs::read(scratch.log_path()).unwrap();
    let before = good.len() - lines(&good)[4].len();
    for end in before..good.len() {
        let log = read(&scratch, &good[..end]).unwrap();
        assert_eq!((log.lines(), log.snapshots().len()), (4, 1), "torn at {end}");
        scratch.append(ingest(2));
        assert_eq!(fs::read(scratch.log_path()).unwrap(), good, "torn at {end}");
    }
    println!("torn ends: {}", good.len() - before);
}

#[test]
fn a_log_that_is_damaged_is_not_added_to() {
    let scratch = written();
    let mut bytes = fs::read(scratch.log_path()).unwrap();
    bytes[40] ^= 1;
    fs::write(scratch.log_path(), &bytes).unwrap();
    let host = scratch.host();
    let alone = host.write_lock().unwrap().unwrap();
    assert!(LogAppender::open(&host, &alone).unwrap_err().is_damage());
    assert_eq!(fs::read(scratch.log_path()).unwrap(), bytes);
}

#[test]
fn lines_that_contradict_the_log_are_never_written() {
    let scratch = written();
    let bytes = fs::read(scratch.log_path()).unwrap();
    let host = scratch.host();
    let alone = host.write_lock().unwrap().unwrap();
    let renamed = |name: &str| match ingest(3) {
        Event::Ingest(mut ingest) => {
            ingest.name = name.to_owned();
            Event::Ingest(ingest)
        }
        other => other,
    };
    let long = Event::Hold { reason: "x".repeat(70_000), snapshot: None };
    for bad in
        [ingest(2), ingest(4), reject(1), renamed("latest"), renamed("20260102T030210Z-0000000004"), long]
    {
        let mut appender = LogAppender::open(&host, &alone).unwrap();
        assert!(appender.append(bad.clone(), now()).is_err(), "{bad:?}");
        assert_eq!(fs::read(scratch.log_path()).unwrap(), bytes);
    }
}

#[test]
fn garbage_is_refused_and_bounded() {
    let scratch = written();
    let long = [vec![b'x'; 70_000], vec![b'\n']].concat();
    for bad in [&b"\n"[..], b"{}\n", b"null\n", b"\0\n", &long, &long[..70_000]] {
        assert!(read(&scratch, bad).unwrap_err().is_damage());
    }
    assert_eq!(read(&scratch, b"").unwrap().lines(), 0);
    let version = fs::read(written().log_path()).unwrap();
    let newer = String::from_utf8(version).unwrap().replace("firn.log/1.0", "firn.log/2.0");
    assert!(read(&scratch, newer.as_bytes()).unwrap_err().is_damage());
}

#[test]
fn one_writes_and_nobody_else() {
    let scratch = written();
    let (one, other) = (scratch.host(), scratch.host());
    let held = one.write_lock().unwrap().unwrap();
    assert!(other.write_lock().unwrap().is_none());
    drop(held);
    assert!(other.write_lock().unwrap().is_some());
    assert_eq!(host(), *other.host());
}

fn prune(sequence: u64) -> Event {
    let Event::Ingest(ingest) = ingest(sequence) else { panic!("not an ingest") };
    let planned = "2026-01-01T00:00:00Z".to_owned();
    Event::Prune { sequence, name: ingest.name, root: ingest.root, planned }
}

#[test]
fn a_pruned_snapshot_does_not_exist_and_what_it_was_is_still_known() {
    let scratch = Scratch::new();
    for event in [ingest(1), ingest(2), ingest(3), prune(2)] {
        scratch.append(event);
    }
    let log = scratch.host().log().unwrap();
    let sequences: Vec<_> = log.snapshots().iter().map(|snapshot| snapshot.sequence).collect();
    assert_eq!(sequences, [1, 3]);
    assert_eq!(log.next_sequence(), 4, "a sequence is not used twice");
    let pruned = &log.pruned()[0];
    assert_eq!((pruned.snapshot.sequence, pruned.time.as_str()), (2, "2026-01-02T03:02:10Z"));
    assert!(matches!(log.find(pruned.snapshot.name.as_str()), Err(Error::Pruned { .. })));
    assert_eq!(log.known(&pruned.snapshot.name), Some(&pruned.snapshot));
    assert_eq!(log.by_root(pruned.snapshot.root), None);
    assert_eq!(log.answer(push(2)).unwrap().verdict, Verdict::Accepted { root: pruned.snapshot.root });
    assert_eq!(log.content_bytes(), 3 * 99);
    scratch.append(Event::Freed { bytes: 50 });
    assert_eq!(scratch.host().log().unwrap().content_bytes(), 3 * 99 - 50);
}

#[test]
fn a_line_that_removes_what_must_stay_is_neither_written_nor_read() {
    let scratch = Scratch::new();
    for event in [ingest(1), ingest(2), ingest(3), ingest(4), ingest(5)] {
        scratch.append(event);
    }
    let held = |sequence| match prune(sequence) {
        Event::Prune { name, .. } => Event::Hold { reason: "x".to_owned(), snapshot: Some(name) },
        _ => panic!("not a prune"),
    };
    scratch.append(held(2));
    let other = |change: fn(&mut u64, &mut String, &mut Root)| match prune(3) {
        Event::Prune { mut sequence, mut name, mut root, planned } => {
            change(&mut sequence, &mut name, &mut root);
            Event::Prune { sequence, name, root, planned }
        }
        _ => panic!("not a prune"),
    };
    let refused = |event: Event| {
        let host = scratch.host();
        let alone = host.write_lock().unwrap().unwrap();
        let before = fs::read(scratch.log_path()).unwrap();
        let mut log = LogAppender::open(&host, &alone).unwrap();
        let error = log.append(event.clone(), now()).expect_err("it was written");
        assert!(matches!(error, Error::Log { source: LogDefect::Snapshot(_), .. }), "{event:?}: {error}");
        assert_eq!(fs::read(scratch.log_path()).unwrap(), before);
    };
    refused(prune(5));
    refused(prune(6));
    refused(prune(2));
    refused(other(|sequence, _, _| *sequence = 4));
    refused(other(|_, name, _| name.push('0')));
    refused(other(|_, _, root| *root = Root::from_bytes([9; 32])));
    refused(Event::Hold { reason: "x".to_owned(), snapshot: Some("none".to_owned()) });
    refused(Event::Verify { newest: "20260102T030210Z-0000000006".to_owned(), snapshots: 1, read_bytes: 0 });
    // Controls: the others go, once; and the held one after its release.
    scratch.append(prune(3));
    refused(prune(3));
    scratch.append(hold());
    refused(prune(1));
    scratch.append(Event::Release { reason: "x".to_owned(), snapshot: None });
    scratch.append(prune(1));
    refused(prune(2));
    let Event::Hold { snapshot, .. } = held(2) else { panic!("not a hold") };
    scratch.append(Event::Release { reason: "x".to_owned(), snapshot });
    scratch.append(prune(2));
    assert_eq!(scratch.host().log().unwrap().snapshots().len(), 2);
}

#[test]
fn lines_that_are_added_together_are_those_of_one_by_one_and_all_are_there_or_none() {
    let (one_by_one, together) = (Scratch::new(), Scratch::new());
    let events = [ingest(1), ingest(2), ingest(3), prune(1), prune(2)];
    events.iter().for_each(|event| one_by_one.append(event.clone()));
    let host = together.host();
    let alone = host.write_lock().unwrap().unwrap();
    LogAppender::open(&host, &alone).unwrap().append_all(events, now()).unwrap();
    let bytes = fs::read(together.log_path()).unwrap();
    assert_eq!(bytes, fs::read(one_by_one.log_path()).unwrap());
    // The last must stay: what came before it is not written either.
    let mut appender = LogAppender::open(&host, &alone).unwrap();
    assert!(appender.append_all([ingest(4), prune(3), prune(4)], now()).is_err());
    assert_eq!(fs::read(together.log_path()).unwrap(), bytes);
    assert!(matches!(appender.append(ingest(4), now()), Err(Error::Poisoned)));
    LogAppender::open(&host, &alone).unwrap().append_all([ingest(4), prune(3)], now()).unwrap();
}
