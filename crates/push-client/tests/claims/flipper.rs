//! Somebody who may write in the tree flips its names as fast as he can while they are walked, opened and read: nothing of a secret place
//! outside the tree is ever seen. A walk by paths, as one writes it without care, is led out by the same flips: the control.
//!
//! What is counted: a try is one visit of a name (its look, its opening, all that is read of it) in which the flipped name it is or lies
//! under was flipped at least once. So a flip that nobody met counts nothing, and many flips in one visit count one.

mod eyes;
mod naive;
mod traps;

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use formats::published::Verdict;
use formats::{Entry, Kind};
use push_client::push::Count;
use push_client::walk::{FileKind, Found, Missed, Visit, Walker, open_file, read_attributes, read_flags};

use crate::host::Host;
use crate::server::Server;
use eyes::Eyes;
use traps::{CALM, Traps, WILD, Watch};

/// Beyond it the machine is too slow for a result.
const PATIENCE: Duration = Duration::from_secs(3600);

fn tries_min() -> u64 {
    if std::env::var_os("FIRN_LONG").is_some() { 1_000_000 } else { 20_000 }
}

/// Runs `work` again and again, while the traps are flipped, until it says that it is enough.
fn under_attack(traps: &Traps, mut work: impl FnMut() -> bool) {
    let stop = AtomicBool::new(false);
    let until = Instant::now() + PATIENCE;
    std::thread::scope(|scope| {
        let flipping = scope.spawn(|| traps.flip_until(&stop));
        // Also if the work panics.
        let _stopped = Stopped(&stop);
        while !work() {
            assert!(Instant::now() < until, "too slow");
            assert!(!flipping.is_finished(), "the flipper gave up");
        }
    });
}

struct Stopped<'a>(&'a AtomicBool);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Asks of a name all that a push asks, by the functions that a push uses.
struct Asking<'e, 't>(&'e mut Eyes<'t>);

impl Visit for Asking<'_, '_> {
    type Stop = ();

    fn found(&mut self, found: &Found<'_>) -> Result<(), ()> {
        let eyes = &mut *self.0;
        let path = found.path.as_bytes();
        eyes.name(path);
        eyes.inode(found.facts.stamp.inode);
        match found.facts.kind {
            FileKind::File => match open_file(found.folder, found.name, &found.facts) {
                Ok(mut file) => eyes.file(&mut file),
                Err(_) => eyes.disturbed += 1,
            },
            FileKind::Folder => {
                if let Some(open) = found.opened() {
                    eyes.flags(read_flags(open).ok().flatten().map(|flags| flags.bits()));
                }
            }
            FileKind::Symlink => match rustix::fs::readlinkat(found.folder, found.name, Vec::new()) {
                Ok(target) => eyes.target(target.as_bytes()),
                Err(_) => eyes.disturbed += 1,
            },
            _ => {}
        }
        let attributes = read_attributes(found.opened(), found.folder.as_fd(), found.name);
        eyes.disturbed += u64::from(!attributes.missed.is_empty());
        attributes.read.iter().for_each(|attribute| eyes.attribute(&attribute.value));
        eyes.visited(path);
        Ok(())
    }

    fn missed(&mut self, path: &[u8], why: Missed) -> Result<(), ()> {
        self.0.name(path);
        // Nothing is mounted here: what was moved away in the moment of its opening must not pass for a mount, which nobody is told of.
        assert_ne!(why, Missed::OtherFileSystem, "{}", path.escape_ascii());
        self.0.disturbed += 1;
        self.0.visited(path);
        Ok(())
    }
}

#[test]
fn a_tree_whose_names_are_flipped_as_fast_as_can_be_never_leads_out_of_it() {
    let host = Host::in_memory();
    let traps = Traps::lay(&host, &WILD);
    let plan = host.plan();
    let mut eyes = Eyes::on(&traps);
    let tries_min = tries_min();
    under_attack(&traps, || {
        let top = std::fs::File::open(host.top()).unwrap().into();
        Walker::beneath(&plan.selection, top).walk(&mut Asking(&mut eyes)).unwrap();
        eyes.tries >= tries_min
    });
    println!("TRIES: {} ({eyes})", eyes.tries);
    assert_eq!(eyes.escapes(), [], "{eyes}");
    assert!(!traps.secret_was_opened(), "the secret place was opened");
    assert!(eyes.disturbed > 0 && eyes.contents > 0 && eyes.targets > 0, "nothing was met: {eyes}");
}

/// The same flips lead a walk by paths out, at each of its calls, within as many tries.
#[test]
fn control_a_walk_by_paths_is_led_out_by_each_of_its_calls() {
    let host = Host::in_memory();
    let traps = Traps::lay(&host, &CALM);
    let mut eyes = Eyes::on(&traps);
    let tries_max = tries_min();
    under_attack(&traps, || {
        naive::walk(&host.top(), b"", &mut eyes);
        eyes.has_escaped_everywhere() || eyes.tries >= tries_max
    });
    println!("CONTROL: {} tries ({eyes})", eyes.tries);
    assert!(eyes.has_escaped_everywhere(), "{eyes}");
    assert!(traps.secret_was_opened());
}

/// Whole pushes, one on the other: what is taken over from the base, read again or left out is under attack too.
#[test]
fn pushes_of_a_tree_whose_names_are_flipped_hold_nothing_from_outside() {
    let host = Host::in_memory();
    let traps = Traps::lay(&host, &WILD);
    let mut server = Server::new();
    let mut base: Vec<Entry> = Vec::new();
    let mut eyes = Eyes::on(&traps);
    let pushes_min = if std::env::var_os("FIRN_LONG").is_some() { 3_000 } else { 60 };
    let mut pushes = 0;
    under_attack(&traps, || {
        let (outcome, account) = host.push(&mut server);
        assert_eq!(account.get(Count::OtherFileSystems), 0);
        let judged = server.newest(&base);
        judged.contents.values().for_each(|bytes| eyes.content(bytes));
        for entry in &judged.entries {
            eyes.name(entry.path.as_bytes());
            let Some(node) = entry.node() else { continue };
            eyes.flags(node.meta.flags().map(|flags| flags.bits()));
            node.meta.attributes.iter().for_each(|attribute| eyes.attribute(&attribute.value));
            if let Kind::Symlink { target } = &node.kind {
                eyes.target(target);
            }
        }
        server.judge(outcome.push, Verdict::Accepted { root: outcome.root });
        base = judged.entries;
        pushes += 1;
        pushes >= pushes_min
    });
    println!("PUSHES: {pushes} ({eyes}), {} flips meanwhile", traps.flips());
    assert_eq!(eyes.escapes(), []);
    assert!(!traps.secret_was_opened(), "the secret place was opened");
    assert!(traps.flips() > pushes * 10, "{} flips", traps.flips());
    assert!(eyes.contents > 0 && eyes.targets > 0, "nothing was met: {eyes}");
}

/// A folder that is left out may be a mount whose server is gone: to open it is to wait.
#[test]
fn a_folder_that_is_left_out_is_never_opened() {
    let mut host = Host::new();
    host.write("closed/file", b"mine");
    host.write("open/file", b"mine");
    host.exclude = vec!["/data/closed".to_owned()];
    let watches = ["closed", "open"].map(|name| Watch::on([host.path(name)].iter()));
    host.push(&mut Server::new());
    let [closed, open] = watches.map(|watch| watch.has_seen());
    assert!(!closed, "it was opened");
    assert!(open, "control: what is pushed is opened");
}
