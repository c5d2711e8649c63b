//! The course of a push, step by step. What is durable when is decided here, and nowhere else.

use std::collections::HashSet;
use std::time::Duration;

use formats::published::Verdict;
use formats::push::Header;
use formats::session::{BaseMessage, Code, Role, ServerMessage};
use formats::{ContentHash, PushId, Root, Summary};
use wire::client::{Outgoing, SealFacts, await_verdict};

use cli::{Amount, Monitor};

use super::account::{Account, Count};
use super::changes::{send_changes, summary};
use super::contents::Contents;
use super::dumps::Dues;
use super::elsewhere::Elsewhere;
use super::error::PushError;
use super::job::{Delivery, Job, Outcome};
use super::learn::{Course, choose, course, learn};
use super::packer::Packer;
use super::phases::Phase;
use super::record::{Held, Recorder};
use super::rehash::Rehash;
use super::sender::{SendError, Sender, Sent};
use super::session::{JUDGING, SEALING, Session, greet};
use crate::state::{Base, Journal, JournalHead, Keeping, Memory, Pending, StateFolder};
use crate::walk::{Links, Names, Walker};

/// Beyond the time the server was asked to wait, for its answer to arrive.
const ANSWER: Duration = Duration::from_secs(30);

/// One push under way.
struct Push<'a> {
    job: Job<'a>,
    state: &'a StateFolder,
    session: Session,
    account: &'a mut Account,
    monitor: &'a dyn Monitor,
    memory: Memory,
    /// Contents the server asks for again.
    wanted: HashSet<ContentHash>,
    /// The new state, on its way to the disk.
    keeping: Option<Keeping>,
}

/// A push whose first frame is sent.
struct Begun {
    push: PushId,
    outgoing: Outgoing,
    journal: Option<Journal>,
    base: Option<(Root, Base)>,
    work: Work,
}

enum Work {
    Walk(Held),
    /// The walk was done before the cut.
    Finish(Pending),
}

/// Pushes, from the server's first word to its verdict.
pub fn push(
    job: Job<'_>,
    state: &StateFolder,
    mut session: Session,
    account: &mut Account,
    monitor: &dyn Monitor,
) -> Result<Outcome, PushError> {
    let wait = Duration::from_secs(u64::from(job.plan.target.connect_seconds) * 2);
    let message = greet(&mut session, wait)?;
    account.enter(Some(Phase::Walk));
    if message.published.host != job.plan.host {
        let theirs = message.published.host;
        session.end();
        return Err(PushError::WrongHost { theirs, ours: job.plan.host.clone() });
    }
    let memory = state.memory(monitor)?;
    let wanted = message.published.wanted.iter().copied().collect();
    let mut push = Push { job, state, session, account, monitor, memory, wanted, keeping: None };
    let outcome = push.converse(&message);
    push.account.warnings = push.session.take_warnings();
    // Whatever came of it: nobody works in the state folder when this returns.
    let kept = push.kept();
    let outcome = outcome?;
    kept?;
    push.session.end();
    Ok(outcome)
}

impl Push<'_> {
    fn converse(&mut self, message: &BaseMessage) -> Result<Outcome, PushError> {
        self.introduce(message)?;
        let earlier = self.learn(message)?;
        let begun = self.begin(message)?;
        let (push, base) = (begun.push, begun.base.as_ref().map(|(root, _)| *root));
        let silence = Duration::from_secs(u64::from(message.published.limits.idle_seconds / 4).max(1));
        let summary = self.send(begun, silence)?;
        let is_accepted = self.seal_and_wait(push, summary)?;
        Ok(Outcome { push, root: summary.root, base, is_accepted, earlier })
    }

    /// To a server that does not know it, it is not said.
    fn introduce(&mut self, message: &BaseMessage) -> Result<(), PushError> {
        match (message.minor, self.job.role) {
            (0, Role::Usual) => Ok(()),
            (0, Role::Emergency) => {
                self.monitor.warn("the server knows no emergencies: this is a usual push to it");
                Ok(())
            }
            (_, role) => self.session.introduce(role),
        }
    }

    fn learn(&mut self, message: &BaseMessage) -> Result<Option<Code>, PushError> {
        let before = self.memory.clone();
        let rejected = learn(&mut self.memory, message, self.monitor);
        if self.memory != before {
            self.state.remember(&self.memory)?;
        }
        rejected.map_or(Ok(()), |code| self.doubt(code))?;
        Ok(rejected)
    }

    /// A content that did not come out on the server, or was not there: a list that led to it must not lead to it again.
    fn doubt(&self, code: Code) -> Result<(), PushError> {
        if !matches!(code, Code::ContentHash | Code::MissingContent) {
            return Ok(());
        }
        let emptied = self.state.pieces()?.keep_only(&HashSet::new());
        emptied.map_err(machine("remove the lists of pieces"))
    }

    /// Sends the first frame: a header, or the sign that a cut push goes on.
    fn begin(&mut self, message: &BaseMessage) -> Result<Begun, PushError> {
        let base = choose(self.state, &self.memory, message.base(), self.monitor);
        let root = base.as_ref().map(|(root, _)| *root);
        let mut bytes = Vec::new();
        let (push, outgoing, mut journal, work) = match course(self.state, &self.memory, message, root) {
            Course::New => self.begin_new(root, &mut bytes)?,
            Course::GoOn(recalled) => {
                self.monitor.info("going on with the push that was cut");
                let journal = self.state.go_on_journal(&recalled)?;
                let outgoing = Outgoing::go_on(recalled.head.push, recalled.mark, &mut bytes)?;
                let held = Held { contents: recalled.contents, started: recalled.head.started };
                (recalled.head.push, outgoing, journal, Work::Walk(held))
            }
            Course::Finish(recalled, pending) => {
                self.monitor.info("going on with the push that was cut at its end");
                let journal = self.state.go_on_journal(&recalled)?;
                let outgoing = Outgoing::go_on(recalled.head.push, recalled.mark, &mut bytes)?;
                (recalled.head.push, outgoing, journal, Work::Finish(pending))
            }
        };
        let noted = journal.note(&outgoing.mark(), &[]);
        self.session.expect_sealed(push);
        self.session.send(&bytes)?;
        Ok(Begun { push, outgoing, journal: noted.ok().map(|()| journal), base, work })
    }

    fn begin_new(
        &mut self,
        base: Option<Root>,
        bytes: &mut Vec<u8>,
    ) -> Result<(PushId, Outgoing, Journal, Work), PushError> {
        let mut installation = self.state.installation(self.monitor)?;
        let push = self.state.begin_push(&mut installation)?;
        let (started, counter) = (self.job.started, installation.counter());
        let header = Header {
            host: self.job.plan.host.clone(),
            installation: installation.id(),
            push,
            counter,
            base,
            lender: None,
            started,
            zone: self.job.zone.clone(),
            declared_bytes: 0,
        };
        let outgoing = Outgoing::open_new(&header, bytes)?;
        let journal = self.state.begin_journal(&JournalHead { push, counter, started, base })?;
        Ok((push, outgoing, journal, Work::Walk(Held::default())))
    }

    /// Contents, then changes, through the sending thread.
    fn send(&mut self, begun: Begun, silence: Duration) -> Result<Summary, PushError> {
        let Begun { push, outgoing, journal, base, work } = begun;
        let bytes_before = outgoing.bytes();
        let to = self.session.writer().map_err(machine("share the way to the server"))?;
        let (packer, outlet) = Packer::new();
        let level = self.job.plan.compression;
        let sender = Sender { to, outgoing, journal, level, silence };
        let thread = sender.start(outlet).map_err(machine("start a thread"))?;
        let done = match work {
            Work::Walk(held) => self.walk(push, base, held, packer),
            Work::Finish(pending) => self.finish(pending, base.map(|(root, _)| root), packer),
        };
        // The packer is gone by now, so the thread ends.
        let sent = thread.join().unwrap_or(Err(SendError::Panicked));
        let Sent { mut outgoing, contents } = match (&done, sent) {
            (_, Ok(sent)) => sent,
            (Err(error), Err(_)) if !matches!(error, PushError::SenderGone) => return done,
            (_, Err(SendError::Closed(error))) => return Err(self.session.not_taken(&error)),
            (_, Err(SendError::Compressor(source))) => {
                return Err(PushError::Machine { doing: "set up compression", source });
            }
            (_, Err(SendError::Frame(malformed))) => return Err(PushError::Frame(malformed)),
            (_, Err(SendError::Panicked)) => return Err(PushError::SenderGone),
        };
        self.account.add(Count::SentContents, contents);
        self.account.add(Count::SentBytes, outgoing.bytes() - bytes_before);
        let summary = done?;
        let facts =
            SealFacts { root: summary.root, entries: summary.entries, left_out: self.account.left_out_count };
        self.account.enter(Some(Phase::Seal));
        let mut bytes = Vec::new();
        outgoing.seal(facts, &mut bytes)?;
        self.session.send(&bytes)?;
        Ok(summary)
    }

    /// Walks, reads, and packs what is new; then the changes.
    fn walk(
        &mut self,
        push: PushId,
        base: Option<(Root, Base)>,
        held: Held,
        packer: Packer,
    ) -> Result<Summary, PushError> {
        let (root, base) = base.unzip();
        let mut contents = self.contents(root, &held, packer)?;
        let names = Names::load();
        let dues = self.dumps(root, &held, &mut contents, &names)?;
        let mut recorder = Recorder {
            names,
            dues,
            links: Links::default(),
            long: HashSet::new(),
            // One of an older version is written anew, even if nothing else is other.
            all_taken_over: base.as_ref().is_some_and(Base::knows_flags),
            base,
            held,
            contents,
            wanted: std::mem::take(&mut self.wanted),
            new: self.state.create(self.job.started)?,
            rehash: Rehash::new(self.job.plan.rehash_days, self.job.walked_before, self.job.started),
            account: self.account,
            monitor: self.monitor,
            task: self.monitor.task("walking", Amount::Items(self.job.entries_expected)),
        };
        let top = self.job.top.try_clone().map_err(machine("hold the host's root folder"))?;
        Walker::beneath(&self.job.plan.selection, top).walk(&mut recorder)?;
        recorder.put_dues(None)?;
        let Recorder { contents, new, all_taken_over, task, long, .. } = recorder;
        drop(task);
        if !all_taken_over && let Err(error) = self.state.pieces()?.keep_only(&long) {
            self.monitor.warn(&format!("lists of old contents stay in the state folder: {error}"));
        }
        self.account.add(Count::ReadBytes, contents.read_bytes);
        let mut packer = contents.finish().map_err(|_| PushError::SenderGone)?;
        let (summary, written) = self.state.finish(new, root.filter(|_| all_taken_over))?;
        let manifest = self.state.new_manifest(summary.root)?;
        let left_out = self.account.left_out_count;
        let by_file = self.job.delivery == Delivery::File;
        self.memory.add(Pending { push, root: summary.root, left_out, by_file });
        self.keeping = Some(self.state.keep(written, self.memory.clone())?);
        let changes = send_changes(self.state, root, summary.root, manifest, &mut packer)?;
        self.account.add(Count::Changes, changes);
        Ok(summary)
    }

    /// What reads files, and knows what need not be sent.
    fn contents(&self, root: Option<Root>, held: &Held, packer: Packer) -> Result<Contents, PushError> {
        let known: Vec<_> = held.contents.values().map(|content| content.hash).collect();
        // Not there: then what has moved is sent again.
        let pieces = self.state.pieces()?;
        let again = root.and_then(|root| self.state.base_again(root).ok());
        let elsewhere = Elsewhere::new(again, self.wanted.clone());
        let reading = self.monitor.task("reading", Amount::Bytes(None));
        Ok(Contents::new(packer, known.into_iter(), elsewhere, pieces, reading))
    }

    /// The dumps come first: what fails is known early.
    fn dumps(
        &mut self,
        root: Option<Root>,
        held: &Held,
        contents: &mut Contents,
        names: &Names,
    ) -> Result<Dues, PushError> {
        let commands = &self.job.plan.commands;
        let again = root.and_then(|root| self.state.base_again(root).ok());
        let tell = (names, &mut *self.account, self.monitor);
        let made = Dues::make(commands, self.job.runner.as_deref_mut(), again, contents, tell);
        if matches!(made, Err(PushError::Command(_))) && held.contents.is_empty() {
            // Nothing of use has arrived: the next push begins anew, and not behind a part of a dump.
            self.state.end_journal()?;
        }
        made
    }

    /// Sends the changes of a walk that was done before the cut.
    fn finish(
        &mut self,
        pending: Pending,
        base: Option<Root>,
        mut packer: Packer,
    ) -> Result<Summary, PushError> {
        let summary = summary(self.state, pending.root)?;
        self.account.left_out_count = pending.left_out;
        self.account.add(Count::Entries, summary.entries);
        let manifest = self.state.manifest(summary.root)?;
        let changes = send_changes(self.state, base, summary.root, manifest, &mut packer)?;
        self.account.add(Count::Changes, changes);
        Ok(summary)
    }

    /// True if the push was accepted while we waited.
    fn seal_and_wait(&mut self, push: PushId, summary: Summary) -> Result<bool, PushError> {
        let wait = Duration::from_secs(self.job.plan.target.idle_seconds.into());
        let verdict = match self.session.next(wait, SEALING)? {
            ServerMessage::Sealed(_) => {
                self.kept()?;
                self.state.end_journal()?;
                self.account.enter(Some(Phase::Verdict));
                self.ask(push)?
            }
            ServerMessage::Verdict { verdict, .. } => verdict,
            ServerMessage::Refused { code, retry_seconds } => {
                return Err(PushError::Refused { code, retry_seconds });
            }
            ServerMessage::Base(_) | ServerMessage::Warned { .. } => return Err(PushError::OutOfTurn),
        };
        self.kept()?;
        match verdict {
            Verdict::Pending => Ok(false),
            Verdict::Accepted { root } if root == summary.root => {
                self.memory.accept(root);
                self.state.remember(&self.memory)?;
                Ok(true)
            }
            Verdict::Accepted { .. } => Err(PushError::OutOfTurn),
            Verdict::Rejected { code } => {
                self.memory.forget(push);
                self.state.remember(&self.memory)?;
                self.doubt(code)?;
                Err(PushError::Rejected { code })
            }
        }
    }

    /// Waits until the new state is on the disk. From then on the next run knows which state the push brings.
    fn kept(&mut self) -> Result<(), PushError> {
        Ok(self.keeping.take().map_or(Ok(()), Keeping::done)?)
    }

    fn ask(&mut self, push: PushId) -> Result<Verdict, PushError> {
        let seconds = self.job.plan.verdict_wait_seconds;
        if seconds == 0 {
            return Ok(Verdict::Pending);
        }
        let _task = self.monitor.task("waiting for the verdict", Amount::Items(None));
        self.session.expect_verdict(push);
        let mut bytes = Vec::new();
        await_verdict(push, seconds, &mut bytes)?;
        self.session.send(&bytes)?;
        match self.session.next(Duration::from_secs(seconds.into()) + ANSWER, JUDGING) {
            Ok(ServerMessage::Verdict { verdict, .. }) => Ok(verdict),
            Ok(ServerMessage::Refused { .. }) => Ok(Verdict::Pending),
            Ok(_) => Err(PushError::OutOfTurn),
            // It is sealed; only the answer is missing.
            Err(PushError::Ended { .. } | PushError::Silent { .. } | PushError::Transport(_)) => {
                self.monitor.warn("the connection ended before the verdict; the push is sealed");
                Ok(Verdict::Pending)
            }
            Err(error) => Err(error),
        }
    }
}

fn machine(doing: &'static str) -> impl FnOnce(std::io::Error) -> PushError {
    move |source| PushError::Machine { doing, source }
}
