//! What a client believes of what a server sends: only messages that answer something, within their limits.

use std::collections::VecDeque;

use formats::PushId;
use formats::cursor::{Cursor, Malformed};
use formats::frame::HEAD_BYTES;
use formats::limits::PUBLISHED_BYTES;
use formats::session::{BaseMessage, ServerMessage};

use crate::buffer::Buffer;

/// Longest payload of a server's message: a base message, which is a published state, a partial push and queued ids.
pub const MESSAGE_BYTES: usize = PUBLISHED_BYTES + 2_048;

/// Most warnings of one session: each soft limit can be crossed at the start of a push and in its course.
const WARNINGS: u8 = 8;

/// Why a server cannot be talked to. None of these is a reason to go on with the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Not a message of this protocol. Often the start of a text that some shell printed.
    #[error("the server sent a malformed message")]
    Malformed(#[from] Malformed),
    /// Announces more bytes than any message has.
    #[error("the server announced a message of {bytes} bytes; the longest has {MESSAGE_BYTES}")]
    TooLong {
        /// Bytes announced.
        bytes: usize,
    },
    /// A message that answers nothing this client has said.
    #[error("the server sent a message that was not asked for: {message}")]
    Unasked {
        /// Which message.
        message: &'static str,
    },
}

/// Reads a server's messages from bytes, and refuses what was not asked for. Memory is bounded by [`MESSAGE_BYTES`], however
/// much the server sends.
///
/// ```
/// # fn talk(mut read: impl FnMut(&mut [u8]) -> usize) -> Result<(), wire::client::WireError> {
/// let mut incoming = wire::client::Incoming::new();
/// let base = loop {
///     if let Some(message) = incoming.next()? {
///         break message; // the base message, or a refusal
///     }
///     let count = read(incoming.space());
///     incoming.filled(count);
/// };
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Incoming {
    buffer: Buffer,
    place: Place,
    sealing: Option<PushId>,
    awaited: Option<PushId>,
    warnings_left: u8,
    /// How many contents each offer had that is not answered yet, oldest first.
    offered: VecDeque<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The server speaks first.
    Greeting,
    /// The client has the floor.
    Talk,
    /// The server has refused, or broken the protocol: nothing that follows counts.
    Over,
}

impl Default for Incoming {
    fn default() -> Self {
        Self::new()
    }
}

impl Incoming {
    /// Nothing has come yet: the base message must be first.
    pub fn new() -> Self {
        Self {
            buffer: Buffer::new(MESSAGE_BYTES + HEAD_BYTES),
            place: Place::Greeting,
            sealing: None,
            awaited: None,
            warnings_left: 0,
            offered: VecDeque::new(),
        }
    }

    /// Tells that this push is being sent: from now on the server may say that it is sealed, or (for a push it knows already)
    /// what became of it.
    pub fn expect_sealed(&mut self, push: PushId) {
        self.sealing = Some(push);
    }

    /// Tells that the verdict on this push is asked for.
    pub fn expect_verdict(&mut self, push: PushId) {
        self.awaited = Some(push);
    }

    /// Tells that this client said hello: from now on the server may warn, a few times.
    pub fn expect_warnings(&mut self) {
        self.warnings_left = WARNINGS;
    }

    /// Tells that an offer of so many contents is being sent: its answer comes after those to the offers before it.
    pub fn expect_had(&mut self, contents: usize) {
        self.offered.push_back(contents);
    }

    /// Where the next bytes go. Never empty after [`Incoming::next`] returned `None`.
    pub fn space(&mut self) -> &mut [u8] {
        self.buffer.space()
    }

    /// That many bytes of [`Incoming::space`] were filled.
    pub fn filled(&mut self, count: usize) {
        self.buffer.filled(count);
    }

    /// For callers that have the bytes elsewhere: copies what fits and tells how much. Call [`Incoming::next`] until it
    /// returns `None`, then feed the rest.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        self.buffer.feed(bytes)
    }

    /// True when the server may still say something that counts.
    pub fn is_open(&self) -> bool {
        self.place != Place::Over
    }

    /// The next message; `None` if it is not all there yet. After a refusal or an error there is never another.
    #[expect(
        clippy::should_implement_trait,
        reason = "a message can be there later: not the contract of an iterator"
    )]
    pub fn next(&mut self) -> Result<Option<ServerMessage>, WireError> {
        if self.place == Place::Over {
            return Ok(None);
        }
        let read = self.read();
        if matches!(read, Err(_) | Ok(Some(ServerMessage::Refused { .. }))) {
            self.place = Place::Over;
        }
        read
    }

    fn read(&mut self) -> Result<Option<ServerMessage>, WireError> {
        if let Some(bytes) = announced(self.buffer.rest(0))
            && bytes > MESSAGE_BYTES
        {
            return Err(WireError::TooLong { bytes });
        }
        let (message, taken) = match self.buffer.frame(0)? {
            None => return Ok(None),
            Some(frame) => (ServerMessage::decode(&frame)?, frame.raw.len()),
        };
        self.buffer.take(taken);
        self.check(&message)?;
        Ok(Some(message))
    }

    fn check(&mut self, message: &ServerMessage) -> Result<(), WireError> {
        let name = match message {
            ServerMessage::Base(base) if self.place == Place::Greeting => {
                self.place = Place::Talk;
                return check_base(base);
            }
            _ if self.place == Place::Greeting && !matches!(message, ServerMessage::Refused { .. }) => {
                "not a base message"
            }
            // A refusal answers whatever the client does, also that it came at all.
            ServerMessage::Refused { .. } => return Ok(()),
            ServerMessage::Sealed(push) if self.sealing == Some(*push) => {
                self.sealing = None;
                return Ok(());
            }
            ServerMessage::Verdict { push, .. } if self.awaited == Some(*push) => {
                self.awaited = None;
                return Ok(());
            }
            ServerMessage::Verdict { push, .. } if self.sealing == Some(*push) => {
                self.sealing = None;
                return Ok(());
            }
            ServerMessage::Warned { .. } if self.warnings_left > 0 => {
                self.warnings_left -= 1;
                return Ok(());
            }
            ServerMessage::Had(had)
                if self.offered.front().is_some_and(|contents| had.answers(*contents)) =>
            {
                self.offered.pop_front();
                return Ok(());
            }
            ServerMessage::Had(_) => "had",
            ServerMessage::Base(_) => "base",
            ServerMessage::Sealed(_) => "sealed",
            ServerMessage::Verdict { .. } => "verdict",
            ServerMessage::Warned { .. } => "warned",
        };
        Err(WireError::Unasked { message: name })
    }
}

/// The payload length that a frame's head announces.
fn announced(bytes: &[u8]) -> Option<usize> {
    let mut from = Cursor::new(bytes);
    from.u8("frame head").ok()?;
    Some(from.u32("frame head").ok()? as usize)
}

/// A partial push without a whole header, or one that the server calls queued too, cannot be gone on with.
fn check_base(base: &BaseMessage) -> Result<(), WireError> {
    let unsound = base.partial.is_some_and(|(push, frames)| frames == 0 || base.queued.contains(&push));
    if unsound { Err(Malformed { what: "partial push" }.into()) } else { Ok(()) }
}
