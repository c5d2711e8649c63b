//! Where a jail stands when a session begins, and what it admits.

use formats::limits::QUEUED;
use formats::published::{Published, Verdict};
use formats::push::Header;
use formats::session::{BaseMessage, Code, MINOR, Role, ServerMessage, Soft};
use formats::{Admission, PushId};

use super::{Fate, No};
use crate::partial::Partial;

/// Where a jail stands.
#[derive(Debug, Clone)]
pub struct Jail {
    /// What the snapshotter published.
    pub published: Published,
    /// A push cut off earlier, without a seal.
    pub partial: Option<Partial>,
    /// The ids of the sealed pushes that wait, as far as their files tell; only the first [`QUEUED`] are told to the host.
    pub queued: Vec<PushId>,
    /// How many sealed files wait, with an id or not.
    pub waiting: usize,
    /// When the newest of them was sealed, seconds since 1970.
    pub sealed_last: Option<i64>,
    /// How many of them were admitted as emergencies.
    pub emergencies: usize,
}

impl Jail {
    pub(super) fn base_message(&self) -> BaseMessage {
        BaseMessage {
            minor: MINOR,
            published: self.published.clone(),
            partial: self.partial.as_ref().map(|partial| (partial.push(), partial.tally.frames())),
            queued: self.queued.iter().copied().take(QUEUED).collect(),
        }
    }

    /// A push that must not be applied again, and what to say about it.
    pub(super) fn known_answer(&self, push: PushId) -> Option<ServerMessage> {
        match self.published.verdict(push) {
            Some(Verdict::Pending) | None => {
                self.queued.contains(&push).then_some(ServerMessage::Sealed(push))
            }
            Some(verdict) => Some(ServerMessage::Verdict { push, verdict }),
        }
    }

    pub(super) fn knows(&self, push: PushId) -> bool {
        self.queued.contains(&push) || self.published.verdict(push).is_some()
    }

    pub(super) fn sealed(&mut self, push: PushId) {
        self.queued.push(push);
        self.waiting += 1;
    }

    /// Whether a new push may begin, and as what.
    pub(super) fn admits_header(&self, header: &Header, role: Role, now: i64) -> Result<Role, No> {
        if header.declared_bytes > self.published.limits.expanded_bytes {
            return Err(No::keep(Code::TooLarge));
        }
        self.admits_expanding_to(header.declared_bytes)?;
        self.admits_another(role, now)
    }

    /// Whether this is the partial push, and may go on, and as what.
    pub(super) fn admits_going_on(
        &self,
        push: PushId,
        frames: u64,
        role: Role,
        now: i64,
    ) -> Result<Role, No> {
        match &self.partial {
            Some(partial) if (partial.push(), partial.tally.frames()) == (push, frames) => {
                self.admits_history(partial.expanded_bytes)?;
                self.admits_another(role, now)
            }
            _ => Err(No::keep(Code::Protocol)),
        }
    }

    /// Whether the history has room for that much more.
    fn admits_expanding_to(&self, bytes: u64) -> Result<(), No> {
        let Admission { history_bytes, history_used_bytes, .. } = self.published.admission;
        let fits = history_used_bytes < history_bytes && bytes <= history_bytes - history_used_bytes;
        if fits || history_bytes == u64::MAX { Ok(()) } else { Err(No::keep(Code::NoBudget)) }
    }

    fn admits_another(&self, role: Role, now: i64) -> Result<Role, No> {
        let most = usize::try_from(self.published.limits.queued_pushes).unwrap_or(QUEUED).min(QUEUED);
        if self.waiting >= most {
            return Err(No::keep(Code::Busy));
        }
        let admission = &self.published.admission;
        let closed = admission.hours.wait_seconds(now);
        let early = self.interval_left(now);
        if closed == 0 && early == 0 {
            return Ok(Role::Usual);
        }
        if role == Role::Emergency && admission.emergencies_left(now) > self.emergencies {
            return Ok(Role::Emergency);
        }
        let code = if early > 0 { Code::TooSoon } else { Code::OutOfHours };
        Err(No { wait_seconds: early.max(closed), ..No::keep(code) })
    }

    /// Seconds until the interval since the newest push is over. A push that lies ahead of the clock tells nothing: a clock that was put
    /// back shuts nobody out.
    fn interval_left(&self, now: i64) -> u32 {
        let Admission { interval_seconds, newest, .. } = self.published.admission;
        let newest = newest.max(self.sealed_last.unwrap_or(0));
        if newest == 0 || newest > now {
            return 0;
        }
        let passed = u32::try_from(now.saturating_sub(newest).max(0)).unwrap_or(u32::MAX);
        interval_seconds.saturating_sub(passed)
    }

    /// What to say of the history as it is.
    pub(super) fn over_soft_history(&self) -> Option<ServerMessage> {
        let Admission { history_used_bytes: used, history_soft_bytes: limit, .. } = self.published.admission;
        (used > limit).then_some(ServerMessage::Warned { what: Soft::History, used, limit })
    }

    /// What to say of a push that expands to so much.
    pub(super) fn over_soft_bytes(&self, used: u64) -> Option<ServerMessage> {
        let limit = self.published.admission.soft_bytes;
        (used > limit).then_some(ServerMessage::Warned { what: Soft::Bytes, used, limit })
    }

    /// What to say of a manifest of so many entries; or that there are too many.
    pub(super) fn admits_entries(&self, used: u64) -> Result<Option<ServerMessage>, No> {
        if used > self.published.limits.entries {
            return Err(No { partial: Fate::Discard, ..No::keep(Code::TooLarge) });
        }
        let limit = self.published.admission.soft_entries;
        Ok((used > limit).then_some(ServerMessage::Warned { what: Soft::Entries, used, limit }))
    }

    /// Whether the blocks of a push may have expanded to so much by now.
    pub(super) fn admits_blocks(&self, bytes: u64) -> Result<(), No> {
        let discard = |code| No { partial: Fate::Discard, ..No::keep(code) };
        if bytes > self.published.limits.blocks_bytes() {
            return Err(discard(Code::TooLarge));
        }
        self.admits_history(bytes).map_err(|no| discard(no.code))
    }

    /// What contents come to is known only when they are expanded: the heads of blocks say it with what records cost, and that is let through.
    fn admits_history(&self, blocks_bytes: u64) -> Result<(), No> {
        self.admits_expanding_to(blocks_bytes.saturating_sub(self.published.limits.heads_bytes()))
    }
}
