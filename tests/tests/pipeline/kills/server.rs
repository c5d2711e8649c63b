//! A server with one host, and what must be true on it.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use pipeline_tests::checker::Moment;
use pipeline_tests::checker::history::{self, Found};
use pipeline_tests::checker::item::hex;
use pipeline_tests::rawpush::talk::{Base, bye};
use pipeline_tests::rawpush::{Answer, Talk};
use pipeline_tests::{Host, Options, Outcome, Scratch, process};

use super::point::Strace;
use super::sample::{Sample, is_whole};
use super::views::{self, Views};
use crate::rig;

/// The history grows by a snapshot a point, and every look at it reads all: then a new server takes over.
pub(super) const POINTS_MAX: usize = 50;
/// For a session, and for the last process to end after a kill.
const LONG: Duration = Duration::from_secs(60);

pub(super) struct Server {
    pub(super) scratch: Scratch,
    pub(super) host: Host,
    /// What the host backs up.
    pub(super) source: PathBuf,
    pub(super) strace: Strace,
    /// The newest accepted one, if samples are pushed.
    pub(super) accepted: Option<Sample>,
    number: u64,
}

impl Server {
    pub(super) fn new() -> Server {
        Server::with(&Options::default())
    }

    pub(super) fn with(options: &Options) -> Server {
        let mut scratch = rig::scratch(options);
        views::keep(&scratch);
        let source = scratch.folder.join("source");
        let host = scratch.add_host("web01", std::slice::from_ref(&source)).unwrap();
        let strace = Strace::new(&scratch.folder);
        Server { scratch, host, source, strace, accepted: None, number: 0 }
    }

    /// The next push of samples.
    pub(super) fn sample(&mut self) -> Sample {
        self.number += 1;
        Sample::new(&self.host.name, self.number, self.accepted.as_ref())
    }

    /// A session of samples, without a kill: hears the base message first, then says what `words` makes of it.
    pub(super) fn session(&self, words: impl FnOnce(&Base) -> Vec<u8>) -> (Base, Vec<Answer>) {
        self.broken_session(|base| [words(base), bye()].concat())
    }

    /// The same without a farewell: the connection breaks after the words.
    pub(super) fn broken_session(&self, words: impl FnOnce(&Base) -> Vec<u8>) -> (Base, Vec<Answer>) {
        let mut command = rig::receiver(&self.scratch, &self.host);
        let mut talk = Talk::start(command.stderr(Stdio::null())).unwrap();
        let Some(Answer::Base(base)) = talk.hear(LONG) else { panic!("no base message") };
        talk.say(&words(&base));
        talk.hang_up();
        let answers = talk.rest(LONG);
        (base, answers)
    }

    /// The sample is sealed.
    pub(super) fn seal(&self, sample: &Sample) {
        let (_, answers) = self.session(|_| sample.whole());
        assert_eq!(answers, [Answer::Sealed(sample.push)]);
    }

    /// Ingests the sample, which must be the only one sealed; all must be as it has to be, and it is the base of the next.
    pub(super) fn accept(&mut self, sample: Sample, count: usize) -> Found {
        let outcome = Outcome::of(&mut self.scratch.snapshotter(&["ingest"])).unwrap();
        assert_eq!(outcome.code, 0, "{}", outcome.said());
        let found = rig::sound(&self.scratch, &self.host, Moment::Quiet);
        let newest = found.snapshots.last().unwrap();
        assert_eq!((&newest.root, &newest.push), (&hex(&sample.root()), &hex(&sample.push)));
        assert_eq!((found.snapshots.len(), found.count("reject")), (count, 0), "{:?}", found.events);
        let (base, answers) = self.session(|_| Vec::new());
        assert_eq!((base.root, base.partial, base.queued), (Some(sample.root()), None, Vec::new()));
        assert_eq!(base.verdicts.last(), Some(&(sample.push, 1, 0)));
        assert_eq!(answers, []);
        assert_eq!(self.views().stale(&found), [""; 0]);
        self.accepted = Some(sample);
        found
    }

    /// The names people know of its snapshots.
    pub(super) fn views(&self) -> Views {
        Views::of(&self.scratch, &self.host)
    }

    /// Samples accepted so far.
    pub(super) fn count(&self) -> usize {
        usize::try_from(self.number).unwrap()
    }

    /// The files in `incoming`, besides the lock and what is noted of sessions.
    pub(super) fn incoming(&self) -> Vec<Vec<u8>> {
        let files = fs::read_dir(self.host.jail.join("spool/incoming")).unwrap().map(Result::unwrap);
        let files = files.filter(|file| file.file_name() != "lock" && file.file_name() != "attempts");
        files.map(|file| fs::read(file.path()).unwrap()).collect()
    }

    /// The sealed files, at most one, which must be whole.
    pub(super) fn sealed(&self) -> Option<Vec<u8>> {
        let mut sealed = self.host.queued().unwrap();
        let file = fs::read(sealed.pop()?).unwrap();
        assert!(sealed.is_empty(), "two are sealed");
        assert!(is_whole(&file), "a sealed file of {} bytes is not whole", file.len());
        Some(file)
    }

    /// Whether the history holds something that belongs to no line of its log, or a line cut short.
    pub(super) fn is_unfinished(&self) -> bool {
        let folder = self.scratch.history(&self.host.name);
        !history::check(&folder, &self.host.name, Moment::Quiet).breaches.is_empty()
    }

    /// Waits until nobody works for the host or the owner of the history: a killed parent does not wait for its children.
    pub(super) fn settle(&self) {
        let accounts = [&self.host.account, &self.scratch.names.owner].map(|account| rig::number_of(account));
        let until = Instant::now() + LONG;
        loop {
            let left: Vec<u32> = accounts.iter().flat_map(|account| process::of_user(*account)).collect();
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < until, "processes are left: {left:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
