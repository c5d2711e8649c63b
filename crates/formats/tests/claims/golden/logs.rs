//! Snapshot logs, as this program writes them.

use formats::records::Record;
use formats::records::grant::GrantEnded;
use formats::records::log::{
    Alarm, Event, Healer, Ingest, LogLine, Measured, RestoreOutcome, RestoreWay, Tripped, Unchanged,
};
use formats::records::redaction::Redaction;
use formats::{ContentHash, HostId, PushId, Root};

use crate::records;
use crate::sessions::header;

pub(super) fn log() -> Vec<u8> {
    let host = HostId::parse("web01").unwrap();
    let push = PushId::from_bytes([2; 16]);
    let installation = header().installation;
    let events = vec![
        Event::Ingest(Ingest {
            sequence: 1,
            name: "20260102T030405Z-0000000001".into(),
            root: Root::from_bytes([9; 32]),
            entries: 12,
            left_out: 0,
            base: None,
            push,
            installation,
            counter: 1,
            started: 1_700_000_000,
            zone: "UTC".into(),
            new_bytes: 4096,
            changes: 12,
            long_entry_bytes: 0,
            emergency: false,
            imported: false,
            measured: None,
        }),
        Event::Alarm { what: Alarm::SecondInstallation, push, installation, tripwire: None },
        Event::Hold { reason: "second installation".into(), snapshot: None },
        Event::Release { reason: "checked by hand".into(), snapshot: None },
        Event::Reject {
            push: Some(push),
            installation: None,
            counter: None,
            code: 24,
            reason: "base not in the history".into(),
            emergency: false,
        },
        Event::Reset { reason: "history lost".into() },
    ];
    lines(&host, events)
}

/// The events that came with version 1.1, and one that stays 1.0.
pub(super) fn later_log() -> Vec<u8> {
    let LogLine { event, .. } =
        LogLine::from_line(log().split_inclusive(|b| *b == b'\n').next().unwrap()).unwrap();
    let Event::Ingest(ingest) = event else { panic!("the first event is a snapshot") };
    let rejected = Event::Reject {
        push: Some(PushId::from_bytes([3; 16])),
        installation: None,
        counter: None,
        code: 26,
        reason: "over the limits of this host".into(),
        emergency: true,
    };
    let usual = Event::Ingest(ingest.clone());
    let host = HostId::parse("web01").unwrap();
    lines(&host, vec![Event::Ingest(Ingest { emergency: true, ..ingest }), rejected, usual])
}

/// The events that came with version 2.0, and others between them that stay what they were.
pub(super) fn second_log() -> Vec<u8> {
    let LogLine { event: first, .. } =
        LogLine::from_line(log().split_inclusive(|b| *b == b'\n').next().unwrap()).unwrap();
    let Event::Ingest(ingest) = &first else { panic!("the first event is a snapshot") };
    let name = ingest.name.clone();
    let second = Event::Ingest(Ingest {
        sequence: 2,
        name: "20260102T030405Z-0000000002".into(),
        push: PushId::from_bytes([4; 16]),
        ..ingest.clone()
    });
    let prune = Event::Prune {
        sequence: 1,
        name: name.clone(),
        root: ingest.root,
        planned: "2025-12-30T03:04:05Z".into(),
    };
    let events = vec![
        first,
        second,
        Event::Hold { reason: "before the migration".into(), snapshot: Some(name.clone()) },
        Event::Verify { newest: "20260102T030405Z-0000000002".into(), snapshots: 2, read_bytes: 8192 },
        Event::Release { reason: "it went well".into(), snapshot: Some(name) },
        prune,
        Event::Freed { bytes: 4096 },
        Event::Hold { reason: "case 4711".into(), snapshot: None },
    ];
    lines(&HostId::parse("web01").unwrap(), events)
}

/// The events that came with version 1.8.
pub(super) fn granted_log() -> Vec<u8> {
    let LogLine { event: first, .. } =
        LogLine::from_line(log().split_inclusive(|b| *b == b'\n').next().unwrap()).unwrap();
    let grant = Event::Grant(records::granted());
    let end = |grant, how| Event::GrantEnd { grant, how };
    let events = vec![
        first,
        grant.clone(),
        end(2, GrantEnded::Fetched),
        grant.clone(),
        end(4, GrantEnded::Expired),
        grant,
        end(6, GrantEnded::Withdrawn),
    ];
    lines(&HostId::parse("web01").unwrap(), events)
}

/// What was redacted, with ice that still has it and where nobody could tell, and an event that stays 1.0.
pub(super) fn redacted_log() -> Vec<u8> {
    let LogLine { event, .. } =
        LogLine::from_line(log().split_inclusive(|b| *b == b'\n').next().unwrap()).unwrap();
    let first = records::redaction();
    let second = Redaction { path: None, ices: None, ice: Vec::new(), ..first.clone() };
    let events = vec![event, Event::Redact(Box::new(first)), Event::Redact(Box::new(second))];
    lines(&HostId::parse("web01").unwrap(), events)
}

/// The field that came with version 1.2, alone and in an emergency.
pub(super) fn newest_log() -> Vec<u8> {
    let LogLine { event, .. } =
        LogLine::from_line(log().split_inclusive(|b| *b == b'\n').next().unwrap()).unwrap();
    let Event::Ingest(ingest) = event else { panic!("the first event is a snapshot") };
    let long = Ingest { long_entry_bytes: 70_000, ..ingest };
    let both = Event::Ingest(Ingest { emergency: true, ..long.clone() });
    lines(&HostId::parse("web01").unwrap(), vec![Event::Ingest(long), both])
}

/// The field that came with version 1.3, on a snapshot without long entries and on one with.
pub(super) fn imported_log() -> Vec<u8> {
    let LogLine { event, .. } =
        LogLine::from_line(log().split_inclusive(|b| *b == b'\n').next().unwrap()).unwrap();
    let Event::Ingest(ingest) = event else { panic!("the first event is a snapshot") };
    let imported = Ingest { imported: true, ..ingest.clone() };
    let long = Ingest {
        sequence: 2,
        name: "20260103T030405Z-0000000002".into(),
        long_entry_bytes: 70_000,
        ..imported.clone()
    };
    let usual = Ingest { sequence: 3, name: "20260104T030405Z-0000000003".into(), ..ingest };
    lines(&HostId::parse("web01").unwrap(), [imported, long, usual].map(Event::Ingest).into())
}

/// What is lost and healed, and an event that stays 1.0.
pub(super) fn healing_log() -> Vec<u8> {
    let LogLine { event, .. } =
        LogLine::from_line(log().split_inclusive(|b| *b == b'\n').next().unwrap()).unwrap();
    let content = |n| ContentHash::from_bytes([n; 32]);
    let rot = |n| Event::Rot { content: content(n), size: 300_000, names: 12, snapshots: 4 };
    let healed = |n, names, by| Event::Healed { content: content(n), names, by };
    let events = vec![
        event,
        rot(1),
        rot(2),
        rot(3),
        healed(1, 12, Healer::Push),
        healed(2, 12, Healer::History),
        healed(3, 0, Healer::Nobody),
    ];
    lines(&HostId::parse("web01").unwrap(), events)
}

/// Alarms of tripwires, and the field that came with version 1.4.
pub(super) fn tripwire_log() -> Vec<u8> {
    let LogLine { event, .. } =
        LogLine::from_line(log().split_inclusive(|b| *b == b'\n').next().unwrap()).unwrap();
    let Event::Ingest(usual) = event else { panic!("the first event is a snapshot") };
    let measured = Measured { files: 9, changed: 8, deleted: 1, shrunken: 2, noise: 8 };
    let name = "20260103T030405Z-0000000002".to_owned();
    let second =
        Ingest { sequence: 2, name, long_entry_bytes: 70_000, measured: Some(measured), ..usual.clone() };
    let compared = usual.name.clone();
    let alarm = |what, extension: Option<&str>| Event::Alarm {
        what,
        push: usual.push,
        installation: usual.installation,
        tripwire: Some(Box::new(Tripped {
            compared: compared.clone(),
            found: 8,
            of: 9,
            limit: 5,
            extension: extension.map(str::to_owned),
            paths: vec!["home/a".into(), "home/\\xff".into()],
        })),
    };
    let events = vec![
        Event::Ingest(usual.clone()),
        alarm(Alarm::Changed, None),
        alarm(Alarm::Deleted, None),
        alarm(Alarm::Shrunken, None),
        alarm(Alarm::Noise, None),
        alarm(Alarm::Extension, Some("locked")),
        alarm(Alarm::Canary, None),
        Event::Ingest(second),
    ];
    lines(&HostId::parse("web01").unwrap(), events)
}

/// Pushes without a change.
pub(super) fn unchanged_log() -> Vec<u8> {
    let LogLine { event, .. } =
        LogLine::from_line(log().split_inclusive(|b| *b == b'\n').next().unwrap()).unwrap();
    let Event::Ingest(usual) = event else { panic!("the first event is a snapshot") };
    let unchanged = |push: u8, emergency| {
        Event::Unchanged(Unchanged {
            sequence: usual.sequence,
            root: usual.root,
            left_out: 2,
            push: PushId::from_bytes([push; 16]),
            installation: usual.installation,
            counter: usual.counter + u64::from(push),
            started: usual.started + 86_400,
            zone: usual.zone.clone(),
            emergency,
        })
    };
    let events = vec![Event::Ingest(usual.clone()), unchanged(1, false), unchanged(2, true)];
    lines(&HostId::parse("web01").unwrap(), events)
}

/// Restores.
pub(super) fn restored_log() -> Vec<u8> {
    let restore = |path: Option<&str>, way, left_out, outcome| Event::Restore {
        snapshot: "20260102T030405Z-0000000001".into(),
        path: path.map(str::to_owned),
        way,
        who: "ada".into(),
        left_out,
        outcome,
    };
    let events = vec![
        restore(Some("etc/nginx"), RestoreWay::Folder, 0, RestoreOutcome::Whole),
        restore(None, RestoreWay::Archive, 2, RestoreOutcome::Partial),
        restore(None, RestoreWay::Metadata, 0, RestoreOutcome::Failed),
        restore(Some("srv"), RestoreWay::Archive, 0, RestoreOutcome::Killed),
    ];
    lines(&HostId::parse("web01").unwrap(), events)
}

fn lines(host: &HostId, events: Vec<Event>) -> Vec<u8> {
    let mut previous = LogLine::first_previous(host);
    let mut bytes = Vec::new();
    for (number, event) in (1..).zip(events) {
        let line = LogLine {
            format: LogLine::format_for(&event),
            line: number,
            previous,
            time: "2026-01-02T03:04:05Z".into(),
            event,
        };
        let line_bytes = line.to_line().unwrap();
        previous = ContentHash::of(&line_bytes);
        assert_eq!(LogLine::from_line(&line_bytes).unwrap(), line);
        bytes.extend_from_slice(&line_bytes);
    }
    bytes
}
