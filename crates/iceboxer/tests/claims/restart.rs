//! A run that is cut short anywhere goes on where it stopped.

use std::fs;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{DateTime, Utc};
use cli::Exit;
use iceboxer::ledger::LedgerState;
use iceboxer::plan::{Again, Plan};
use iceboxer::store::Target;
use vault::{
    Content, Lock, Names, ObjectFolder, ObjectName, ObjectRef, Probe, Result, Thawed, Vault, VaultError, Wish,
};

use crate::rig::{Scratch, everything, meta, run};

/// When a call to the vault fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before anything was done.
    Before,
    /// After all was done: the answer is lost.
    After,
}

/// A vault that dies at its nth call, and stays dead.
struct Dying {
    inner: Box<dyn Vault>,
    dies_at: usize,
    moment: Moment,
    calls: Arc<AtomicUsize>,
}

impl Dying {
    fn call<T>(&self, call: impl FnOnce() -> Result<T>) -> Result<T> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let dead =
            || VaultError::Unreachable { step: "answer".to_owned(), source: io::ErrorKind::TimedOut.into() };
        if number > self.dies_at || (number == self.dies_at && self.moment == Moment::Before) {
            return Err(dead());
        }
        let answer = call();
        if number == self.dies_at { Err(dead()) } else { answer }
    }
}

impl Vault for Dying {
    fn clock(&self) -> Result<DateTime<Utc>> {
        self.inner.clock()
    }
    fn put(&self, name: &ObjectName, content: Content<'_>, until: DateTime<Utc>) -> Result<Lock> {
        self.call(|| self.inner.put(name, content, until))
    }
    fn list(&self, folder: &ObjectFolder) -> Result<Names<'_>> {
        self.call(|| self.inner.list(folder))
    }
    fn fetch(&self, object: &ObjectRef) -> Result<Box<dyn Read + Send>> {
        self.call(|| self.inner.fetch(object))
    }
    fn thaw(&self, object: &ObjectRef, wish: Wish) -> Result<Thawed> {
        self.call(|| self.inner.thaw(object, wish))
    }
    fn lock(&self, object: &ObjectRef) -> Result<Lock> {
        self.call(|| self.inner.lock(object))
    }
    fn can_extend(&self) -> bool {
        self.inner.can_extend()
    }
    fn end_stale_puts(&self, before: DateTime<Utc>) -> Result<u64> {
        self.inner.end_stale_puts(before)
    }

    fn extend_lock(&self, object: &ObjectRef, until: DateTime<Utc>) -> Result<Lock> {
        self.call(|| self.inner.extend_lock(object, until))
    }
    fn prove_lock(&self, canary: &Lock) -> Result<Vec<Probe>> {
        self.call(|| self.inner.prove_lock(canary))
    }

    fn inspect(&self) -> vault::Inspection {
        self.inner.inspect()
    }
}

/// The same vault, which dies at this call; and how many calls there were.
pub(crate) fn dies(target: Target, dies_at: usize, moment: Moment) -> (Target, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let vault = Dying { inner: target.vault, dies_at, moment, calls: Arc::clone(&calls) };
    (Target { vault: Box::new(vault), ..target }, calls)
}

fn dying(scratch: &Scratch, dies_at: usize, moment: Moment) -> (Target, Arc<AtomicUsize>) {
    dies(scratch.target(), dies_at, moment)
}

#[test]
fn cut_short_at_any_call_the_next_run_completes_one_and_the_same_ice() {
    let mut points = 0;
    for moment in [Moment::Before, Moment::After] {
        for dies_at in 1.. {
            let scratch = Scratch::new();
            let recipients = [scratch.recipient("one")];
            let name = scratch.snapshot("web01", &everything());
            let (target, calls) = dying(&scratch, dies_at, moment);
            let first = run(scratch.plan(&recipients, vec![target]));
            if calls.load(Ordering::SeqCst) < dies_at {
                assert!(first.is_ok());
                break;
            }
            points += 1;
            assert_eq!(first.unwrap_err().exit(), Exit::VAULT_UNREACHABLE);
            let kept = scratch.objects();
            assert_eq!(run(scratch.plan(&recipients, vec![scratch.target()])).unwrap(), Exit::WHOLE);
            let objects = scratch.objects();
            assert!(kept.iter().all(|object| objects.contains(object)));
            let record = scratch.record(&format!("web01/{name}"));
            assert_eq!(objects.len(), record.segments.len() + 2, "{moment:?} {dies_at}: {objects:?}");
            assert!(scratch.is_staging_empty("web01"));
            assert_eq!(LedgerState::read(&scratch.path("ledger")).unwrap().entries().len(), 1);
            if dies_at % 4 == 0 {
                scratch.thaw(&format!("web01/{name}"));
            }
        }
    }
    println!("cut short at {points} points");
    assert!(points > 20, "{points}");
}

#[test]
fn without_the_staging_folder_an_ice_is_begun_again_under_another_id() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let name = scratch.snapshot("web01", &everything());
    let (target, _) = dying(&scratch, 4, Moment::After);
    run(scratch.plan(&recipients, vec![target])).unwrap_err();
    let kept = scratch.objects();
    assert!(!kept.is_empty());
    fs::remove_dir_all(scratch.path("staging")).unwrap();
    run(scratch.plan(&recipients, vec![scratch.target()])).unwrap();
    scratch.thaw(&format!("web01/{name}.2"));
    assert!(kept.iter().all(|object| scratch.objects().contains(object)), "nothing is removed from a vault");
    assert!(!scratch.object(&format!("{name}/ice.json")).exists());
}

#[test]
fn other_recipients_than_an_unfinished_ice_has_begin_anew() {
    let scratch = Scratch::new();
    let name = scratch.snapshot("web01", &everything());
    let (target, _) = dying(&scratch, 4, Moment::After);
    run(scratch.plan(&[scratch.recipient("one")], vec![target])).unwrap_err();
    let two = scratch.recipient("two");
    run(scratch.plan(std::slice::from_ref(&two), vec![scratch.target()])).unwrap();
    let record = scratch.record(&format!("web01/{name}.2"));
    assert_eq!(record.recipients, [two.fingerprint().clone()]);
}

#[test]
fn an_ice_that_was_asked_for_once_more_is_finished_without_the_first_in_every_vault() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let name = scratch.snapshot("web01", &everything());
    let both = || vec![scratch.target(), scratch.other()];
    run(scratch.plan(&recipients, both())).unwrap();
    // An image is told by its hash, and that by the second in which it was made.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    // Cut short in the first vault, before anything of it is in the second: by a failure here, as by a death.
    let (target, _) = dying(&scratch, 4, Moment::Before);
    run(Plan { again: Again::Seal, ..scratch.plan(&recipients, vec![target]) }).unwrap_err();
    assert_eq!(run(scratch.plan(&recipients, both())).unwrap(), Exit::WHOLE);
    let again = format!("web01/{name}.2");
    let record = scratch.record(&again);
    assert!(record.segments.iter().all(|segment| segment.object.contains(&again)));
    assert!(scratch.path("other/objects/ice").join(&again).join("ice.json").exists());
    assert!(scratch.is_staging_empty("web01"));
    // And not a third time.
    let objects = scratch.objects();
    run(scratch.plan(&recipients, both())).unwrap();
    assert_eq!(scratch.objects(), objects);
}

#[test]
fn an_object_that_somebody_else_put_spoils_the_folder_and_is_not_used() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let name = scratch.snapshot("web01", &everything());
    let (target, _) = dying(&scratch, 4, Moment::Before);
    run(scratch.plan(&recipients, vec![target])).unwrap_err();
    // The last segment's name is taken by something that is not ours.
    let taken = format!("ice/web01/{name}/0003.pgp");
    let mut bytes = &b"planted"[..];
    let content = Content { bytes: 7, hash: formats::ContentHash::of(bytes), reader: &mut bytes };
    scratch
        .target()
        .vault
        .put(&taken.parse().unwrap(), content, Utc::now() + chrono::TimeDelta::days(92))
        .unwrap();
    assert_eq!(run(scratch.plan(&recipients, vec![scratch.target()])).unwrap(), Exit::WHOLE);
    scratch.thaw(&format!("web01/{name}.2"));
}

#[test]
fn a_ledger_line_that_was_lost_is_written_by_the_next_run() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let name = scratch.snapshot("web01", &everything());
    // Counts the calls of a whole run, on a server of its own.
    let other = Scratch::new();
    other.snapshot("web01", &everything());
    let (counting, calls) = dying(&other, usize::MAX, Moment::Before);
    run(other.plan(&recipients, vec![counting])).unwrap();
    let last = calls.load(Ordering::SeqCst);
    // Killed between the ice record and the ledger line: the last answer of the vault is lost.
    let (target, _) = dying(&scratch, last, Moment::After);
    run(scratch.plan(&recipients, vec![target])).unwrap_err();
    scratch.record(&format!("web01/{name}"));
    assert!(LedgerState::read(&scratch.path("ledger")).unwrap().entries().is_empty());
    let objects = scratch.objects();
    run(scratch.plan(&recipients, vec![scratch.target()])).unwrap();
    assert_eq!(scratch.objects(), objects);
    assert_eq!(LedgerState::read(&scratch.path("ledger")).unwrap().entries().len(), 1);
}

#[test]
fn an_image_that_changed_while_it_waited_is_not_uploaded() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let name = scratch.snapshot("web01", &everything());
    let (target, _) = dying(&scratch, 3, Moment::Before);
    run(scratch.plan(&recipients, vec![target])).unwrap_err();
    let image = scratch.path("staging/web01/image");
    let mut bytes = fs::read(&image).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&image, bytes).unwrap();
    let failed = run(scratch.plan(&recipients, vec![scratch.target()])).unwrap_err();
    assert_eq!(failed.exit(), Exit::DAMAGED, "{}", failed.chain());
    // It stands in the way of nothing: the same run makes a new one, under another id.
    let ices: Vec<String> = scratch.objects().into_iter().filter(|name| name.ends_with("ice.json")).collect();
    assert_eq!(ices, [format!("web01/{name}.2/ice.json")]);
    scratch.thaw(&format!("web01/{name}.2"));
    assert!(scratch.is_staging_empty("web01"));
}

#[test]
fn an_older_image_is_finished_first_and_then_the_newest_follows() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let old = scratch.snapshot("web01", &everything());
    let (target, _) = dying(&scratch, 4, Moment::Before);
    run(scratch.plan(&recipients, vec![target])).unwrap_err();
    let new = scratch.snapshot("web01", &vec![(b"a", crate::rig::Spec::Folder, meta(0o755, 0, 1))]);
    run(scratch.plan(&recipients, vec![scratch.target()])).unwrap();
    scratch.record(&format!("web01/{old}"));
    scratch.record(&format!("web01/{new}"));
    let ices: Vec<String> = LedgerState::read(&scratch.path("ledger"))
        .unwrap()
        .entries()
        .iter()
        .map(|e| e.ice.to_string())
        .collect();
    assert_eq!(ices, [format!("web01/{old}"), format!("web01/{new}")]);
}
