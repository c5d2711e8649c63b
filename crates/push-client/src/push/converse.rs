//! The course of a push, step by step. What is durable when is decided here, and nowhere else.

mod verdict;

use std::collections::HashSet;
use std::time::Duration;

use formats::push::Header;
use formats::session::{BaseMessage, Code, Role};
use formats::{ContentHash, PushId, Root, Summary};
use wire::client::{Outgoing, SealFacts};

use cli::{Amount, Monitor};

use super::account::{Account, Count};
use super::changes::{send_changes, summary};
use super::contents::Contents;
use super::dumps::Dues;
use super::elsewhere::Elsewhere;
use super::error::PushError;
use super::job::{Delivery, Job, Outcome};
use super::learn::{Chosen, Course, Lender, choose, course, learn};
use super::offers::Offers;
use super::packer::Packer;
use super::phases::Phase;
use super::record::{Held, Recorder};
use super::rehash::Rehash;
use super::sender::{SendError, Sender, Sent};
use super::session::{Session, greet};
use crate::state::{Base, Journal, JournalHead, Keeping, Memory, Pending, StateFolder};
use crate::walk::{Links, Names};

/// The minor version of the session from which on offers are answered.
const OFFERS_SINCE: u16 = 2;

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
    /// Contents that a session may offer.
    offered_max: u64,
    /// The new state, on its way to the disk.
    keeping: Option<Keeping>,
}

/// A push whose first frame is sent.
struct Begun {
    push: PushId,
    outgoing: Outgoing,
    journal: Option<Journal>,
    chosen: Chosen,
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
    let offered_max = message.published.limits.entries;
    let mut push = Push { job, state, session, account, monitor, memory, wanted, offered_max, keeping: None };
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
        let (push, base) = (begun.push, begun.chosen.base());
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

    /// Sends the first frame: a header, or the sign that a cut push goes on.
    fn begin(&mut self, message: &BaseMessage) -> Result<Begun, PushError> {
        let chosen = choose(self.state, &self.memory, message.base(), self.lender(message), self.monitor);
        let mut bytes = Vec::new();
        let (push, outgoing, mut journal, work) = match course(self.state, &self.memory, message, &chosen) {
            Course::New => self.begin_new(&chosen, &mut bytes)?,
            Course::GoOn(recalled) => {
                self.monitor.info("going on with the push that was cut");
                let journal = self.state.go_on_journal(&recalled)?;
                let outgoing = Outgoing::go_on(recalled.head.push, recalled.mark, &mut bytes)?;
                let mut contents = recalled.contents;
                contents.retain(|_, content| !self.wanted.contains(&content.hash));
                let held = Held { contents, started: recalled.head.started };
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
        Ok(Begun { push, outgoing, journal: noted.ok().map(|()| journal), chosen, work })
    }

    /// Whoever carries a file has nobody to ask.
    fn lender(&self, message: &BaseMessage) -> Lender {
        let is_asked = self.job.delivery == Delivery::Session && !self.memory.whole;
        if is_asked && message.minor >= OFFERS_SINCE { Lender::Answers } else { Lender::Mute }
    }

    fn begin_new(
        &mut self,
        chosen: &Chosen,
        bytes: &mut Vec<u8>,
    ) -> Result<(PushId, Outgoing, Journal, Work), PushError> {
        let mut installation = self.state.installation(self.monitor)?;
        let push = self.state.begin_push(&mut installation)?;
        let (started, counter) = (self.job.started, installation.counter());
        let (base, lender) = (chosen.base(), chosen.lender());
        let header = Header {
            host: self.job.plan.host.clone(),
            installation: installation.id(),
            push,
            counter,
            base,
            lender,
            started,
            zone: self.job.zone.clone(),
            declared_bytes: 0,
        };
        let outgoing = Outgoing::open_new(&header, bytes)?;
        let journal = self.state.begin_journal(&JournalHead { push, counter, started, base, lender })?;
        Ok((push, outgoing, journal, Work::Walk(Held::default())))
    }

    /// Contents, then changes, through the sending thread.
    fn send(&mut self, begun: Begun, silence: Duration) -> Result<Summary, PushError> {
        let Begun { push, outgoing, journal, chosen, work } = begun;
        let bytes_before = outgoing.bytes();
        let to = self.session.writer().map_err(machine("share the way to the server"))?;
        let (packer, outlet) = Packer::new();
        let level = self.job.plan.compression;
        let sender = Sender { to, outgoing, journal, level, silence };
        let thread = sender.start(outlet).map_err(machine("start a thread"))?;
        let done = match work {
            Work::Walk(held) => self.walk(push, chosen, held, packer),
            Work::Finish(pending) => {
                self.job.ahead.end();
                self.finish(pending, chosen.base(), packer)
            }
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
        chosen: Chosen,
        held: Held,
        packer: Packer,
    ) -> Result<Summary, PushError> {
        let wait = Duration::from_secs(self.job.plan.target.idle_seconds.into());
        let offers = chosen.lender().map(|_| Offers::new(&mut self.session, wait, self.offered_max));
        let (root, base) = match chosen {
            Chosen::Base(root, base) => (Some(root), Some(base)),
            Chosen::Nothing | Chosen::Lender(_) => (None, None),
        };
        let known: Vec<_> = held.contents.values().map(|content| content.hash).collect();
        // Not there: then what has moved is sent again.
        let pieces = self.state.pieces()?;
        let again = || root.and_then(|root| self.state.base_again(root).ok());
        let elsewhere = Elsewhere::new(again(), self.wanted.clone());
        let reading = self.monitor.task("reading", Amount::Bytes(None));
        let mut contents = Contents::new((packer, offers), known.into_iter(), elsewhere, pieces, reading);
        let names = Names::load();
        let tell = (&names, &mut *self.account, self.monitor);
        // The dumps come first: what fails is known early.
        let dues = Dues::make(&mut self.job, again(), &mut contents, tell);
        if matches!(dues, Err(PushError::Command(_))) && held.contents.is_empty() {
            // Nothing of use has arrived: the next push begins anew, and not behind a part of a dump.
            self.state.end_journal()?;
        }
        let mut recorder = Recorder {
            names,
            dues: dues?,
            links: Links::default(),
            long: HashSet::new(),
            looks_left: 0,
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
        self.job.ahead.tell(&mut recorder)?.whole().ok_or(PushError::WalkGone)?;
        recorder.put_dues(None)?;
        let Recorder { contents, new, all_taken_over, task, long, account, .. } = recorder;
        drop(task);
        if !all_taken_over && let Err(error) = self.state.pieces()?.keep_only(&long) {
            self.monitor.warn(&format!("lists of old contents stay in the state folder: {error}"));
        }
        account.add(Count::ReadBytes, contents.read_bytes);
        let (mut packer, offers) = contents.finish()?;
        if let Some(offers) = offers {
            account.add(Count::OfferedContents, offers.offered_count);
            account.add(Count::HadContents, offers.had_count);
        }
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

    /// Waits until the new state is on the disk. From then on the next run knows which state the push brings.
    fn kept(&mut self) -> Result<(), PushError> {
        Ok(self.keeping.take().map_or(Ok(()), Keeping::done)?)
    }
}

fn machine(doing: &'static str) -> impl FnOnce(std::io::Error) -> PushError {
    move |source| PushError::Machine { doing, source }
}
