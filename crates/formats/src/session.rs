//! The messages around a push. Layout and order in docs/formats/session.md; the state machines are in crate `wire`.

use crate::cursor::{Cursor, Malformed, malformed};
use crate::frame;
use crate::id::{PushId, Root};
use crate::limits::QUEUED;
use crate::published::{Published, Verdict};
use crate::version::Version;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, exit $exit:literal, $text:literal;)*) => {
        /// Why a push was refused (by the receiver) or rejected (by the snapshotter).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// All codes, for tables and tests.
            pub const ALL: &'static [Code] = &[$(Code::$name),*];

            /// The number in messages and records.
            pub const fn number(self) -> u16 {
                match self { $(Code::$name => $number,)* }
            }

            /// The exit code push-client ends with.
            pub const fn exit_code(self) -> u8 {
                match self { $(Code::$name => $exit,)* }
            }

            /// The fixed words for it.
            pub const fn text(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// The code with that number.
            pub fn from_number(number: u16) -> Result<Self, Malformed> {
                match number { $($number => Ok(Code::$name),)* _ => malformed("code") }
            }
        }
    };
}

codes! {
    /// Another session of this jail lives, or too many pushes are queued.
    Busy = 1, exit 10, "busy";
    /// The server has no space for this push.
    NoRoom = 2, exit 11, "no room on the server";
    /// Over the limit of one push.
    TooLarge = 3, exit 12, "push too large";
    /// The session's deadline has passed.
    TooSlow = 4, exit 13, "session too slow";
    /// The jail has no published state yet.
    NotReady = 5, exit 14, "jail not ready";
    /// A message out of order or malformed, or of another version.
    Protocol = 6, exit 15, "protocol violated";
    /// An error on the server's side.
    ServerFault = 7, exit 16, "fault on the server";
    /// The header names another host than the jail.
    WrongHost = 8, exit 17, "wrong host";
    /// Frame counts or hashes do not match the seal.
    BrokenFrames = 20, exit 20, "frames do not match the seal";
    /// The push file breaks a rule of its format.
    MalformedPush = 21, exit 21, "malformed push";
    /// A content does not have the hash that closes it.
    ContentHash = 22, exit 22, "content does not have its hash";
    /// An entry refers to a content neither in the push nor in its base.
    MissingContent = 23, exit 23, "content neither in the push nor in its base";
    /// The base is not in the history.
    UnknownBase = 24, exit 24, "base not in the history";
    /// The result does not have the sealed root or number of entries.
    WrongRoot = 25, exit 25, "result does not have the sealed root";
    /// It expands beyond the limits.
    OverBudget = 26, exit 26, "over the limits of this host";
    /// Another push came under the id of one that was judged before.
    Replayed = 27, exit 27, "push id judged before";
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

/// What the receiver says.
#[derive(Debug, Clone, PartialEq, Eq)]
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
}

/// Where a jail stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseMessage {
    /// What the snapshotter published.
    pub published: Published,
    /// A push cut off earlier: its id and its whole frames.
    pub partial: Option<(PushId, u64)>,
    /// Sealed pushes that wait.
    pub queued: Vec<PushId>,
}

/// What the client says besides the frames of the push file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
            _ => return malformed("kind of message"),
        };
        from.end("message: bytes after its end")?;
        Ok(message)
    }
}

impl BaseMessage {
    fn encode(&self, to: &mut Vec<u8>) -> Result<(), Malformed> {
        Version::ONE.encode(to);
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
        if Version::decode(from)?.major != Version::ONE.major {
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
        Ok(Self { published, partial, queued })
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
            _ => return malformed("kind of message"),
        };
        from.end("message: bytes after its end")?;
        Ok(message)
    }
}
