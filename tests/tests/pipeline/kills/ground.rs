//! A server that can be put back to one moment again and again, and the work that is done from there: what it must come to, whatever disturbs it.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use chrono::{SecondsFormat, TimeDelta, Utc};
use pipeline_tests::checker::history::{self, Found};
use pipeline_tests::checker::item::hex;
use pipeline_tests::checker::known::Known;
use pipeline_tests::checker::{Breach, Moment, told};
use pipeline_tests::rawpush::talk::{bye, new_push};
use pipeline_tests::rawpush::{Answer, Header, Talk};
use pipeline_tests::{Options, Outcome, plans};

use super::point::{Point, Watch};
use super::rot::Rot;
use super::sample::Sample;
use super::server::Server;
use super::views;
use super::whole::assert_restored;
use crate::rig;

/// That lie there at the moment, and that a prune leaves.
const SNAPSHOTS: usize = 4;
const KEPT: usize = 2;
const REPAIR: &[&str] = &["verify", "--repair"];
/// Snapshots are not what they should be, also where that is mended.
const ROTTEN: i32 = 29;
const SESSION_MAX: Duration = Duration::from_secs(120);
/// Goes before the settings, as it belongs to no table, and after them.
const POLICY: [&str; 2] = [
    "keep_days = 0\n",
    "\n[retain]\nevery_days = 0\ndaily = 0\nweekly = 0\nmonthly = 0\n[prune]\nkeep_min = 2\nnames_per_second = 0\n",
];

/// Work that is disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// A session that seals a push.
    Receive,
    /// That push becomes a snapshot.
    Ingest,
    /// Two old snapshots go.
    Prune,
    /// What has rotted is healed, or taken out and asked for.
    Repair,
    /// The newest snapshot into a folder.
    Restore,
}

impl Work {
    /// The moment that it begins at.
    pub(super) fn moment(self) -> &'static str {
        match self {
            Work::Ingest => "sealed",
            Work::Repair => "rotten",
            Work::Receive | Work::Prune | Work::Restore => "plain",
        }
    }
}

/// How a piece of work ended.
#[derive(Debug, Default)]
pub(super) struct Ran {
    /// Success was told to whoever asked for it.
    pub(super) told: bool,
    pub(super) said: String,
}

pub(super) struct Ground {
    pub(super) server: Server,
    /// The next push, sealed by one piece of work and accepted by another.
    next: Sample,
    known: Known,
    pub(super) rot: Rot,
    /// Names of the snapshots that a prune leaves.
    kept: BTreeSet<String>,
    pub(super) out: PathBuf,
    /// Whether the work has said that views are not current, and how often they really were not after it.
    is_warned: Cell<bool>,
    pub(super) stale: Cell<usize>,
}

impl Ground {
    /// Snapshots with a plan that has waited, and a push to come.
    pub(super) fn new() -> Ground {
        let limits = "free_bytes = 4096\n".to_owned();
        let mut server = Server::with(&Options { limits, ..Options::default() });
        let settings = server.scratch.folder.join("etc/server.toml");
        let text = fs::read_to_string(&settings).unwrap();
        fs::write(&settings, [POLICY[0], &text, POLICY[1]].concat()).unwrap();
        for count in 1..=SNAPSHOTS {
            let sample = server.sample();
            server.seal(&sample);
            server.accept(sample, count);
        }
        for words in [&["verify"][..], &["prune", "--plan"]] {
            Outcome::of(&mut server.scratch.snapshotter(words)).unwrap().expect_code(&[0]).unwrap();
        }
        let time = (Utc::now() - TimeDelta::days(4)).to_rfc3339_opts(SecondsFormat::Secs, true);
        let plans = server.scratch.history(&server.host.name).join(".prune");
        plans::date(&plans, &server.scratch.folder.join("signing"), &time).unwrap();
        let out = server.scratch.folder.join("out");
        fs::create_dir(&out).unwrap();
        let next = server.sample();
        let found = rig::sound(&server.scratch, &server.host, Moment::Quiet);
        let known = Known { floor: KEPT, ..Known::of(&found) };
        let newest = found.snapshots.iter().skip(SNAPSHOTS - KEPT);
        let kept = newest.map(|one| one.name.clone()).collect();
        keep(&server, Work::Receive);
        server.seal(&next);
        keep(&server, Work::Ingest);
        reset(&server, Work::Receive);
        let rot = Rot::new(&server.scratch.history(&server.host.name), &found);
        keep(&server, Work::Repair);
        Ground { server, next, known, rot, kept, out, is_warned: Cell::new(false), stale: Cell::new(0) }
    }

    /// As it was before this work, in the plain folder.
    pub(super) fn reset(&self, work: Work) {
        reset(&self.server, work);
    }

    /// The same, made in another folder.
    pub(super) fn lay(&self, work: Work, to: &Path) {
        shell(to, "cp -a \"$1\"/. .", &[&store(&self.server, work)]);
    }

    /// What does this work.
    fn command(&self, work: Work) -> Command {
        let scratch = &self.server.scratch;
        match work {
            Work::Receive => rig::receiver(scratch, &self.server.host),
            Work::Ingest => scratch.snapshotter(&["ingest"]),
            Work::Prune => scratch.snapshotter(&["prune", "--execute"]),
            Work::Repair => scratch.snapshotter(REPAIR),
            Work::Restore => self.restore(&self.out.join("first")),
        }
    }

    fn restore(&self, to: &Path) -> Command {
        let mut command =
            self.server.scratch.snapshotter_as_admin(&["restore", &self.server.host.name, "latest"]);
        command.arg("--to").arg(to);
        command
    }

    /// Does this work, changed by `how`.
    pub(super) fn run(&self, work: Work, how: impl FnOnce(&Command) -> Command) -> Ran {
        let mut command = how(&self.command(work));
        self.is_warned.set(false);
        if work != Work::Receive {
            let outcome = Outcome::of(&mut command).unwrap();
            let said = outcome.said();
            self.is_warned.set(said.contains(views::WARNING));
            if work != Work::Repair {
                return Ran { told: outcome.code == 0, said };
            }
            assert_ne!(outcome.code, 0, "it has rotted, and all is said to be well: {said}");
            return Ran { told: outcome.code == ROTTEN && self.rot.is_told(&said), said };
        }
        let mut talk = Talk::start(command.stderr(Stdio::null())).unwrap();
        talk.say(&[self.next.whole(), bye()].concat());
        talk.hang_up();
        let answers = talk.rest(SESSION_MAX);
        let told = answers.contains(&Answer::Sealed(self.next.push));
        Ran { told, said: format!("{answers:?}") }
    }

    /// Every point of this work.
    pub(super) fn points(&self, work: Work) -> Vec<Point> {
        self.reset(work);
        let ran = self.run(work, |command| self.server.strace.watch(Watch::Family, command));
        assert!(ran.told, "{}", ran.said);
        let program = if work == Work::Receive { "/bin/receiver" } else { "nothing before it" };
        self.server.strace.points(Watch::Family, program)
    }

    /// What is broken, given that this work has told so.
    pub(super) fn look(&self, moment: Moment, work: Work, ran: &Ran) -> (Found, Vec<Breach>) {
        let (jail, name) = (&self.server.host.jail, &self.server.host.name);
        let folder = self.server.scratch.history(name);
        let mut known = self.known.clone();
        let push = hex(&self.next.push);
        match work {
            Work::Receive if ran.told => known.sealed.push(push),
            // It was sealed before, and stays so until it is accepted.
            Work::Ingest if ran.told => known.accepted.push(push),
            Work::Ingest => known.sealed.push(push),
            _ => {}
        }
        let mut found = history::check(&folder, name, moment);
        let mut breaches = std::mem::take(&mut found.breaches);
        breaches.extend(known.broken(&found, Some(jail)));
        breaches.extend(history::shared_inodes(jail, &folder));
        if moment == Moment::Quiet {
            breaches.extend(history::spool_leftovers(jail));
        }
        (found, breaches)
    }

    /// All must hold right now, and nothing may be told that is not so.
    pub(super) fn assert_holds(&self, work: Work, ran: &Ran) {
        self.server.settle();
        let (found, mut breaches) = self.look(Moment::Any, work, ran);
        if work == Work::Repair {
            if ran.told {
                self.rot.assert_noted(&found);
                let (base, _) = self.server.session(|_| Vec::new());
                assert!(base.wanted.contains(&self.rot.wanted()), "{}", ran.said);
            }
            breaches = self.rot.beyond(&found, breaches);
        }
        assert!(breaches.is_empty(), "{work:?}: {}\nafter it said: {}", told(&breaches), ran.said);
        assert_eq!(found.count("reject"), 0, "what disturbs is not the push's fault: {:?}", found.events);
        let names: BTreeSet<String> = found.snapshots.iter().map(|one| one.name.clone()).collect();
        assert!(names.is_superset(&self.kept), "{work:?}: a prune removed what it must leave");
        match work {
            Work::Prune if ran.told => assert_eq!(names, self.kept, "{}", ran.said),
            Work::Restore => assert_restored(&self.out.join("first"), &self.newest(&found), ran.told),
            _ => {}
        }
        self.assert_views(work, ran, &found);
    }

    /// They lead to what is there, but for those of a prune that did not come to its end; and are current if success was told, and nothing of them.
    fn assert_views(&self, work: Work, ran: &Ran, found: &Found) {
        let (stale, dangling) = (self.server.views().stale(found), self.server.views().dangling(found));
        let is_said = self.is_warned.get();
        assert!(
            work == Work::Prune && (!ran.told || is_said) || dangling.is_empty(),
            "{dangling:?}: {}",
            ran.said
        );
        assert!(!ran.told || is_said || stale.is_empty(), "{stale:?} after it said: {}", ran.said);
        self.stale.set(self.stale.get() + usize::from(!stale.is_empty()));
    }

    /// Whether there is something for the next run to do that is not there before this work.
    pub(super) fn is_unfinished(&self, work: Work) -> bool {
        match work {
            Work::Receive => !self.server.incoming().is_empty(),
            Work::Restore => self.out.join("first").exists(),
            Work::Repair => {
                let (found, breaches) = self.look(Moment::Any, work, &Ran::default());
                self.rot.is_half_way(&found, &breaches)
            }
            _ => self.server.is_unfinished(),
        }
    }

    /// The next run, undisturbed, comes to what a run comes to that nothing disturbed.
    pub(super) fn converge(&self, work: Work) {
        match work {
            Work::Receive => {
                self.session_again();
                self.ingest_again();
            }
            Work::Ingest => self.ingest_again(),
            Work::Prune => self.prune_again(),
            Work::Repair => self.repair_again(),
            Work::Restore => self.restore_again(),
        }
    }

    fn again(&self, words: &[&str]) {
        let outcome = Outcome::of(&mut self.server.scratch.snapshotter(words)).unwrap();
        assert_eq!(outcome.code, 0, "the next run: {}", outcome.said());
    }

    fn quiet(&self, work: Work) -> Found {
        let all = Ran { told: true, said: String::new() };
        let (found, breaches) = self.look(Moment::Quiet, work, &all);
        assert!(breaches.is_empty(), "after the next run: {}", told(&breaches));
        if self.is_warned.get() {
            // Whoever warns has ended: an ingest makes them, also one that has no push to judge.
            self.again(&["ingest"]);
        }
        assert_eq!(self.server.views().stale(&found), [""; 0], "after the next run");
        found
    }

    /// The host comes again, and goes on with what is there.
    fn session_again(&self) {
        let (base, answers) = self.server.session(|base| match base.partial {
            _ if base.queued == [self.next.push] => Vec::new(),
            Some((push, frames)) => {
                assert_eq!(push, self.next.push);
                self.next.go_on(&self.next.draft, frames).1
            }
            None => self.next.whole(),
        });
        let is_queued = base.queued == [self.next.push];
        assert!(is_queued || answers == [Answer::Sealed(self.next.push)], "{answers:?} after {base:?}");
    }

    fn ingest_again(&self) {
        self.again(&["ingest"]);
        let found = self.quiet(Work::Ingest);
        let newest = found.snapshots.last().unwrap();
        assert_eq!((&newest.root, &newest.push), (&hex(&self.next.root()), &hex(&self.next.push)));
        assert_eq!((found.snapshots.len(), found.count("reject")), (SNAPSHOTS + 1, 0), "{:?}", found.events);
        let (base, _) = self.server.session(|_| Vec::new());
        assert_eq!((base.root, base.partial, base.queued), (Some(self.next.root()), None, Vec::new()));
        assert_eq!(base.verdicts.last(), Some(&(self.next.push, 1, 0)));
    }

    fn prune_again(&self) {
        self.again(&["prune", "--execute"]);
        let found = self.quiet(Work::Prune);
        let names: BTreeSet<String> = found.snapshots.iter().map(|one| one.name.clone()).collect();
        assert_eq!(names, self.kept);
        self.again(&["verify"]);
    }

    /// It finds what it left, and the next push of the host brings back what nobody here has.
    fn repair_again(&self) {
        let outcome = Outcome::of(&mut self.server.scratch.snapshotter(REPAIR)).unwrap();
        assert_eq!(outcome.code, ROTTEN, "the next run: {}", outcome.said());
        let (found, breaches) = self.look(Moment::Any, Work::Repair, &Ran::default());
        self.rot.assert_only_wanted(&found, &breaches);
        let number = SNAPSHOTS as u64 + 1;
        let header = Header::new(&self.server.host.name, [0xdd; 16], number);
        let push = self.server.accepted.as_ref().unwrap().bringing(&header, &self.rot.lost);
        let (base, answers) = self.server.session(|_| [new_push(), push.frames.concat()].concat());
        assert_eq!((base.wanted, answers), (vec![self.rot.wanted()], vec![Answer::Sealed(header.push)]));
        self.again(&["ingest"]);
        let found = self.quiet(Work::Repair);
        assert_eq!((found.snapshots.len(), found.count("reject")), (SNAPSHOTS + 1, 0), "{:?}", found.events);
        assert_eq!(found.count("rot"), found.count("healed"), "{:?}", found.events);
        self.again(&["verify"]);
        let (base, _) = self.server.session(|_| Vec::new());
        assert_eq!(base.wanted, <[[u8; 32]; 0]>::default(), "it is healed");
    }

    /// Into a folder of its own: one that holds anything is refused.
    fn restore_again(&self) {
        let first = self.out.join("first");
        if fs::read_dir(&first).is_ok_and(|mut entries| entries.next().is_some()) {
            let refused = Outcome::of(&mut self.restore(&first)).unwrap();
            assert_eq!(refused.code, 2, "{}", refused.said());
        }
        let to = self.out.join("second");
        let outcome = Outcome::of(&mut self.restore(&to)).unwrap();
        assert_eq!(outcome.code, 0, "{}", outcome.said());
        let found = self.quiet(Work::Restore);
        assert_restored(&to, &self.newest(&found), true);
    }

    fn newest(&self, found: &Found) -> Vec<pipeline_tests::checker::item::Item> {
        found.snapshots.last().unwrap().items.clone()
    }
}

/// Where the moment before this work is kept.
fn store(server: &Server, work: Work) -> PathBuf {
    server.scratch.folder.join(format!("kept-{}", work.moment()))
}

fn keep(server: &Server, work: Work) {
    let store = store(server, work);
    fs::create_dir(&store).unwrap();
    shell(&server.scratch.folder, "cp -a jails history signing views \"$1\"", &[&store]);
}

fn reset(server: &Server, work: Work) {
    let line = "rm -rf jails/* history/* signing/* views/* out/* && cp -a \"$1\"/. .";
    shell(&server.scratch.folder, line, &[&store(server, work)]);
}

/// A line for the shell, in this folder, with these words as `$1`, `$2`.
pub(super) fn shell(folder: &Path, line: &str, words: &[&Path]) {
    let mut command = Command::new("sh");
    command.args(["-euc", line, "sh"]).args(words).current_dir(folder);
    Outcome::of(&mut command).unwrap().expect_code(&[0]).unwrap();
}
