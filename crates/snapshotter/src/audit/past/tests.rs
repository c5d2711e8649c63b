use chrono::TimeDelta;
use formats::records::log::{Event, Ingest, Unchanged};
use formats::{InstallationId, PushId, Root};
use history::{LogAppender, SnapshotName};

use super::*;

fn past(host: String) -> Past {
    let text = || "\\x01\"".repeat(TEXT_BYTES_MAX / 5);
    Past {
        host,
        error: Some(cut("\u{2026}".repeat(5000))),
        doubt: Some(Doubt { what: cut("\u{2026}".repeat(5000)), damaged: false }),
        missing_names: vec![text(); NAMED_MAX],
        pushes: vec![Push { started: i64::MIN, accepted: i64::MIN }; PUSHES_MAX],
        zone: "Z".repeat(64),
        same: vec!["20260102T030405Z-0000000001".to_owned(); VAULTS_MAX],
        spoiled: vec![text(); NAMED_MAX],
        grant: Some(text()),
        ..Past::default()
    }
}

#[test]
fn the_longest_answer_about_a_host_is_within_the_bound() {
    let line = serde_json::to_vec(&past("h".repeat(200))).unwrap();
    assert!((8 << 10..HOST_BYTES_MAX as usize).contains(&line.len()), "{}", line.len());
}

#[test]
fn the_histories_of_many_hosts_are_told_apart() {
    let mut lines = Vec::new();
    for number in (0..5000).rev() {
        lines.extend(serde_json::to_vec(&past(format!("h{number}"))).unwrap());
        lines.push(b'\n');
    }
    // More than any answer could be before.
    assert!(lines.len() > 8 << 20);
    let pasts = parse(&lines).unwrap();
    assert_eq!(pasts.len(), 5000);
    for id in ["h0", "h17", "h4999"] {
        let id = HostId::parse(id).unwrap();
        assert_eq!(of_host(&pasts, &id).unwrap().host, id.as_str());
    }
    assert!(of_host(&pasts, &HostId::parse("h5000").unwrap()).is_none());
    lines.truncate(lines.len() - 5);
    assert!(parse(&lines).is_err());
}

/// The newest push, and none before it, tells since when a host is silent, in which zone it lives, and when it was there.
#[test]
fn pushes_in_which_nothing_had_changed_are_pushes() {
    let scratch = tempfile::tempdir().unwrap();
    let place = HostHistory::new(HostId::parse("web01").unwrap(), Dir::open_root(scratch.path()).unwrap());
    let first = DateTime::from_timestamp(1_767_225_600, 0).unwrap();
    let (root, installation) = (Root::from_bytes([1; 32]), InstallationId::from_bytes([1; 16]));
    let ingest = Ingest {
        sequence: 1,
        name: SnapshotName::new(first, 1).unwrap().to_string(),
        root,
        entries: 1,
        left_out: 0,
        base: None,
        push: PushId::from_bytes([1; 16]),
        installation,
        counter: 1,
        started: 1,
        zone: "UTC".to_owned(),
        new_bytes: 1,
        changes: 1,
        long_entry_bytes: 0,
        emergency: false,
        imported: false,
        measured: None,
    };
    let unchanged = Unchanged {
        sequence: 1,
        root,
        left_out: 0,
        push: PushId::from_bytes([2; 16]),
        installation,
        counter: 2,
        started: 2,
        zone: "Asia/Jakarta".to_owned(),
        emergency: false,
    };
    let mut log = {
        let alone = place.write_lock().unwrap().unwrap();
        let mut log = LogAppender::open(&place, &alone).unwrap();
        log.append(Event::Ingest(ingest), first).unwrap();
        log.append(Event::Unchanged(unchanged), first + TimeDelta::days(9)).unwrap();
        log.log().clone()
    };
    let mut past = Past::default();
    tell(&mut past, &place, &mut log, 0).unwrap();
    let newest = (first + TimeDelta::days(9)).timestamp();
    assert_eq!((past.snapshots, past.first, past.newest), (1, first.timestamp(), newest));
    assert_eq!((past.unchanged, past.zone.as_str()), (newest, "Asia/Jakarta"));
    let pushes: Vec<_> = past.pushes.iter().map(|push| (push.started, push.accepted)).collect();
    assert_eq!(pushes, [(1, first.timestamp()), (2, newest)]);
}
