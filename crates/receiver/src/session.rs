//! One session: reads, asks the protocol what to do, and does it.

use std::time::{Duration, Instant};

use formats::published::Verdict;
use formats::session::{Code, Had, Offer, Role, ServerMessage};
use formats::{PushId, Root};
use wire::server::{Effect, Fate, Jail, Server};

use crate::clock::now;
use crate::deadline::Deadline;
use crate::fault::{Result, Stop};
use crate::holdings::Holdings;
use crate::pipe::{Heard, Pipe};
use crate::push_file::PushFile;
use crate::spool::Spool;
use crate::state::{LOOK, State};

/// Reads go on until so much is there, or nothing more has come: fewer and larger writes.
const BATCH_BYTES: usize = 1 << 20;
/// Free space is asked for again after so many bytes.
const SPACE_CHECK_BYTES: u64 = 16 << 20;

/// What one session holds.
pub(crate) struct Session<'a> {
    pub(crate) pipe: &'a Pipe,
    pub(crate) spool: &'a Spool,
    pub(crate) state: &'a mut State,
    pub(crate) deadline: Deadline,
    /// The push file that grows, if there is one.
    pub(crate) file: Option<PushFile>,
    /// Its length when free space was last asked for.
    pub(crate) space_checked: u64,
    /// What this session has come to so far, for the record of it.
    pub(crate) seen: Seen,
    /// What is had of what a push offers, once it has offered something.
    pub(crate) holdings: Option<Holdings>,
}

/// What a session has come to so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    /// What a push was admitted as.
    pub(crate) role: Role,
    /// Whether one was sealed.
    pub(crate) is_sealed: bool,
}

/// Whether the session goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    End,
}

impl Session<'_> {
    /// Talks until the host says goodbye, is gone, or is refused.
    pub(crate) fn run(&mut self, jail: Jail) -> Result<()> {
        let mut server = Server::new(jail);
        loop {
            server.set_time(now());
            while let Some(effect) = server.next() {
                if self.obey(effect)? == Flow::End {
                    return Ok(());
                }
            }
            if self.listen(&mut server)? == Flow::End {
                return Ok(());
            }
        }
    }

    /// Waits for bytes, then takes all that are there, up to a batch.
    fn listen(&mut self, server: &mut Server) -> Result<Flow> {
        let too_slow = Err(Stop::refused(Code::TooSlow));
        if self.deadline.has_passed() || !self.pipe.wait(self.deadline.of_wait())? {
            return too_slow;
        }
        let mut batch = 0;
        while batch < BATCH_BYTES {
            let space = server.space();
            if space.is_empty() {
                break;
            }
            match self.pipe.read(space)? {
                Heard::Bytes(count) => {
                    server.filled(count);
                    self.deadline.received(count);
                    batch += count;
                }
                Heard::Silence => break,
                Heard::End if batch > 0 => break,
                Heard::End => return Ok(Flow::End),
            }
        }
        Ok(Flow::On)
    }

    fn obey(&mut self, effect: Effect<'_>) -> Result<Flow> {
        match effect {
            Effect::Answer(message) => self.say(&message)?,
            Effect::Begin { header, bytes, role } => self.begin(header.declared_bytes, &bytes, role)?,
            Effect::GoOn { role } => {
                self.need_space(0)?;
                self.spool.go_on_as(role)?;
                self.seen.role = role;
                self.space_checked = self.file.as_ref().map_or(0, PushFile::bytes);
            }
            Effect::Append(frames) => self.append(frames)?,
            Effect::Seal { frame, .. } => self.seal(frame)?,
            Effect::Offered { lender, offer } => self.answer_offer(lender, &offer)?,
            Effect::Await { push, seconds } => {
                let since = Instant::now();
                let flow = self.answer_verdict(push, seconds)?;
                self.deadline.host_waited(since);
                return Ok(flow);
            }
            Effect::Refuse { code, partial, wait_seconds } => {
                return Err(Stop::Refused { code, partial, wait_seconds });
            }
            Effect::End => return Ok(Flow::End),
        }
        Ok(Flow::On)
    }

    /// The declared contents will be expanded on this file system: they need room too.
    fn begin(&mut self, declared_bytes: u64, bytes: &[u8], role: Role) -> Result<()> {
        self.file = None;
        self.spool.discard_current()?;
        self.need_space(declared_bytes)?;
        self.spool.begin_as(role)?;
        self.seen.role = role;
        let mut file = self.spool.create_current()?;
        file.append(bytes)?;
        self.file = Some(file);
        self.space_checked = 0;
        Ok(())
    }

    fn append(&mut self, frames: &[u8]) -> Result<()> {
        let file = self.file.as_mut().ok_or(Stop::at("find the push file")(rustix::io::Errno::BADF))?;
        file.append(frames)?;
        let bytes = file.bytes();
        if bytes.saturating_sub(self.space_checked) >= SPACE_CHECK_BYTES {
            self.need_space(0)?;
            self.space_checked = bytes;
        }
        Ok(())
    }

    fn seal(&mut self, frame: &[u8]) -> Result<()> {
        self.append(frame)?;
        let file = self.file.take().ok_or(Stop::at("find the push file")(rustix::io::Errno::BADF))?;
        self.spool.seal_current(&file)?;
        self.seen.is_sealed = true;
        Ok(())
    }

    fn need_space(&self, more: u64) -> Result<()> {
        let needed = self.state.seen().limits.free_bytes.saturating_add(more);
        if self.spool.free_bytes()? < needed { Err(Stop::refused(Code::NoRoom)) } else { Ok(()) }
    }

    fn say(&self, message: &ServerMessage) -> Result<()> {
        let mut bytes = Vec::new();
        message.encode(&mut bytes).map_err(|_| Stop::at("answer")(rustix::io::Errno::BADMSG))?;
        self.pipe.say(&bytes, self.deadline.of_wait())
    }

    /// A list that comes while the session lasts is taken; one that was found stays.
    fn answer_offer(&mut self, lender: Root, offer: &Offer) -> Result<()> {
        let since = Instant::now();
        // There is one push in a session, and so one lender.
        if self.holdings.is_none() {
            let entries_max = self.state.seen().limits.entries;
            self.holdings = Holdings::open(self.state.dir(), lender, entries_max);
        }
        let had = self.holdings.as_ref().map_or_else(|| Had::none(offer), |holdings| holdings.answer(offer));
        self.deadline.host_waited(since);
        self.say(&ServerMessage::Had(had))
    }

    /// Looks for the verdict until it is there, the time is up, or nobody listens any more.
    fn answer_verdict(&mut self, push: PushId, seconds: u32) -> Result<Flow> {
        let end = (Instant::now() + Duration::from_secs(seconds.into())).min(self.deadline.end());
        let verdict = loop {
            let known = self.state.fresh()?.verdict(push).unwrap_or(Verdict::Pending);
            if known != Verdict::Pending || Instant::now() >= end {
                break known;
            }
            if !self.pipe.listened_to(end.min(Instant::now() + LOOK))? {
                return Ok(Flow::End);
            }
        };
        self.say(&ServerMessage::Verdict { push, verdict })?;
        Ok(Flow::On)
    }

    /// What becomes of the partial push after a refusal.
    pub(crate) fn settle(&mut self, fate: Fate) -> Result<()> {
        match fate {
            Fate::Keep => Ok(()),
            Fate::Discard => {
                self.file = None;
                self.spool.discard_current()
            }
        }
    }
}
