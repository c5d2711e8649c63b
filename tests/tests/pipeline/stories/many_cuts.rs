//! Pushes that are cut again and again, over both transports: whatever arrived whole is never sent again, what goes over the line is bounded, and
//! the end is that of a push that nobody cut.

mod received;

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use pipeline_tests::checker::Moment;
use pipeline_tests::data::Numbers;
use pipeline_tests::settings::{self, Push};
use pipeline_tests::{Host, process};

use super::world::{ACCEPTED, NO_CONNECTION, PENDING, World, expect, noise};
use crate::proxy::{Measure, Proxy};
use crate::rig;
use received::Received;

/// Files of a round, and the longest of them.
const FILES: u64 = 190;
const FILE_BYTES_MAX: u64 = 96 << 10;
/// What a cut may cost beyond what has arrived, as the mean of all: a frame that was on its way, the file that was open in it, what lay between the two
/// ends, and the greeting.
const CUT_COSTS_MAX: u64 = (1 << 20) + FILE_BYTES_MAX + (320 << 10);
/// What was touched in the last two seconds before a push is read again by the next, whatever arrived.
const SETTLED: Duration = Duration::from_millis(2_500);

/// Where a connection is cut.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// As soon as the receiver has one whole frame more, or all.
    AtFrame,
    /// When so many bytes have passed from the client.
    After(u64),
    /// Nowhere.
    Not,
}

/// What becomes of the client's journal between two tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Journal {
    Kept,
    Lost,
}

/// One push, from its first try to its seal.
#[derive(Debug, Default)]
struct Tries {
    received: Received,
    cuts: u64,
    /// Bytes from the client through the proxy, over all tries.
    passed: u64,
}

impl World {
    /// New contents under the same names; how many there are.
    fn renew(&self, numbers: &mut Numbers) -> u64 {
        for number in 0..FILES {
            let bytes = 1 + numbers.below(FILE_BYTES_MAX);
            let path = format!("data/{}/{number}", number % 7);
            self.write(&path, &noise(numbers.draw(), usize::try_from(bytes).unwrap()));
        }
        thread::sleep(SETTLED);
        FILES
    }

    /// One try; its code and the bytes that passed.
    fn attempt(&self, host: &Host, cut: Cut, server: &str) -> (i32, u64) {
        let current = host.jail.join("spool/incoming/current");
        let length = move |path: &Path| fs::metadata(path).map_or(0, |meta| meta.len());
        let before = length(&current);
        let measure = match cut {
            Cut::Not => Measure::default(),
            Cut::After(up_max) => Measure { up_max, ..Measure::default() },
            // Only whole frames are appended; the first append of a new push is its header, which says nothing yet.
            Cut::AtFrame => {
                let cut_when = Box::new(move || length(&current) > before + 1_000);
                Measure { cut_when, ..Measure::default() }
            }
        };
        let proxy = Proxy::start(self.scratch.sshd.port, measure);
        settings::write_push(&self.scratch, host, &Push { server: server.to_owned(), ..Push::default() })
            .unwrap();
        let own = format!("port = {}\n", self.scratch.sshd.port);
        let text = fs::read_to_string(&host.settings).unwrap();
        fs::write(&host.settings, text.replace(&own, &format!("port = {}\n", proxy.port))).unwrap();
        let outcome = self.scratch.push(host).unwrap();
        assert!([NO_CONNECTION, PENDING].contains(&outcome.code), "{cut:?}: {}", outcome.said());
        let passed = proxy.ended();
        // The receiver may still be at work on what had come.
        let account = rig::number_of(&host.account);
        let until = Instant::now() + Duration::from_secs(20);
        while !process::of_user(account).is_empty() {
            assert!(Instant::now() < until, "a receiver stays though its connection was cut");
            thread::sleep(Duration::from_millis(2));
        }
        (outcome.code, passed)
    }

    /// Pushes until it is sealed, cut as `next` says.
    fn push_cut(
        &self,
        host: &Host,
        journal: Journal,
        mut next: impl FnMut() -> (Cut, &'static str),
    ) -> Tries {
        let mut tries = Tries::default();
        loop {
            let (cut, server) = next();
            let (code, passed) = self.attempt(host, cut, server);
            tries.passed += passed;
            let sealed = host.queued().unwrap();
            let file = sealed.first().cloned().unwrap_or_else(|| host.jail.join("spool/incoming/current"));
            tries.received.look(&fs::read(file).unwrap_or_default());
            let is_cut = code != PENDING;
            assert!(!is_cut || !matches!(cut, Cut::Not), "nobody cut it");
            tries.cuts += u64::from(is_cut);
            // Also if only the answer was cut off.
            if !sealed.is_empty() {
                return tries;
            }
            if journal == Journal::Lost {
                let _ = fs::remove_file(host.state().join("journal"));
            }
        }
    }

    /// The rules that a push must keep, however often it was cut; none if it kept them.
    fn broken(tries: &Tries, uncut: &Tries, contents: u64) -> Vec<String> {
        let most = uncut.passed + tries.cuts * CUT_COSTS_MAX;
        let (frames, again) = tries.received.twice();
        let rules = [
            (frames == 0, format!("{frames} frames came twice")),
            (again == 0, format!("{again} contents came twice")),
            (tries.received.lost == 0, format!("{} times frames were gone again", tries.received.lost)),
            (
                tries.received.contents() as u64 == contents,
                format!("{} of {contents} contents", tries.received.contents()),
            ),
            (tries.passed <= most, format!("{} bytes passed, at most {most}", tries.passed)),
        ];
        rules.into_iter().filter(|(kept, _)| !kept).map(|(_, what)| what).collect()
    }
}

fn with_twin() -> (World, Host) {
    let mut world = World::new();
    let twin = world.scratch.add_host("web02", std::slice::from_ref(&world.source)).unwrap();
    // The usual files are in the base of both, so that the rounds are alike.
    for host in [&world.host, &twin] {
        assert_eq!(world.scratch.push(host).unwrap().code, PENDING);
    }
    world.ingest(ACCEPTED);
    (world, twin)
}

#[test]
fn a_push_that_is_cut_hundreds_of_times_sends_nothing_twice_and_ends_as_if_uncut() {
    const TEST: &str = "a_push_that_is_cut_hundreds_of_times_sends_nothing_twice_and_ends_as_if_uncut";
    if !rig::is_root_or_skipped(TEST) || !rig::has_or_skipped(TEST, &["ssh", "sshd"]) {
        return;
    }
    let _turn = rig::turn();
    let cuts_min = if std::env::var_os("FIRN_LONG").is_some() { 500 } else { 20 };
    let seed = u64::from(std::process::id());
    println!("SEED: {seed}");
    let mut numbers = Numbers::new(seed);
    let (world, twin) = with_twin();
    let (mut cuts, mut by_ssh, mut passed, mut uncut_passed, mut rounds) = (0, 0, 0, 0, 1);
    while cuts < cuts_min {
        let contents = world.renew(&mut numbers);
        let uncut = world.push_cut(&twin, Journal::Kept, || (Cut::Not, ""));
        let mut at_frame = false;
        let tries = world.push_cut(&world.host, Journal::Kept, || {
            at_frame = !at_frame;
            let is_ssh = numbers.below(4) == 0;
            by_ssh += u64::from(is_ssh);
            let server = if is_ssh { "transport = \"ssh\"\n" } else { "transport = \"ssh2\"\n" };
            let cut = if at_frame { Cut::AtFrame } else { Cut::After(numbers.below(3 << 19)) };
            (cut, server)
        });
        let broken = World::broken(&tries, &uncut, contents);
        assert!(broken.is_empty(), "seed {seed}, round {rounds}: {broken:?}");
        (cuts, passed, uncut_passed) =
            (cuts + tries.cuts, passed + tries.passed, uncut_passed + uncut.passed);
        world.ingest(ACCEPTED);
        rounds += 1;
        world.newest_is_now(rounds);
        let other = rig::sound(&world.scratch, &twin, Moment::Quiet);
        world.is(other.snapshots.last().unwrap(), &world.now());
    }
    println!("CUTS: {cuts} in {} pushes, {by_ssh} of the tries by the system's ssh", rounds - 1);
    println!(
        "BYTES: {passed} passed, {uncut_passed} uncut: {} a cut",
        passed.saturating_sub(uncut_passed) / cuts
    );
    assert!(by_ssh > 0, "none by the system's ssh");
}

#[test]
fn control_a_push_whose_journal_is_lost_at_each_cut_sends_frames_twice() {
    const TEST: &str = "control_a_push_whose_journal_is_lost_at_each_cut_sends_frames_twice";
    if !rig::is_root_or_skipped(TEST) {
        return;
    }
    let _turn = rig::turn();
    let (world, twin) = with_twin();
    let contents = world.renew(&mut Numbers::new(1));
    let uncut = world.push_cut(&twin, Journal::Kept, || (Cut::Not, ""));
    for (journal, is_kept) in [(Journal::Kept, true), (Journal::Lost, false)] {
        let mut after = std::iter::repeat_n(Cut::After(5 << 19), 4);
        let tries = world.push_cut(&world.host, journal, || (after.next().unwrap_or(Cut::Not), ""));
        let broken = World::broken(&tries, &uncut, contents);
        println!("JOURNAL {journal:?}: {} cuts, {} bytes, {broken:?}", tries.cuts, tries.passed);
        assert_eq!(broken.is_empty(), is_kept, "{journal:?}: {broken:?}");
        if !is_kept {
            assert!(tries.received.twice().1 > 0 && tries.received.lost > 0, "{broken:?}");
        }
        // The same once more, for the next.
        expect(world.scratch.ingest().unwrap(), ACCEPTED);
        world.renew(&mut Numbers::new(2));
    }
}
