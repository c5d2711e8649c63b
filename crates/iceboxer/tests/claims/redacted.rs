//! New ice of a history from which something was redacted: zeros where it was, by name in the record, and no zeros elsewhere.

use std::fs;

use chrono::Utc;
use cli::Exit;
use formats::records::grant::Person;
use formats::records::log::Event;
use formats::records::redaction::{RedactedContent, Redaction};
use formats::{ContentHash, HostId};
use history::{History, LogAppender};
use iceboxer::ledger::LedgerState;

use crate::restart::{Moment, dies};
use crate::rig::{Scratch, Spec, Tree, meta, noise, run};

const GONE: u64 = 300_000;

fn tree() -> Tree {
    vec![
        (b"a", Spec::File(noise(GONE as usize, 1)), meta(0o644, 0, 1)),
        (b"b", Spec::File(b"stays".to_vec()), meta(0o644, 0, 1)),
        (b"c", Spec::File(noise(GONE as usize, 1)), meta(0o600, 0, 1)),
    ]
}

fn redact(scratch: &Scratch) {
    let host =
        History::open(&scratch.path("history")).unwrap().host(&HostId::parse("web01").unwrap()).unwrap();
    let alone = host.write_lock().unwrap().unwrap();
    let person = |user| Person { user, name: "somebody".to_owned() };
    let content = ContentHash::of(&noise(GONE as usize, 1));
    let redaction = Redaction {
        path: None,
        contents: vec![RedactedContent { content, size: GONE }],
        names: 2,
        snapshots: 1,
        requested_by: person(1000),
        approved_by: person(1001),
        reason: "court order 12".to_owned(),
        ices: None,
        ice: Vec::new(),
    };
    let mut log = LogAppender::open(&host, &alone).unwrap();
    log.append(Event::Redact(Box::new(redaction)), Utc::now()).unwrap();
}

fn fill(scratch: &Scratch, snapshot: &str, name: &str, byte: u8) {
    let path = scratch.path("history/web01").join(snapshot).join("tree").join(name);
    fs::write(path, vec![byte; GONE as usize]).unwrap();
}

#[test]
fn ice_of_what_was_redacted_has_zeros_and_says_for_what() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let plan = || scratch.plan(&recipients, vec![scratch.target()]);
    let name = scratch.snapshot("web01", &tree());
    run(plan()).unwrap();
    let before = scratch.record(&format!("web01/{name}"));
    assert!(before.redacted.is_empty() && before.redact_line == 0);
    redact(&scratch);
    // Noted, and not done: it goes into no image.
    assert_eq!(run(plan()).unwrap_err().exit(), Exit::SNAPSHOT_DIFFERS);
    fill(&scratch, &name, "a", 0);
    fill(&scratch, &name, "c", 1);
    assert_eq!(run(plan()).unwrap_err().exit(), Exit::SNAPSHOT_DIFFERS, "not zeros");
    fill(&scratch, &name, "c", 0);
    run(plan()).unwrap();
    let ledger = LedgerState::read(&scratch.path("ledger")).unwrap();
    let record = &ledger.entries().last().unwrap().record;
    assert_eq!(record.ice.to_string(), format!("web01/{name}.2"), "the first is not what there is now");
    assert!(record.is_redacted(&ContentHash::of(&noise(GONE as usize, 1)), 1));
    assert!(!record.is_redacted(&ContentHash::of(b"stays"), 1) && record.redacted.len() == 1);
    assert!(record.image.bytes < before.image.bytes - GONE / 2, "it is in no segment");
    // Done, and not done again.
    let stored = ledger.entries().len();
    run(plan()).unwrap();
    assert_eq!(LedgerState::read(&scratch.path("ledger")).unwrap().entries().len(), stored);
}

#[test]
fn zeros_of_what_nobody_redacted_are_in_no_ice() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let name = scratch.snapshot("web01", &tree());
    fill(&scratch, &name, "a", 0);
    let failed = run(scratch.plan(&recipients, vec![scratch.target()])).unwrap_err();
    assert_eq!(failed.exit(), Exit::SNAPSHOT_DIFFERS);
}

#[test]
fn an_image_that_waits_gives_way_to_a_redaction() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let name = scratch.snapshot("web01", &tree());
    let failing = dies(scratch.other(), 5, Moment::Before).0;
    run(scratch.plan(&recipients, vec![scratch.target(), failing])).unwrap_err();
    assert!(scratch.path("staging/web01/image.json").exists());
    redact(&scratch);
    fill(&scratch, &name, "a", 0);
    fill(&scratch, &name, "c", 0);
    run(scratch.plan(&recipients, vec![scratch.target(), scratch.other()])).unwrap();
    let ledger = LedgerState::read(&scratch.path("ledger")).unwrap();
    let lines: Vec<_> =
        ledger.entries().iter().map(|one| (one.vault.as_str(), one.record.redact_line)).collect();
    assert_eq!(lines, [("local", 0), ("local", 2), ("other", 2)], "nothing of before goes anywhere any more");
}
