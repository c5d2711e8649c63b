//! Changes at random, in any order, with pushes between them: after each push the newest snapshot is what the host had. Found failures are
//! made as small as they get, and printed as a sequence of steps.

mod step;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use pipeline_tests::checker::live::{compare, scan};
use pipeline_tests::checker::{Moment, told};
use pipeline_tests::{Host, Options, Scratch};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};

use super::world::{ACCEPTED, PENDING};
use crate::rig;
use step::{Step, any_step, begin};

/// What was touched in the last two seconds is looked at again by the next push whatever its times say.
const SETTLED: Duration = Duration::from_millis(2_100);

/// What happens up to a push.
#[derive(Debug, Clone)]
struct Round {
    steps: Vec<Step>,
    /// All is old enough that the next push trusts the times it sees.
    settles: bool,
}

fn any_sequence() -> impl Strategy<Value = Vec<Round>> {
    let round = (prop::collection::vec(any_step(), 1..20), prop::bool::weighted(0.2));
    let round = round.prop_map(|(steps, settles)| Round { steps, settles });
    prop::collection::vec(round, 2..6)
}

/// One server; each sequence has a host of its own, so that it can be told again alone.
struct Ground {
    scratch: RefCell<Scratch>,
    hosts: Cell<u32>,
    pushes: Cell<u32>,
    taken: RefCell<BTreeMap<String, u32>>,
}

impl Ground {
    fn run(&self, sequence: &[Round]) -> Result<(), TestCaseError> {
        self.hosts.set(self.hosts.get() + 1);
        let name = format!("host{}", self.hosts.get());
        let mut scratch = self.scratch.borrow_mut();
        let source = scratch.folder.join("hosts").join(&name).join("files");
        fs::create_dir_all(&source).unwrap();
        let host = scratch.add_host(&name, std::slice::from_ref(&source)).unwrap();
        begin(&source);
        for (number, round) in sequence.iter().enumerate() {
            for step in &round.steps {
                if step.take(&source) {
                    *self.taken.borrow_mut().entry(step.name()).or_default() += 1;
                }
            }
            if round.settles {
                thread::sleep(SETTLED);
            }
            self.pushes.set(self.pushes.get() + 1);
            let told = pushed(&scratch, &host, &source);
            prop_assert!(told.is_empty(), "push {} of {}:\n{told}", number + 1, sequence.len());
        }
        fs::remove_dir_all(&source).unwrap();
        Ok(())
    }
}

/// Pushes and ingests; what is then not as it should be.
fn pushed(scratch: &Scratch, host: &Host, source: &Path) -> String {
    let own = source.to_str().unwrap().as_bytes()[1..].to_vec();
    let expected: Vec<_> =
        scan(&[source]).unwrap().into_iter().filter(|item| item.path.starts_with(&own)).collect();
    let push = scratch.push(host).unwrap();
    if push.code != PENDING {
        return format!("the push ended with {}: {}", push.code, push.said());
    }
    let ingest = scratch.ingest().unwrap();
    if ingest.code != ACCEPTED {
        return format!("the ingest ended with {}: {}", ingest.code, ingest.said());
    }
    let found = rig::sound(scratch, host, Moment::Quiet);
    if found.count("reject") > 0 {
        return format!("rejected: {:?}", found.events.last());
    }
    let newest = found.snapshots.last().unwrap().items.clone();
    let newest: Vec<_> = newest.into_iter().filter(|item| item.path.starts_with(&own)).collect();
    told(&compare(&expected, &newest))
}

#[test]
fn whatever_changes_in_whatever_order_each_snapshot_is_what_the_host_had() {
    const TEST: &str = "whatever_changes_in_whatever_order_each_snapshot_is_what_the_host_had";
    if !rig::is_root_or_skipped(TEST) {
        return;
    }
    let _turn = rig::turn();
    let cases = if std::env::var_os("FIRN_LONG").is_some() { 150 } else { 6 };
    let ground = Ground {
        scratch: RefCell::new(rig::scratch(&Options::default())),
        hosts: Cell::new(0),
        pushes: Cell::new(0),
        taken: RefCell::default(),
    };
    let config = Config { cases, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
    let done = TestRunner::new(config).run(&any_sequence(), |sequence| ground.run(&sequence));
    println!("SEQUENCES: {cases}, {} pushes, steps {:?}", ground.pushes.get(), ground.taken.borrow());
    match done {
        Ok(()) => {}
        Err(TestError::Fail(why, sequence)) => panic!("{why}\nafter the steps:\n{sequence:#?}"),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
    assert!(ground.taken.borrow().values().sum::<u32>() > cases * 5, "hardly anything changed");
}

/// The judge notices when a snapshot is not what the host had.
#[test]
fn control_a_change_behind_the_back_of_a_push_is_noticed() {
    let mut scratch = rig::scratch(&Options::default());
    let source = scratch.folder.join("hosts/web01/files");
    rig::file(&source.join("a"), b"one");
    let host = scratch.add_host("web01", std::slice::from_ref(&source)).unwrap();
    assert_eq!(pushed(&scratch, &host, &source), "");
    // The host is as before, its settings name another folder: so the snapshot is not what the host has.
    let text = fs::read_to_string(&host.settings).unwrap();
    let other = scratch.folder.join("hosts/web01/other");
    rig::file(&other.join("a"), b"two");
    fs::write(&host.settings, text.replace(source.to_str().unwrap(), other.to_str().unwrap())).unwrap();
    assert!(pushed(&scratch, &host, &source).contains("is missing"));
}
