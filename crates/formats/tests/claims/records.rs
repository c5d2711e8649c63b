//! One record of each kind, as literals, for the golden files.

use formats::records::Record;
use formats::records::audit::{Audit, Finding, Half, Requirement, Verdict};
use formats::records::drill::{
    DrillFailure, DrillRecord, DrillResult, DrilledSnapshot, FromManifest, Supplied,
};
use formats::records::grant::{GrantRecord, Granted, OpenedGrant, Person};
use formats::records::ice::{IceRecord, IceRedacted, IceSnapshot, Image, Segment};
use formats::records::ice_id::IceId;
use formats::records::ledger::{LedgerLine, LedgerReceipt};
use formats::records::lock::LockRecord;
use formats::records::log_head::LogHead;
use formats::records::plan::{PlannedSnapshot, PrunePlan};
use formats::records::redaction::{IceBefore, RedactedContent, Redaction, RedactionRecord};
use formats::records::standing::{Damage, DrillsKnown, StandingIce, StandingProved, StandingRecord};
use formats::{ContentHash, Root};

const TIME: &str = "2026-01-02T03:04:05Z";
const LATER: &str = "2026-04-05T03:04:05Z";

fn ice_id() -> IceId {
    "web01/20260102T030405Z-0000000002".parse().unwrap()
}

pub(crate) fn ice() -> IceRecord {
    let ice = ice_id();
    let segment = |number: usize, plain_bytes: u64| Segment {
        object: ice.segment_object(number),
        version: (number > 0).then(|| "v1".into()),
        plain_bytes,
        plain_hash: ContentHash::from_bytes([1; 32]),
        bytes: plain_bytes + 700,
        hash: ContentHash::from_bytes([2; 32]),
    };
    let segments = vec![segment(0, 4_096), segment(1, 1 << 30), segment(2, 17)];
    let record = IceRecord {
        format: IceRecord::format(),
        host: ice.host().clone(),
        created: TIME.into(),
        snapshots: vec![IceSnapshot {
            name: "20260102T030405Z-0000000002".into(),
            sequence: 2,
            root: Root::from_bytes([3; 32]),
            entries: 12,
        }],
        image: Image { bytes: 4_096 + (1 << 30) + 17, hash: ContentHash::from_bytes([4; 32]) },
        segment_bytes: 1 << 30,
        segments,
        recipients: vec!["AB".repeat(20).parse().unwrap(), "CD".repeat(20).parse().unwrap()],
        left_out: 3,
        log_head: ContentHash::from_bytes([5; 32]),
        redact_line: 0,
        redacted: Vec::new(),
        ice,
    };
    assert_eq!(record.check(), Ok(()));
    record
}

pub(crate) fn ledger() -> LedgerLine {
    let receipt = LedgerReceipt {
        object: ice_id().segment_object(0),
        version: Some("v1".into()),
        bytes: 4_796,
        retain_until: LATER.into(),
    };
    LedgerLine {
        format: LedgerLine::format(),
        line: 1,
        previous: LedgerLine::first_previous(),
        time: TIME.into(),
        vault: "local".into(),
        retain_until: LATER.into(),
        ice: ice(),
        receipts: vec![receipt],
    }
}

pub(crate) fn lock() -> LockRecord {
    LockRecord {
        format: LockRecord::format(),
        object: ice_id().segment_object(0),
        bytes: 4_796,
        hash: ContentHash::from_bytes([2; 32]),
        stored: TIME.into(),
        retain_until: LATER.into(),
    }
}

pub(crate) fn log_head() -> LogHead {
    LogHead {
        format: LogHead::format(),
        host: ice_id().host().clone(),
        line: 17,
        bytes: 9_876,
        line_bytes: 321,
        hash: ContentHash::from_bytes([6; 32]),
        time: TIME.into(),
    }
}

pub(crate) fn plan() -> PrunePlan {
    let planned = |sequence: u64| PlannedSnapshot {
        name: format!("20251202T030405Z-{sequence:010}"),
        sequence,
        root: Root::from_bytes([sequence as u8; 32]),
    };
    PrunePlan {
        format: PrunePlan::format(),
        doubted_line: None,
        host: ice_id().host().clone(),
        written: TIME.into(),
        line: 17,
        log_head: ContentHash::from_bytes([5; 32]),
        snapshots: 12,
        refused: None,
        remove: vec![planned(1), planned(3)],
    }
}

fn person(user: u32, name: &str) -> Person {
    Person { user, name: name.into() }
}

pub(crate) fn grant() -> GrantRecord {
    GrantRecord {
        format: GrantRecord::format(),
        host: ice_id().host().clone(),
        snapshot: "20260102T030405Z-0000000001".into(),
        root: Root::from_bytes([9; 32]),
        path: "srv/www".into(),
        hours: 24,
        reason: "case 4711: www was emptied".into(),
        requested: TIME.into(),
        requested_by: person(1000, "alice"),
        opened: Some(OpenedGrant { until: LATER.into(), approved_by: person(1001, "bob") }),
    }
}

pub(crate) fn granted() -> Granted {
    Granted {
        snapshot: "20260102T030405Z-0000000001".into(),
        path: "srv/www".into(),
        until: LATER.into(),
        bytes: 10_240,
        archive: ContentHash::from_bytes([6; 32]),
        requested_by: person(1000, "alice"),
        approved_by: person(1001, "bob"),
        reason: "case 4711: www was emptied".into(),
    }
}

/// What a host or a server found: every verdict, worst first, and a finding without evidence.
pub(crate) fn audit(half: Half) -> Audit {
    let mut doors = Finding::new(Requirement::R2);
    doors.add(Verdict::Pass, "2 keys in 1 files let people in here");
    doors.add(Verdict::Fail, "/root/.ssh/authorized_keys: the server's host key lets it in here");
    doors.add(Verdict::Unknown, "/home/a/.ssh/authorized_keys is a link, which is not followed");
    let mut calm = Finding::new(Requirement::R12);
    calm.add(Verdict::Pass, "pushes run at nice 19");
    Audit {
        format: Audit::format(),
        half,
        host: (half == Half::Host).then(|| "web01".to_owned()),
        time: TIME.to_owned(),
        findings: vec![doors, Finding::new(Requirement::R10), calm],
    }
}

pub(crate) fn standing() -> StandingRecord {
    let ice = |vault: &str, proved| StandingIce {
        host: ice_id().host().clone(),
        vault: vault.into(),
        ice: ice_id(),
        snapshot: ice_id().snapshot().into(),
        stored: TIME.into(),
        retain_until: LATER.into(),
        damage: Damage::None,
        proved,
    };
    let proved = StandingProved {
        ice: "web01/20251202T030405Z-0000000001".parse().unwrap(),
        snapshot: "20251202T030405Z-0000000001".into(),
        drilled: TIME.into(),
        retain_until: LATER.into(),
    };
    let mut damaged = ice("off-site", None);
    damaged.damage = Damage::Found;
    StandingRecord {
        format: StandingRecord::format(),
        written: TIME.into(),
        vaults: vec!["local".into(), "off-site".into()],
        drills: DrillsKnown::Read,
        ices: vec![ice("local", Some(proved)), damaged],
    }
}

pub(crate) fn drill(result: DrillResult) -> DrillRecord {
    let failure = DrillFailure { code: 41, text: "the image differs".into() };
    DrillRecord {
        format: DrillRecord::format(),
        ice: ice_id(),
        vault: "local".into(),
        started: TIME.into(),
        finished: TIME.into(),
        tool: "restore-drill 0.1.0".into(),
        result,
        failure: (result == DrillResult::Failed).then_some(failure),
        segments: 3,
        bytes: 1 << 30,
        snapshots: vec![DrilledSnapshot {
            name: "20260102T030405Z-0000000002".into(),
            root: Root::from_bytes([3; 32]),
            entries: 12,
            files: 3,
            content_bytes: 46,
        }],
        from_manifest: vec![FromManifest { what: Supplied::ExtendedAttributes, count: 1 }],
        key: Some("AB".repeat(20).parse().unwrap()),
        image_hash: Some(ContentHash::from_bytes([4; 32])),
    }
}

/// What was asked for, and what the log says of it.
pub(crate) fn redaction_record() -> RedactionRecord {
    let Redaction { path, contents, reason, requested_by, .. } = redaction();
    let (format, host) = (RedactionRecord::format(), ice_id().host().clone());
    RedactionRecord { format, host, path, contents, reason, requested: TIME.into(), requested_by }
}

pub(crate) fn redaction() -> Redaction {
    let person = |user, name: &str| Person { user, name: name.into() };
    let content = |n| RedactedContent { content: ContentHash::from_bytes([n; 32]), size: 300_000 };
    let ice = IceBefore { vault: "cold".into(), ice: ice_id().to_string(), retain_until: TIME.into() };
    Redaction {
        path: Some("home/ada/\\xff".into()),
        contents: vec![content(1), content(2)],
        names: 12,
        snapshots: 4,
        requested_by: person(1000, "alice"),
        approved_by: person(1001, "bob"),
        reason: "court order 12".into(),
        ices: Some(1),
        ice: vec![ice],
    }
}

/// An ice that was made after a redaction.
pub(crate) fn ice_redacted() -> IceRecord {
    let one = |n| IceRedacted { content: ContentHash::from_bytes([n; 32]), through: 1 };
    let record = IceRecord { redact_line: 7, redacted: vec![one(1), one(2)], ..ice() };
    assert_eq!(record.check(), Ok(()));
    assert!(record.is_redacted(&ContentHash::from_bytes([2; 32]), 1));
    assert!(!record.is_redacted(&ContentHash::from_bytes([2; 32]), 2), "it came back");
    record
}
