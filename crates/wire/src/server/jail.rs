//! Where a jail stands when a session begins, and what it admits.

use formats::PushId;
use formats::limits::QUEUED;
use formats::published::{Published, Verdict};
use formats::push::Header;
use formats::session::{BaseMessage, Code, ServerMessage};

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
}

impl Jail {
    pub(super) fn base_message(&self) -> BaseMessage {
        BaseMessage {
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

    pub(super) fn admits_header(&self, header: &Header) -> Result<(), No> {
        if header.declared_bytes > self.published.limits.expanded_bytes {
            return Err(No(Code::TooLarge, Fate::Keep));
        }
        self.admits_another()
    }

    pub(super) fn admits_going_on(&self, push: PushId, frames: u64) -> Result<(), No> {
        match &self.partial {
            Some(partial) if (partial.push(), partial.tally.frames()) == (push, frames) => {
                self.admits_another()
            }
            _ => Err(No(Code::Protocol, Fate::Keep)),
        }
    }

    fn admits_another(&self) -> Result<(), No> {
        let most = usize::try_from(self.published.limits.queued_pushes).unwrap_or(QUEUED).min(QUEUED);
        if self.waiting >= most { Err(No(Code::Busy, Fate::Keep)) } else { Ok(()) }
    }
}
