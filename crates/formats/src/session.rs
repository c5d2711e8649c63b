//! The messages around a push. Layout and order in docs/formats/session.md; the state machines are in crate `wire`.

mod code;
mod offer;

use crate::cursor::{Cursor, Malformed, malformed};
use crate::frame;
use crate::id::{PushId, Root};
use crate::limits::QUEUED;
use crate::published::{Published, Verdict};
use crate::version::Version;

pub use code::Code;
pub use offer::{Had, Offer};

/// The minor version of the session that this program speaks.
pub const MINOR: u16 = 2;

/// The frame that an offer is: the one message of a client that comes among the frames of its push.
pub const OFFER_KIND: u8 = 21;

/// What the receiver says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "the large one comes once a session")]
pub enum ServerMessage {
    /// The first message: where this jail stands.
    Base(BaseMessage),
    /// The push is closed and on disk.
    Sealed(PushId),
    /// No, and why.
    Refused {
        /// Why.
        code: Code,
        /// When a new try makes sense; 0 for not.
        retry_seconds: u32,
    },
    /// What became of a push.
    Verdict {
        /// Which push.
        push: PushId,
        /// What became of it.
        verdict: Verdict,
    },
    /// The push goes on, but a person should look. Since minor version 1; only to a client that said it knows it.
    Warned {
        /// What is over its soft limit.
        what: Soft,
        /// How much it is, as far as is known.
        used: u64,
        /// The soft limit.
        limit: u64,
    },
    /// Which contents of an offer the lender has. Since minor version 2; one for each offer, in their order.
    Had(Had),
}

/// What has a soft limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Soft {
    /// What one push expands to, in bytes.
    Bytes,
    /// Entries of the manifest.
    Entries,
    /// What the history comes to, in bytes.
    History,
}

/// Why a push comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// It is its time.
    #[default]
    Usual,
    /// A person asked for it, and it may be outside the hours and before the interval is over. The server counts those.
    Emergency,
}

/// Where a jail stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseMessage {
    /// The minor version of the session that the receiver speaks: beyond it, it knows no message.
    pub minor: u16,
    /// What the snapshotter published.
    pub published: Published,
    /// A push cut off earlier: its id and its whole frames.
    pub partial: Option<(PushId, u64)>,
    /// Sealed pushes that wait.
    pub queued: Vec<PushId>,
}

/// What the client says besides the frames of the push file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientMessage {
    /// A new push; its header follows.
    New {
        /// Version of the push file.
        version: Version,
    },
    /// On with the partial push; a resume frame follows.
    GoOn {
        /// Which push.
        push: PushId,
        /// Whole frames of it that the receiver holds.
        frames: u64,
    },
    /// Asks for a verdict.
    Await {
        /// Which push.
        push: PushId,
        /// Longest wait.
        seconds: u32,
    },
    /// The end.
    Bye,
    /// What the client speaks and why it comes. Since minor version 1; before anything else about a push, and at most once.
    Hello {
        /// The minor version of the session that it speaks.
        minor: u16,
        /// Why it comes.
        role: Role,
    },
    /// Asks which of these contents the lender of the push has. Since minor version 2; among the contents of a push that names a lender.
    Offer(Offer),
}

impl ServerMessage {
    /// Appends the message as a frame.
    pub fn encode(&self, to: &mut Vec<u8>) -> Result<(), Malformed> {
        let mut payload = Vec::new();
        let kind = match self {
            ServerMessage::Base(base) => {
                base.encode(&mut payload)?;
                64
            }
            ServerMessage::Sealed(push) => {
                payload.extend_from_slice(push.as_bytes());
                65
            }
            ServerMessage::Refused { code, retry_seconds } => {
                payload.extend_from_slice(&code.number().to_le_bytes());
                payload.extend_from_slice(&retry_seconds.to_le_bytes());
                66
            }
            ServerMessage::Verdict { push, verdict } => {
                payload.extend_from_slice(push.as_bytes());
                verdict.encode(&mut payload);
                67
            }
            ServerMessage::Warned { what, used, limit } => {
                payload.push(what.code());
                payload.extend_from_slice(&used.to_le_bytes());
                payload.extend_from_slice(&limit.to_le_bytes());
                68
            }
            ServerMessage::Had(had) => {
                had.encode(&mut payload)?;
                69
            }
        };
        frame::encode(kind, &payload, to)
    }

    /// Reads a frame as a message.
    pub fn decode(frame: &frame::Frame<'_>) -> Result<Self, Malformed> {
        let mut from = Cursor::new(frame.payload);
        let message = match frame.kind {
            64 => ServerMessage::Base(BaseMessage::decode(&mut from)?),
            65 => ServerMessage::Sealed(PushId::from_bytes(from.array("push id")?)),
            66 => ServerMessage::Refused {
                code: Code::from_number(from.u16("code")?)?,
                retry_seconds: from.u32("retry")?,
            },
            67 => ServerMessage::Verdict {
                push: PushId::from_bytes(from.array("push id")?),
                verdict: Verdict::decode(&mut from)?,
            },
            68 => ServerMessage::Warned {
                what: Soft::from_code(from.u8("warning")?)?,
                used: from.u64("warning")?,
                limit: from.u64("warning")?,
            },
            69 => ServerMessage::Had(Had::decode(&mut from)?),
            _ => return malformed("kind of message"),
        };
        from.end("message: bytes after its end")?;
        Ok(message)
    }
}

impl Soft {
    const fn code(self) -> u8 {
        match self {
            Soft::Bytes => 1,
            Soft::Entries => 2,
            Soft::History => 3,
        }
    }

    fn from_code(code: u8) -> Result<Self, Malformed> {
        match code {
            1 => Ok(Soft::Bytes),
            2 => Ok(Soft::Entries),
            3 => Ok(Soft::History),
            _ => malformed("warning"),
        }
    }
}

impl std::fmt::Display for Soft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Soft::Bytes => "bytes of this push",
            Soft::Entries => "entries",
            Soft::History => "bytes of history",
        })
    }
}

impl BaseMessage {
    fn encode(&self, to: &mut Vec<u8>) -> Result<(), Malformed> {
        Version { minor: self.minor, ..Version::ONE }.encode(to);
        self.published.encode_body(to)?;
        match self.partial {
            None => to.push(0),
            Some((push, frames)) => {
                to.push(1);
                to.extend_from_slice(push.as_bytes());
                to.extend_from_slice(&frames.to_le_bytes());
            }
        }
        if self.queued.len() > QUEUED {
            return malformed("queued pushes: too many");
        }
        to.push(self.queued.len() as u8);
        for push in &self.queued {
            to.extend_from_slice(push.as_bytes());
        }
        Ok(())
    }

    fn decode(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let Version { major, minor } = Version::decode(from)?;
        if major != Version::ONE.major {
            return malformed("session version");
        }
        let published = Published::decode_body(from)?;
        let partial = match from.u8("partial push")? {
            0 => None,
            1 => Some((PushId::from_bytes(from.array("partial push")?), from.u64("partial push")?)),
            _ => return malformed("partial push"),
        };
        let count = usize::from(from.u8("queued pushes")?);
        if count > QUEUED {
            return malformed("queued pushes: too many");
        }
        let mut queued = Vec::with_capacity(count);
        for _ in 0..count {
            queued.push(PushId::from_bytes(from.array("queued push")?));
        }
        Ok(Self { minor, published, partial, queued })
    }

    /// The base a push would apply to.
    pub fn base(&self) -> Option<Root> {
        self.published.base
    }
}

impl ClientMessage {
    /// Appends the message as a frame.
    pub fn encode(&self, to: &mut Vec<u8>) -> Result<(), Malformed> {
        let mut payload = Vec::new();
        let kind = match self {
            ClientMessage::New { version } => {
                version.encode(&mut payload);
                16
            }
            ClientMessage::GoOn { push, frames } => {
                payload.extend_from_slice(push.as_bytes());
                payload.extend_from_slice(&frames.to_le_bytes());
                17
            }
            ClientMessage::Await { push, seconds } => {
                payload.extend_from_slice(push.as_bytes());
                payload.extend_from_slice(&seconds.to_le_bytes());
                18
            }
            ClientMessage::Bye => 19,
            ClientMessage::Hello { minor, role } => {
                payload.extend_from_slice(&minor.to_le_bytes());
                payload.push(u8::from(*role == Role::Emergency));
                20
            }
            ClientMessage::Offer(offer) => {
                offer.encode(&mut payload)?;
                OFFER_KIND
            }
        };
        frame::encode(kind, &payload, to)
    }

    /// Reads a frame as a message.
    pub fn decode(frame: &frame::Frame<'_>) -> Result<Self, Malformed> {
        let mut from = Cursor::new(frame.payload);
        let message = match frame.kind {
            16 => ClientMessage::New { version: Version::decode(&mut from)? },
            17 => ClientMessage::GoOn {
                push: PushId::from_bytes(from.array("push id")?),
                frames: from.u64("frames")?,
            },
            18 => ClientMessage::Await {
                push: PushId::from_bytes(from.array("push id")?),
                seconds: from.u32("seconds")?,
            },
            19 => ClientMessage::Bye,
            20 => ClientMessage::Hello {
                minor: from.u16("minor version")?,
                role: match from.u8("role")? {
                    0 => Role::Usual,
                    1 => Role::Emergency,
                    _ => return malformed("role"),
                },
            },
            OFFER_KIND => ClientMessage::Offer(Offer::decode(&mut from)?),
            _ => return malformed("kind of message"),
        };
        from.end("message: bytes after its end")?;
        Ok(message)
    }
}
