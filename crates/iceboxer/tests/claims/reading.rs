//! What of a history is locked against a prune, and for how long.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cli::Exit;
use formats::HostId;
use history::{History, SnapshotName};
use iceboxer::settings::Scope;

use crate::rig::{Scratch, Spec, Tree, meta, noise, run};

/// Which of these snapshots a prune would have found to be read, while `work` was at work.
fn read_during(scratch: &Scratch, names: &[SnapshotName], work: impl FnOnce()) -> Vec<bool> {
    let host = HostId::parse("web01").unwrap();
    let place = History::open(&scratch.path("history")).unwrap().host(&host).unwrap();
    let (is_over, read) = (AtomicBool::new(false), Mutex::new(vec![false; names.len()]));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                for (name, is_read) in names.iter().zip(read.lock().unwrap().iter_mut()) {
                    *is_read |= place.removal_lock(name).unwrap().is_none();
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        work();
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(names.iter().all(|name| place.removal_lock(name).unwrap().is_some()), "all is let go at last");
    read.into_inner().unwrap()
}

#[test]
fn what_goes_into_an_image_is_locked_meanwhile_and_nothing_else() {
    let tree = |seed: u64| -> Tree { vec![(b"a", Spec::File(noise(2_000_000, seed)), meta(0o644, 0, 1))] };
    for (scope, expected) in [(Scope::Latest, [false, false, true]), (Scope::All, [true; 3])] {
        let scratch = Scratch::new();
        let recipients = [scratch.recipient("one")];
        let names: Vec<SnapshotName> =
            (1..=3).map(|seed| scratch.snapshot("web01", &tree(seed)).parse().unwrap()).collect();
        let mut plan = scratch.plan(&recipients, vec![scratch.target()]);
        plan.scope = scope;
        let read = read_during(&scratch, &names, || assert_eq!(run(plan).unwrap(), Exit::WHOLE));
        assert_eq!(read, expected, "{scope:?}");
    }
}
