//! New ice of a history from which something was redacted: zeros where it was, by name in the record, and no zeros elsewhere.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{DateTime, Utc};
use cli::Exit;
use formats::records::grant::Person;
use formats::records::log::Event;
use formats::records::redaction::{RedactedContent, Redaction};
use formats::{ContentHash, HostId};
use history::{History, LogAppender};
use iceboxer::ledger::LedgerState;
use iceboxer::store::Target;
use vault::{Content, Lock, Names, ObjectFolder, ObjectName, ObjectRef, Probe, Result, Thawed, Vault, Wish};

use crate::restart::{Moment, dies};
use crate::rig::{Scratch, Spec, Tree, meta, noise, run};

const GONE: u64 = 300_000;

pub(crate) fn tree() -> Tree {
    vec![
        (b"a", Spec::File(noise(GONE as usize, 1)), meta(0o644, 0, 1)),
        (b"b", Spec::File(b"stays".to_vec()), meta(0o644, 0, 1)),
        (b"c", Spec::File(noise(GONE as usize, 1)), meta(0o600, 0, 1)),
    ]
}

pub(crate) fn redact(scratch: &Scratch) {
    redact_from(&scratch.path("history"));
}

fn redact_from(history: &Path) {
    let host = History::open(history).unwrap().host(&HostId::parse("web01").unwrap()).unwrap();
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

pub(crate) fn fill(scratch: &Scratch, snapshot: &str, name: &str, byte: u8) {
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

/// A vault; once it has so many objects more, something else happens.
struct Meanwhile<H> {
    inner: Box<dyn Vault>,
    puts: AtomicUsize,
    after: usize,
    happens: H,
}

impl<H: Fn() + Send + Sync> Vault for Meanwhile<H> {
    fn clock(&self) -> Result<DateTime<Utc>> {
        self.inner.clock()
    }
    fn put(&self, name: &ObjectName, content: Content<'_>, until: DateTime<Utc>) -> Result<Lock> {
        let lock = self.inner.put(name, content, until)?;
        if self.puts.fetch_add(1, Ordering::SeqCst) + 1 == self.after {
            (self.happens)();
        }
        Ok(lock)
    }
    fn list(&self, folder: &ObjectFolder) -> Result<Names<'_>> {
        self.inner.list(folder)
    }
    fn fetch(&self, object: &ObjectRef) -> Result<Box<dyn Read + Send>> {
        self.inner.fetch(object)
    }
    fn thaw(&self, object: &ObjectRef, wish: Wish) -> Result<Thawed> {
        self.inner.thaw(object, wish)
    }
    fn lock(&self, object: &ObjectRef) -> Result<Lock> {
        self.inner.lock(object)
    }
    fn can_extend(&self) -> bool {
        self.inner.can_extend()
    }
    fn end_stale_puts(&self, before: DateTime<Utc>) -> Result<u64> {
        self.inner.end_stale_puts(before)
    }
    fn extend_lock(&self, object: &ObjectRef, until: DateTime<Utc>) -> Result<Lock> {
        self.inner.extend_lock(object, until)
    }
    fn prove_lock(&self, canary: &Lock) -> Result<Vec<Probe>> {
        self.inner.prove_lock(canary)
    }
    fn inspect(&self) -> vault::Inspection {
        self.inner.inspect()
    }
}

#[test]
fn what_is_redacted_while_it_is_put_leaves_no_more_and_becomes_no_ice() {
    let mut hits = 0;
    for after in 1.. {
        let scratch = Scratch::new();
        let recipients = [scratch.recipient("one")];
        let name = scratch.snapshot("web01", &tree());
        let history = scratch.path("history");
        let target = scratch.target();
        let vault = Meanwhile {
            inner: target.vault,
            puts: AtomicUsize::new(0),
            after,
            happens: move || redact_from(&history),
        };
        let ended = run(scratch.plan(&recipients, vec![Target { vault: Box::new(vault), ..target }]));
        let objects = scratch.objects();
        assert_eq!(objects.len(), after, "nothing of it is put any more");
        if objects.iter().any(|object| object.ends_with("ice.json")) {
            // It was the record: the ice was there before the redaction.
            assert_eq!(ended.unwrap(), Exit::WHOLE);
            break;
        }
        hits += 1;
        let failed = ended.unwrap_err();
        assert!(failed.exit() == Exit::BUSY && failed.chain().contains("redacted from web01"));
        assert!(scratch.is_staging_empty("web01"), "given up");
        assert!(LedgerState::read(&scratch.path("ledger")).unwrap().entries().is_empty());
        fill(&scratch, &name, "a", 0);
        fill(&scratch, &name, "c", 0);
        run(scratch.plan(&recipients, vec![scratch.target()])).unwrap();
        let ledger = LedgerState::read(&scratch.path("ledger")).unwrap();
        let [entry] = ledger.entries() else { panic!("one ice, and it is clean") };
        assert!(entry.record.redact_line == 2 && entry.record.redacted.len() == 1);
    }
    assert!(hits >= 4, "three segments and a catalogue: {hits}");
}

#[test]
fn ice_of_before_a_redaction_is_not_taken_for_the_image_of_after_it() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let name = scratch.snapshot("web01", &tree());
    run(scratch.plan(&recipients, vec![scratch.target()])).unwrap();
    redact(&scratch);
    fill(&scratch, &name, "a", 0);
    fill(&scratch, &name, "c", 0);
    let staged = || {
        let file = fs::metadata(scratch.path("staging/web01/image.json")).unwrap();
        (file.ino(), file.mtime(), file.mtime_nsec())
    };
    let fails = || {
        let target = dies(scratch.target(), 1, Moment::Before).0;
        let failed = run(scratch.plan(&recipients, vec![target])).unwrap_err();
        assert_eq!(failed.exit(), Exit::VAULT_UNREACHABLE);
        staged()
    };
    assert_eq!(fails(), fails(), "the image is kept for a vault that has only the ice of before");
    run(scratch.plan(&recipients, vec![scratch.target()])).unwrap();
    let ledger = LedgerState::read(&scratch.path("ledger")).unwrap();
    let lines: Vec<_> = ledger.entries().iter().map(|one| one.record.redact_line).collect();
    assert_eq!(lines, [0, 2]);
}
