//! The ground the cases run on: one server with a hostile host and its neighbour, and what has to be true after every case.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use pipeline_tests::checker::prints::{Depth, Prints};
use pipeline_tests::checker::{Breach, Invariant, Moment, history, told};
use pipeline_tests::rawpush::talk::{bye, new_push};
use pipeline_tests::rawpush::{Answer, Draft, Entry, Header, Talk, root_of};
use pipeline_tests::{Host, Options, Outcome, Power, Scratch, process};

use super::case::{Attack, Case, Expect};
use crate::rig;

/// Longest time a session of a case may take; the limits of the server are below it.
const SESSION_MAX: Duration = Duration::from_secs(90);
/// Small enough for bombs to be seen, large enough for what is only strange.
const LIMITS: &str = "push_bytes = 25165824\nexpanded_bytes = 20971520\nentries = 70000\nfree_bytes = 1048576\n\
                      queued_pushes = 4\nsession_seconds = 60\nidle_seconds = 10\n";
/// Only in an older snapshot of the hostile host.
pub(crate) const OLD: &[u8] = b"only in the older snapshot\n";
/// In the newest snapshot, not in the one before.
pub(crate) const NEW: &[u8] = b"only in the newer snapshot\n";
/// Only in the neighbour's history.
pub(crate) const SECRET: &[u8] = b"only in the neighbour's history\n";

/// What a hostile host knows, or could have guessed.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// An honest header for the next push, without a base.
    pub(crate) header: Header,
    /// Root of its own base.
    pub(crate) base: [u8; 32],
    /// Root of its first snapshot.
    pub(crate) older: [u8; 32],
    /// Root of its neighbour's snapshot.
    pub(crate) neighbour: [u8; 32],
    /// The entries of its base.
    pub(crate) entries: Vec<Entry>,
    /// The entries of its first snapshot.
    pub(crate) older_entries: Vec<Entry>,
    /// A header of its own that was accepted, and one of its neighbour's.
    pub(crate) accepted: Header,
    /// The neighbour's accepted header.
    pub(crate) foreign: Header,
    /// A header of its own that was rejected.
    pub(crate) rejected: Header,
}

impl Facts {
    /// The base's entries with these in place of, or beside, the old ones.
    pub(crate) fn with(&self, entries: &[Entry]) -> Vec<Entry> {
        joined(&self.entries, entries)
    }

    /// The same for the older snapshot.
    pub(crate) fn older_with(&self, entries: &[Entry]) -> Vec<Entry> {
        joined(&self.older_entries, entries)
    }

    /// The base's entries without these paths.
    pub(crate) fn without(&self, paths: &[&[u8]]) -> Vec<Entry> {
        let mut all = self.entries.clone();
        all.retain(|entry| !paths.contains(&entry.path.as_slice()));
        all
    }
}

fn joined(old: &[Entry], new: &[Entry]) -> Vec<Entry> {
    let mut all = old.to_vec();
    all.retain(|old| !new.iter().any(|new| new.path == old.path));
    all.extend_from_slice(new);
    let key = |entry: &Entry| entry.path.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect::<Vec<_>>();
    all.sort_by_key(key);
    all
}

/// The server, and what is known about it.
pub(crate) struct Ground {
    scratch: Scratch,
    evil: Host,
    good: Host,
    counter: u64,
    facts: Facts,
    /// The most memory that any process of an ingest was seen with.
    pub(crate) peak_bytes: u64,
}

impl Ground {
    /// A server with a neighbour that has one snapshot, and a hostile host that has two.
    pub(crate) fn new() -> Ground {
        let options = Options { limits: LIMITS.to_owned(), ..Options::default() };
        let mut scratch = rig::scratch(&options);
        let good = scratch.add_host("good", &[scratch.folder.join("hosts")]).unwrap();
        let evil = scratch.add_host("evil", &[scratch.folder.join("hosts")]).unwrap();
        rig::file(&scratch.folder.join("sentinel/file"), b"nobody touches this\n");
        let foreign = Header::new("good", [0xee; 16], 1);
        let accepted = Header::new("evil", [0xaa; 16], 1);
        let rejected = Header::new("evil", [0xbb; 16], 3);
        let entries = base();
        let secret = vec![Entry::folder("etc"), Entry::file("etc/secret", SECRET)];
        let mut older = joined(&entries, &[Entry::file("etc/old", OLD)]);
        older.retain(|entry| entry.path != b"etc/new");
        let facts = Facts {
            header: accepted.clone(),
            base: root_of(&entries),
            older: root_of(&older),
            older_entries: older.clone(),
            neighbour: root_of(&secret),
            entries,
            accepted: accepted.clone(),
            foreign: foreign.clone(),
            rejected: rejected.clone(),
        };
        let mut ground = Ground { scratch, evil, good, counter: 3, facts, peak_bytes: 0 };
        ground.honest(&ground.good.clone(), &Draft::whole(&foreign, &[SECRET], &secret));
        let contents: [&[u8]; 4] = [b"alpha\n", b"hard\n", b"keep\n", OLD];
        ground.honest(&ground.evil.clone(), &Draft::whole(&accepted, &contents, &older));
        ground.restore(Header::new("evil", [0xab; 16], 2));
        let bad = Draft::whole(&rejected, &[], &[Entry::file("missing", b"never sent")]);
        ground.session(&Attack::Push(bad));
        assert_eq!(ground.ingest().code, 0);
        assert_eq!(rig::sound(&ground.scratch, &ground.evil, Moment::Quiet).count("reject"), 1);
        ground
    }

    /// An honest push, made by the same hands as the hostile ones, becomes a snapshot.
    fn honest(&self, host: &Host, draft: &Draft) {
        // A refused push may still lie in `incoming`; the next one replaces it.
        let before = rig::sound(&self.scratch, host, Moment::Any).snapshots.len();
        let answers = self.talk(host, &[new_push(), draft.frames.concat(), bye()].concat());
        assert!(matches!(answers.as_slice(), [Answer::Base(_), Answer::Sealed(_)]), "{answers:?}");
        let outcome = Outcome::of(&mut self.scratch.snapshotter(&["ingest", &host.name])).unwrap();
        assert_eq!(outcome.code, 0, "{}", outcome.said());
        let found = rig::sound(&self.scratch, host, Moment::Quiet);
        assert_eq!(found.snapshots.len(), before + 1, "{:?}\n{}", found.events.last(), outcome.said());
    }

    /// Makes the base the one that the facts name.
    fn restore(&self, header: Header) {
        self.honest(&self.evil.clone(), &Draft::whole(&header, BASE, &self.facts.entries));
    }

    fn next_header(&mut self) -> Header {
        self.counter += 1;
        let mut push = [0xcc; 16];
        push[..8].copy_from_slice(&self.counter.to_le_bytes());
        Header::new("evil", push, self.counter)
    }

    /// Runs a case, and tells what was not as it must be.
    pub(crate) fn run(&mut self, case: &Case) -> Result<(), String> {
        self.facts.header = self.next_header();
        let attack = (case.make)(&self.facts);
        let before = Look::take(&self.scratch, &self.evil);
        let began = Instant::now();
        let answers = self.session(&attack);
        self.check_answers(&attack, case.expect, &answers)?;
        let mut said = String::new();
        if !self.sealed().is_empty() {
            let outcome = self.ingest();
            said = outcome.said();
            if outcome.code != 0 {
                return Err(format!("ingest ended with {}: {said}", outcome.code));
            }
        }
        let after = Look::take(&self.scratch, &self.evil);
        let broken = before.broken_by(&after, case.expect);
        if !broken.is_empty() {
            return Err(told(&broken));
        }
        self.check_verdict(&before, &attack, case.expect).map_err(|why| format!("{why}\n{said}"))?;
        self.check_processes()?;
        if case.expect == Expect::Accepted {
            let header = self.next_header();
            self.restore(header);
        }
        if std::env::var_os("FIRN_CASE").is_some() {
            println!("{}: {:?}, {:?}", case.name, case.expect, began.elapsed());
        }
        Ok(())
    }

    /// What the receiver answers; nothing, if it was left out.
    fn session(&self, attack: &Attack) -> Vec<Answer> {
        match attack {
            Attack::Push(draft) => {
                self.talk(&self.evil, &[new_push(), draft.frames.concat(), bye()].concat())
            }
            Attack::Talk(bytes) => self.talk(&self.evil, bytes),
            Attack::Twice(first, then) => {
                self.talk(&self.evil, first);
                self.talk(&self.evil, then)
            }
            Attack::Act(act) => self.drive(&self.evil, |talk| act(talk)),
            Attack::File(bytes) => {
                rig::place(&self.scratch, &self.evil, "00000000000000000001.push", bytes);
                Vec::new()
            }
        }
    }

    fn talk(&self, host: &Host, bytes: &[u8]) -> Vec<Answer> {
        self.drive(host, |talk| talk.say(bytes))
    }

    fn drive(&self, host: &Host, act: impl FnOnce(&mut Talk)) -> Vec<Answer> {
        let mut command = rig::receiver(&self.scratch, host);
        let mut talk = Talk::start(command.stderr(std::process::Stdio::null())).unwrap();
        act(&mut talk);
        talk.hang_up();
        talk.rest(SESSION_MAX)
    }

    /// Ingests, and watches what memory the processes of the snapshotter's account take.
    fn ingest(&mut self) -> Outcome {
        let owner = (self.scratch.power == Power::Root).then(|| rig::number_of(&self.scratch.names.owner));
        let mut command = self.scratch.snapshotter(&["ingest", "evil"]);
        let (outcome, peak) = std::thread::scope(|scope| {
            let ingest = scope.spawn(move || Outcome::of(&mut command).unwrap());
            let mut peak = 0;
            while !ingest.is_finished() {
                let pids = owner.map(process::of_user).unwrap_or_default();
                peak = pids.into_iter().map(peak_bytes).chain([peak]).max().unwrap_or_default();
                std::thread::sleep(Duration::from_millis(2));
            }
            (ingest.join().unwrap(), peak)
        });
        self.peak_bytes = self.peak_bytes.max(peak);
        outcome
    }

    fn sealed(&self) -> Vec<std::path::PathBuf> {
        self.evil.queued().unwrap()
    }

    fn check_answers(&self, attack: &Attack, expect: Expect, answers: &[Answer]) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("{what}: {}", shown(answers)));
        if matches!(attack, Attack::File(_)) {
            return Ok(());
        }
        let [Answer::Base(_), rest @ ..] = answers else { return wrong("no base message") };
        let fits = match expect {
            Expect::Refused(code) => *rest == [Answer::Refused(code)],
            // What follows a lawful push may be refused; the push stays sealed.
            Expect::Rejected(_) | Expect::Accepted | Expect::Repeated => {
                matches!(rest, [Answer::Sealed(_)] | [Answer::Sealed(_), Answer::Refused(6)])
            }
            Expect::Answered => matches!(rest, [Answer::Sealed(_) | Answer::Verdict(..)]),
            Expect::Nothing => rest.iter().all(|answer| matches!(answer, Answer::Verdict(_, 0, _))),
        };
        let empty = self.sealed().is_empty();
        let may_seal = matches!(expect, Expect::Rejected(_) | Expect::Accepted | Expect::Repeated);
        if !fits {
            return wrong("answered otherwise");
        }
        if empty == may_seal { wrong("the spool is not as answered") } else { Ok(()) }
    }

    /// The log and the published state tell the same, and the jail still answers.
    fn check_verdict(&self, before: &Look, attack: &Attack, expect: Expect) -> Result<(), String> {
        let is_sealed = matches!(expect, Expect::Rejected(_) | Expect::Accepted | Expect::Repeated);
        let sealed_by_receiver = is_sealed && !matches!(attack, Attack::File(_));
        let found = history::check(&self.scratch.history("evil"), "evil", Moment::Quiet);
        let mut breaches = found.breaches.clone();
        breaches.extend(history::spool_leftovers(&self.evil.jail).into_iter().filter(|breach| {
            // A push that was refused midway may be gone on with.
            !breach.place.ends_with("incoming/current") || sealed_by_receiver
        }));
        if !breaches.is_empty() {
            return Err(told(&breaches));
        }
        let new: Vec<_> = found.events.iter().skip(before.events).collect();
        let kinds: Vec<_> = new.iter().filter_map(|event| event["kind"].as_str()).collect();
        let logged = match expect {
            Expect::Rejected(code) => {
                kinds == ["reject"] && new.iter().all(|event| event["code"].as_u64() == Some(code.into()))
            }
            Expect::Accepted => {
                kinds.last() == Some(&"ingest") && !kinds[..kinds.len() - 1].contains(&"reject")
            }
            _ => kinds.is_empty(),
        };
        if !logged {
            return Err(format!("the log says {new:?}"));
        }
        match self.talk(&self.evil, &bye()).as_slice() {
            [Answer::Base(base)] if base.root == Some(self.facts.base) || expect == Expect::Accepted => {
                Ok(())
            }
            answers => Err(format!("afterwards the jail answers {}", shown(answers))),
        }
    }

    fn check_processes(&self) -> Result<(), String> {
        if self.scratch.power == Power::User {
            return Ok(());
        }
        let accounts = [&self.evil.account, &self.scratch.names.owner].map(|account| rig::number_of(account));
        let until = Instant::now() + Duration::from_secs(2);
        loop {
            let left: Vec<u32> = accounts.iter().flat_map(|account| process::of_user(*account)).collect();
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(format!("processes are left: {left:?}"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The most memory a process has had so far.
fn peak_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or_default() << 10
}

fn shown(answers: &[Answer]) -> String {
    let mut text = format!("{answers:?}");
    text.truncate(600);
    text
}

/// The contents of the base.
const BASE: &[&[u8]] = &[b"alpha\n", b"hard\n", b"keep\n", NEW];

/// The entries of the base.
fn base() -> Vec<Entry> {
    vec![
        Entry::folder("etc"),
        Entry::file("etc/a.conf", b"alpha\n"),
        Entry::folder("etc/d"),
        Entry::file("etc/d/keep", b"keep\n"),
        Entry::symlink("etc/link", b"a.conf"),
        Entry::file("etc/new", NEW),
        Entry::file("etc/one", b"hard\n").links(2),
        Entry::link("etc/two", b"etc/one"),
    ]
}

/// Everything at one moment.
struct Look {
    outside: Prints,
    jail: Prints,
    history: Prints,
    log: Vec<u8>,
    events: usize,
}

impl Look {
    fn take(scratch: &Scratch, evil: &Host) -> Look {
        Look::of(&scratch.folder, &evil.name)
    }

    fn of(folder: &Path, evil: &str) -> Look {
        let own =
            ["jails/{}", "history/{}", "signing/heads/{}.asc", "sshd/log"].map(|at| at.replace("{}", evil));
        let own = |path: &[u8]| own.iter().any(|at| within(path, at.as_bytes())) || path == b"signing/heads";
        let spool = |path: &[u8]| {
            [b"spool/incoming".as_slice(), b"spool/sealed", b"state"].iter().any(|own| within(path, own))
        };
        let books = |path: &[u8]| matches!(path, b"log" | b".lock" | b".readers" | b".building");
        let history = folder.join("history").join(evil);
        let log = fs::read(history.join("log")).unwrap_or_default();
        Look {
            outside: Prints::take(folder, &own).unwrap(),
            jail: Prints::take(&folder.join("jails").join(evil), &spool).unwrap(),
            history: Prints::take(&history, &books).unwrap(),
            events: log.iter().filter(|byte| **byte == b'\n').count(),
            log,
        }
    }

    fn broken_by(&self, after: &Look, expect: Expect) -> Vec<Breach> {
        let depth = match expect {
            Expect::Accepted => Depth::Kept,
            Expect::Rejected(_) | Expect::Repeated => Depth::Unchanged,
            Expect::Refused(_) | Expect::Answered | Expect::Nothing => Depth::Untouched,
        };
        let mut broken = self.outside.changes(&after.outside, Depth::Untouched);
        broken.extend(self.jail.changes(&after.jail, Depth::Untouched));
        broken.extend(self.history.changes(&after.history, depth));
        let grown = after.log.starts_with(&self.log);
        let may_grow = matches!(expect, Expect::Rejected(_) | Expect::Accepted);
        if !grown || !(after.log == self.log || may_grow) {
            broken.push(Breach::new(Invariant::Immutable, "log", "is not the log it was"));
        }
        broken
    }
}

fn within(path: &[u8], folder: &[u8]) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
}

/// The look itself is tried on outcomes that were damaged on purpose.
pub(crate) fn notices_damage() {
    type Damage = fn(&Path);
    let damages: [(&str, Expect, Damage); 8] = [
        ("a byte of the neighbour's history", Expect::Rejected(21), |root| {
            let path = root.join("history/good/s/tree/secret");
            let mtime = fs::metadata(&path).unwrap().modified().unwrap();
            fs::write(&path, b"Secret").unwrap();
            fs::File::open(&path).unwrap().set_modified(mtime).unwrap();
        }),
        ("a link into the neighbour's history", Expect::Accepted, |root| {
            fs::hard_link(root.join("history/good/s/tree/secret"), root.join("history/evil/stolen")).unwrap();
        }),
        ("a new file in the neighbour's jail", Expect::Accepted, |root| {
            fs::write(root.join("jails/good/spool/sealed/1.push"), b"").unwrap();
        }),
        ("a new file beside the jails", Expect::Accepted, |root| {
            fs::write(root.join("passwd"), b"").unwrap()
        }),
        ("a changed program in the own jail", Expect::Accepted, |root| {
            fs::write(root.join("jails/evil/bin/receiver"), b"other").unwrap();
        }),
        ("an older snapshot rewritten", Expect::Accepted, |root| {
            fs::write(root.join("history/evil/s/tree/own"), b"other").unwrap();
        }),
        ("a log that was cut", Expect::Rejected(21), |root| {
            fs::write(root.join("history/evil/log"), b"").unwrap()
        }),
        ("a rejection for what was refused", Expect::Refused(6), |root| {
            fs::write(root.join("history/evil/log"), b"one\ntwo\n").unwrap();
        }),
    ];
    for (name, expect, damage) in damages {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let root = folder.path();
        for path in ["history/good/s/tree/secret", "history/evil/s/tree/own", "jails/evil/bin/receiver"] {
            rig::file(&root.join(path), b"secret");
        }
        rig::file(&root.join("history/evil/log"), b"one\n");
        for path in ["jails/good/spool/sealed", "jails/evil/spool/incoming", "jails/evil/state"] {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        let before = Look::of(root, "evil");
        assert_eq!(before.broken_by(&Look::of(root, "evil"), Expect::Refused(6)), [], "{name}");
        damage(root);
        assert!(!before.broken_by(&Look::of(root, "evil"), expect).is_empty(), "{name} went unnoticed");
    }
}
