//! The verdict on a push, and all that follows from it.

use chrono::{DateTime, Utc};
use cli::Failed;
use durable::{Dir, Name};
use formats::published::Verdict;
use formats::push::{Header, Seal};
use formats::records::log::Event;
use formats::session::{Code, Role};
use formats::{HostId, PushId};
use history::{Answered, HostHistory, LogAppender, Snapshot, Writing};

use super::build::{Basis, Built, CONTENTS, Ground, Work, build};
use super::building::Building;
use super::commit::{Arrival, Committed, commit, confirm};
use super::fault::{Fault, Here};
use super::holdings::Gathered;
use super::look::{Begun, Comparison, Looked, look};
use super::outcome::{End, Outcome};
use super::queue::Sealed;
use super::room::Room;
use super::shelves::Shelves;
use super::{charge, holdings, publish, receive};
use crate::decoder::Decoder;
use crate::heal::aside;
use crate::heal::mend::{Mended, Mender};
use crate::limits::Allowed;
use crate::tripwire::Wires;
use crate::trouble::Trouble;

/// A sealed push file, and the decoder that reads it.
pub(crate) struct Incoming {
    pub(crate) sealed: Sealed,
    pub(crate) decoder: Decoder,
}

/// Where one host's pushes are judged.
pub(crate) struct Desk<'a> {
    pub(crate) host: &'a HostId,
    pub(crate) allowed: &'a Allowed,
    pub(crate) wires: &'a Wires,
    pub(crate) sealed: &'a Dir,
    pub(crate) state: &'a Dir,
    pub(crate) history: &'a HostHistory,
    /// When the state was made, if it comes from another program's history.
    pub(crate) made: Option<DateTime<Utc>>,
    pub(crate) alone: &'a Writing,
    pub(crate) log: LogAppender,
    /// The contents of the snapshot that was made.
    pub(crate) gathered: Option<Gathered>,
}

/// What a header leads to.
enum Admission {
    /// It was judged before.
    Known(Answered),
    /// It builds on nothing.
    Whole,
    /// Its changes are those of this.
    Base(Snapshot),
    /// It builds on nothing, and takes contents from this.
    Lender(Snapshot),
}

impl Desk<'_> {
    /// Brings what is published into line with the log, and the log with what is there. Tells what the history has lost.
    pub(crate) fn settle(&mut self) -> Result<Option<String>, Trouble> {
        let published = publish::load(self.state, self.host)?;
        let told = published.as_ref().and_then(|published| published.base);
        let lost = match told.filter(|root| self.log.log().by_root(*root).is_none()) {
            Some(_) => Some("the history does not have the base that was published".to_owned()),
            None => self.newest_is_missing()?,
        };
        if let Some(reason) = &lost {
            self.append(Event::Reset { reason: reason.clone() })?;
        }
        let right = publish::of_log(self.log.log(), self.host, self.allowed, published.as_ref());
        publish::store(self.state, &right, published.as_ref())?;
        Ok(lost)
    }

    /// For those who lost their state. After all that anybody waits for, and whatever comes of it, that stands.
    pub(crate) fn list_holdings(&mut self) -> Result<(), Failed> {
        let (gathered, reserve_bytes) = (self.gathered.take(), self.allowed.limits.free_bytes);
        let listed = holdings::publish(self.state, self.history, self.log.log(), gathered, reserve_bytes);
        listed.map_err(|source| {
            let doing = format!("listing the contents of the base of {}", self.host);
            Failed::from(Trouble::stream(doing)(source))
        })
    }

    /// The base that would be published must be there: its manifest and its tree.
    fn newest_is_missing(&self) -> Result<Option<String>, Trouble> {
        let log = self.log.log();
        let Some(snapshot) = log.latest().filter(|_| log.base().is_some()) else { return Ok(None) };
        let manifest = self.history.open_manifest_file(snapshot).map(drop);
        match manifest.and_then(|()| self.history.tree(snapshot).map(drop)) {
            Err(history::Error::Folder(error)) if error.is_not_found() => {
                Ok(Some(format!("snapshot {} is not all there", snapshot.name)))
            }
            answer => answer.map(|()| None).map_err(Trouble::history(self.host)),
        }
    }

    /// Removes what no receiver makes, with one line in the log.
    pub(crate) fn turn_away(&mut self, foreign: &[Vec<u8>]) -> Result<(), Trouble> {
        // One line for all of them: the account that makes them could fill the log, which is kept for good. And first: nothing goes without a trace.
        if !foreign.is_empty() {
            self.append(rejection(None, Code::MalformedPush, Role::Usual))?;
        }
        for name in foreign {
            let removed = Name::new(name).and_then(|name| self.sealed.remove_tree(name));
            removed.map_err(Trouble::folder(format!("removing what is no push of {}", self.host)))?;
        }
        Ok(())
    }

    /// Judges one push to the end: the verdict is in the log and published, and the push file is gone. After an error it waits as before.
    pub(crate) fn judge(&mut self, incoming: Incoming) -> Result<Outcome, Trouble> {
        let Incoming { sealed, mut decoder } = incoming;
        let role = sealed.role();
        let building = Building::begin(self.history).map_err(self.at("making room to build in"))?;
        let (header, tried) = match receive::header(&mut decoder) {
            Ok(header) => {
                let tried = self.attempt(&mut decoder, &building, &header, &sealed);
                (Some(header), tried)
            }
            Err(fault) => (None, Err(fault)),
        };
        drop(decoder);
        // Nobody vouches for what names a push in a file that came by other means: a spoiled copy must not keep the good one out.
        let named = header.as_ref().filter(|_| sealed.is_of_jail());
        let mut outcome = match tried {
            Ok(outcome) => outcome,
            Err(Fault::Push(code)) => self.reject(named, code, role)?,
            Err(Fault::Base(reason)) => self.reset(header.as_ref(), named, reason, role)?,
            Err(Fault::Here(here)) => {
                // The room it took is needed; if even this fails, the next run does it.
                let _ = building.abandon();
                return Err(self.trouble(here));
            }
        };
        outcome.push = header.map(|header| header.push.to_string());
        outcome.is_emergency = role == Role::Emergency;
        let before = publish::load(self.state, self.host)?;
        let mut right = publish::of_log(self.log.log(), self.host, self.allowed, before.as_ref());
        self.tell_again(&outcome, &mut right);
        publish::store(self.state, &right, before.as_ref())?;
        sealed.remove(self.sealed).map_err(self.at("removing a judged push"))?;
        building.clear().map_err(self.at("tidying up"))?;
        Ok(outcome)
    }

    fn attempt(
        &mut self,
        decoder: &mut Decoder,
        building: &Building<'_>,
        header: &Header,
        sealed: &Sealed,
    ) -> Result<Outcome, Fault> {
        let admission = self.admit(header, sealed.bytes())?;
        let basis = match &admission {
            Admission::Known(answered) => return self.repeated(header, answered),
            Admission::Whole => Basis::Nothing,
            Admission::Base(snapshot) => Basis::Changes(snapshot),
            Admission::Lender(snapshot) => Basis::Contents(snapshot),
        };
        let left_bytes = self.budget_left(header)?;
        let Allowed { limits, free_inodes, .. } = self.allowed;
        let (history, dir, free_inodes) = (self.history, building.dir(), *free_inodes);
        let log = self.log.log();
        let ground =
            Ground { history, dir, limits, free_inodes, left_bytes, log, newest: self.base_of_all() };
        // What another program kept is not compared.
        let of_host = basis.base().filter(|_| self.made.is_none());
        let mut begun = Begun::on(log, of_host, self.wires);
        let mut built = match build(&ground, decoder, basis, begun.as_mut())? {
            Work::Built(built) => built,
            Work::Unchanged(seal, same) => return self.confirm(header, &seal, &same, sealed.role()),
        };
        if built.cost.bytes() > left_bytes {
            return Err(Fault::Push(Code::OverBudget));
        }
        let looked = self.look(building, begun);
        // Before the snapshot exists: a run that is killed in between finds the push again, and with it what it brings.
        let healed = self.heal(dir);
        let arrival = Arrival { role: sealed.role(), imported: self.made, looked: &looked };
        let committed = commit(self.history, building, &mut self.log, header, &built, &arrival)?;
        self.gathered = built.gathered.take();
        let outcome = Outcome { unmeasured: looked.unmeasured, ..accepted(&built, &committed) };
        Ok(match healed {
            Ok(healed) => Outcome { healed, ..outcome },
            Err(why) => Outcome { unhealed: Some(why), ..outcome },
        })
    }

    /// The snapshot that a push without a change is the same as: the base that the host is told. What another program kept is a state of its own
    /// each time. And after a redaction there is one snapshot that it does not reach, whatever it took: what is told to be wanted ends there.
    fn base_of_all(&self) -> Option<&Snapshot> {
        let log = self.log.log();
        let told = log.latest().filter(|newest| log.base() == Some(newest.root) && self.made.is_none());
        told.filter(|newest| log.redacted().iter().all(|(_, one)| one.through < newest.sequence))
    }

    /// Accepts a push that is the same as this snapshot, the newest.
    fn confirm(
        &mut self,
        header: &Header,
        seal: &Seal,
        same: &Snapshot,
        role: Role,
    ) -> Result<Outcome, Fault> {
        let alarms = confirm(&mut self.log, header, (same.sequence, seal), role)?;
        let (snapshot, entries, left_out) = (Some(same.name.to_string()), seal.entries, seal.left_out);
        Ok(Outcome { end: End::Unchanged, snapshot, entries, left_out, alarms, ..Outcome::default() })
    }

    /// Gives what the history had lost, and this push brings, back to all names that should have it; tells how many contents were healed. What goes
    /// wrong here is no reason to refuse a push: the content stays wanted.
    fn heal(&mut self, building: &Dir) -> Result<u64, String> {
        let mut healed = || {
            if self.log.log().rotten().is_empty() && !aside::is_any(self.history)? {
                return Ok(Mended::default());
            }
            let shelves = Shelves::reopen(building.open_dir(CONTENTS)?)?;
            let room = Room::new(self.history.dir(), self.allowed.limits.free_bytes)?;
            let mut mender = Mender::new(self.history, &room, self.alone, std::iter::empty())?;
            mender.take_from(&shelves, &self.log)?;
            mender.mend(&mut self.log)
        };
        match healed() {
            Ok(mended) => Ok(mended.healed.len() as u64),
            Err(Fault::Here(here)) => Err(Failed::from(self.trouble(here)).chain()),
            Err(Fault::Base(what)) => Err(what),
            Err(Fault::Push(code)) => Err(code.text().to_owned()),
        }
    }

    /// What another program kept is as old as it is, and was not pushed by the host.
    fn look(&self, building: &Building<'_>, begun: Option<Begun<'_>>) -> Looked {
        if self.made.is_some() {
            return Looked::default();
        }
        let (history, log) = (self.history, self.log.log());
        look(&Comparison { history, built: building.dir(), log, wires: self.wires }, begun)
    }

    /// What the history may still grow by; refused at once if that is nothing, or less than is declared.
    fn budget_left(&self, header: &Header) -> Result<u64, Fault> {
        match charge::left(self.log.log(), &self.allowed.admission) {
            None => Ok(u64::MAX),
            Some(left) if left == 0 || header.declared_bytes > left => Err(Fault::Push(Code::OverBudget)),
            Some(left) => Ok(left),
        }
    }

    /// What the header alone settles.
    fn admit(&self, header: &Header, bytes: u64) -> Result<Admission, Fault> {
        if header.host != *self.host {
            return Err(Fault::Push(Code::WrongHost));
        }
        if let Some(answered) = self.log.log().answer(header.push) {
            return Ok(Admission::Known(*answered));
        }
        if bytes > self.allowed.limits.push_bytes {
            return Err(Fault::Push(Code::OverBudget));
        }
        let snapshot = |root| match self.log.log().by_root(root) {
            Some(snapshot) => Ok(snapshot.clone()),
            None => Err(Fault::Push(Code::UnknownBase)),
        };
        match (header.base, header.lender) {
            (Some(root), _) => snapshot(root).map(Admission::Base),
            (None, Some(root)) => snapshot(root).map(Admission::Lender),
            (None, None) => Ok(Admission::Whole),
        }
    }

    /// A push id has one verdict, for ever. Another push under it is noted, and changes nothing.
    fn repeated(&mut self, header: &Header, answered: &Answered) -> Result<Outcome, Fault> {
        let same = answered.installation.is_none_or(|installation| installation == header.installation)
            && answered.counter.is_none_or(|counter| counter == header.counter);
        if !same {
            self.log.append(rejection(None, Code::Replayed, Role::Usual), Utc::now())?;
        }
        let code = match answered.verdict {
            Verdict::Rejected { code } => Some((code.number(), code.text().to_owned())),
            _ => None,
        };
        Ok(Outcome { end: End::Repeated, code, ..Outcome::default() })
    }

    fn reject(&mut self, header: Option<&Header>, code: Code, role: Role) -> Result<Outcome, Trouble> {
        // One verdict for each push: what is wrong with a copy of a judged one is noted without its name.
        let header = header.filter(|header| self.log.log().answer(header.push).is_none());
        self.append(rejection(header, code, role))?;
        let code = Some((code.number(), code.text().to_owned()));
        Ok(Outcome { end: End::Rejected, code, ..Outcome::default() })
    }

    /// The base of a push is damaged. If it is the one that hosts are told, they are told none from now on.
    fn reset(
        &mut self,
        header: Option<&Header>,
        named: Option<&Header>,
        reason: String,
        role: Role,
    ) -> Result<Outcome, Trouble> {
        let base = header.and_then(|header| header.base.or(header.lender));
        if base.is_some() && base == self.log.log().base() {
            self.append(Event::Reset { reason: reason.clone() })?;
        }
        let outcome = self.reject(named, Code::UnknownBase, role)?;
        Ok(Outcome { lost: Some(reason), ..outcome })
    }

    /// Whoever sends a push again after its verdict was forgotten waits for it.
    fn tell_again(&self, outcome: &Outcome, published: &mut formats::published::Published) {
        let push = outcome.push.as_ref().and_then(|push| push.parse::<PushId>().ok());
        if let Some(answered) = push.and_then(|push| self.log.log().answer(push)) {
            published.judge(answered.push, answered.verdict);
        }
    }

    fn append(&mut self, event: Event) -> Result<(), Trouble> {
        self.log.append(event, Utc::now()).map_err(Trouble::history(self.host))
    }

    fn at(&self, doing: &'static str) -> impl FnOnce(durable::Error) -> Trouble + use<> {
        Trouble::folder(format!("{doing} for host {}", self.host))
    }

    fn trouble(&self, here: Here) -> Trouble {
        here.trouble(self.host, self.allowed)
    }
}

fn accepted(built: &Built, committed: &Committed) -> Outcome {
    Outcome {
        end: End::Accepted,
        snapshot: Some(committed.name.to_string()),
        entries: built.seal.entries,
        changes: built.changes,
        new_bytes: built.cost.new_bytes,
        copies: built.copies,
        left_out: built.seal.left_out,
        alarms: committed.alarms.clone(),
        ..Outcome::default()
    }
}

fn rejection(header: Option<&Header>, code: Code, role: Role) -> Event {
    Event::Reject {
        push: header.map(|header| header.push),
        installation: header.map(|header| header.installation),
        counter: header.map(|header| header.counter),
        code: code.number(),
        reason: code.text().to_owned(),
        emergency: role == Role::Emergency,
    }
}
