//! Talking through two descriptors: frames out, messages in, and never waiting longer than agreed.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use formats::PushId;
use formats::session::{BaseMessage, ClientMessage, Had, MINOR, Role, ServerMessage, Soft};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use wire::client::{Incoming, bye};

use super::error::PushError;
use crate::transport::{Carried, Outward};

/// After a failed write, how long the server's own words are waited for.
const LAST_WORD: Duration = Duration::from_secs(5);

/// One session with a receiver.
#[derive(Debug)]
pub struct Session {
    carried: Carried,
    incoming: Incoming,
    warnings: Vec<Warning>,
}

/// Something of ours that is over the server's soft limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warning {
    /// What.
    pub what: Soft,
    /// How much it is, as far as the server knows.
    pub used: u64,
    /// The soft limit.
    pub limit: u64,
}

/// What is waited for, in words that fit after "while".
pub(super) const GREETING: &str = "connecting and waiting for its first message";
pub(super) const OFFERING: &str = "waiting for what it has of what was offered";
pub(super) const SEALING: &str = "sealing the push";
pub(super) const JUDGING: &str = "waiting for the verdict";

/// Waits for the base message.
pub fn greet(session: &mut Session, wait: Duration) -> Result<BaseMessage, PushError> {
    match session.next(wait, GREETING)? {
        ServerMessage::Base(base) => Ok(base),
        ServerMessage::Refused { code, retry_seconds } => Err(PushError::Refused { code, retry_seconds }),
        ServerMessage::Sealed(_)
        | ServerMessage::Verdict { .. }
        | ServerMessage::Warned { .. }
        | ServerMessage::Had(_) => Err(PushError::OutOfTurn),
    }
}

impl Session {
    /// Over a connection that has just been opened.
    pub fn new(mut carried: Carried) -> Result<Self, PushError> {
        carried.listen().map_err(|source| PushError::Machine { doing: "start a thread", source })?;
        Ok(Self { carried, incoming: Incoming::new(), warnings: Vec::new() })
    }

    /// Says what we speak and why we come. From now on the server may warn.
    pub(super) fn introduce(&mut self, role: Role) -> Result<(), PushError> {
        let mut bytes = Vec::new();
        ClientMessage::Hello { minor: MINOR, role }.encode(&mut bytes)?;
        self.incoming.expect_warnings();
        self.send(&bytes)
    }

    /// What the server has warned of so far.
    pub(super) fn take_warnings(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.warnings)
    }

    /// Writes bytes that the receiver will read.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), PushError> {
        match self.carried.to.write_all(bytes) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.not_taken(&error)),
        }
    }

    /// Our bytes were not taken: why.
    pub(super) fn not_taken(&mut self, error: &io::Error) -> PushError {
        match error.kind() {
            io::ErrorKind::TimedOut => Carried::stalled(error),
            _ => self.why_closed("sending"),
        }
    }

    /// A second handle to write to, for the sender.
    pub(super) fn writer(&self) -> io::Result<Outward> {
        self.carried.to.try_clone()
    }

    /// From now on the server may say that this push is sealed, or what became of it.
    pub(super) fn expect_sealed(&mut self, push: PushId) {
        self.incoming.expect_sealed(push);
    }

    /// From now on the server may say what became of this push.
    pub(super) fn expect_verdict(&mut self, push: PushId) {
        self.incoming.expect_verdict(push);
    }

    /// From now on the server may answer an offer of so many contents.
    pub(super) fn expect_had(&mut self, contents: usize) {
        self.incoming.expect_had(contents);
    }

    /// The answer to the oldest offer that has none.
    pub(super) fn had(&mut self, wait: Duration) -> Result<Had, PushError> {
        match self.next(wait, OFFERING)? {
            ServerMessage::Had(had) => Ok(had),
            ServerMessage::Refused { code, retry_seconds } => Err(PushError::Refused { code, retry_seconds }),
            _ => Err(PushError::OutOfTurn),
        }
    }

    /// The next message that is no warning, at the latest after `wait`.
    pub(super) fn next(
        &mut self,
        wait: Duration,
        waiting_for: &'static str,
    ) -> Result<ServerMessage, PushError> {
        let deadline = Instant::now() + wait;
        loop {
            match self.incoming.next()? {
                // They are few: more of them than a push can earn are refused.
                Some(ServerMessage::Warned { what, used, limit }) => {
                    self.warnings.push(Warning { what, used, limit });
                    continue;
                }
                Some(message) => return Ok(message),
                None => {}
            }
            if !self.readable(deadline)? {
                return Err(PushError::Silent { waiting_for, waited: wait });
            }
            match self.carried.from.read(self.incoming.space()) {
                Ok(0) => return Err(self.carried.why_ended(waiting_for)),
                Ok(length) => self.incoming.filled(length),
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
                Err(_) => return Err(self.carried.why_ended(waiting_for)),
            }
        }
    }

    /// What stands behind a write that failed: the server's refusal, if it sent one, or the transport's own words.
    fn why_closed(&mut self, during: &'static str) -> PushError {
        loop {
            return match self.next(LAST_WORD, during) {
                Ok(ServerMessage::Refused { code, retry_seconds }) => {
                    PushError::Refused { code, retry_seconds }
                }
                // An answer that nobody has read yet. There are as many as offers at the most.
                Ok(ServerMessage::Had(_)) => continue,
                Ok(_) => PushError::Ended { during },
                Err(error) => error,
            };
        }
    }

    /// Ends the session in good order, as far as the other side takes part.
    pub fn end(mut self) {
        let mut bytes = Vec::new();
        if bye(&mut bytes).is_ok() {
            // Whatever comes of it: all that counts is known.
            let _ = self.carried.to.write_all(&bytes);
        }
        self.carried.end();
    }

    fn readable(&self, deadline: Instant) -> Result<bool, PushError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(left.subsec_nanos()),
            };
            let mut fds = [PollFd::new(&self.carried.from, PollFlags::IN)];
            match poll(&mut fds, Some(&timeout)) {
                Ok(ready) => return Ok(ready > 0),
                Err(Errno::INTR) => {}
                Err(errno) => {
                    return Err(PushError::Machine { doing: "wait for the server", source: errno.into() });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use formats::published::{Limits, Published};
    use formats::session::{Code, Offer};
    use formats::{ContentHash, HostId};

    use super::*;

    #[test]
    fn a_refusal_behind_answers_that_nobody_has_read_is_told_as_what_it_is() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let from = ours.try_clone().unwrap();
        let mut session = Session::new(Carried::over(ours.into(), from.into()).unwrap()).unwrap();
        let offer = Offer::new(vec![ContentHash::of(b"offered")]).unwrap();
        let mut bytes = Vec::new();
        let published = Published::new(HostId::parse("web01").unwrap(), Limits::default());
        let base = BaseMessage { minor: MINOR, published, partial: None, queued: Vec::new() };
        ServerMessage::Base(base).encode(&mut bytes).unwrap();
        theirs.write_all(&bytes).unwrap();
        greet(&mut session, LAST_WORD).unwrap();
        bytes.clear();
        for _ in 0..2 {
            session.expect_had(1);
            ServerMessage::Had(Had::none(&offer)).encode(&mut bytes).unwrap();
        }
        ServerMessage::Refused { code: Code::NoRoom, retry_seconds: 77 }.encode(&mut bytes).unwrap();
        theirs.write_all(&bytes).unwrap();
        drop(theirs);
        let error = session.not_taken(&io::ErrorKind::BrokenPipe.into());
        assert!(matches!(error, PushError::Refused { code: Code::NoRoom, retry_seconds: 77 }), "{error:?}");
    }
}
