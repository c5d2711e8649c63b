//! What a session asks its receiver to do.

use formats::push::Header;
use formats::session::{Code, Offer, Role, ServerMessage};
use formats::{PushId, Root};

/// One thing to do. If doing it fails, the receiver refuses with [`Code::NoRoom`] or [`Code::ServerFault`] and ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect<'a> {
    /// Say this.
    Answer(ServerMessage),
    /// Discard the partial push, if any, and begin a new one with these bytes: magic, version and the header's frame.
    Begin {
        /// What the header says.
        header: Header,
        /// How the file begins.
        bytes: Vec<u8>,
        /// What it was admitted as: an emergency only where a usual push would not have been.
        role: Role,
    },
    /// Go on at the end of the partial push.
    GoOn {
        /// As for a new push.
        role: Role,
    },
    /// Append these bytes: whole frames, however many had come.
    Append(&'a [u8]),
    /// Say which of these contents the base has, if it still is the one that the push names as its lender; otherwise, that it has none.
    Offered {
        /// What the push takes contents from.
        lender: Root,
        /// What is offered.
        offer: Offer,
    },
    /// Append the seal's frame, bring the file to the disk, and move it among the sealed ones. The answer is the next effect.
    Seal {
        /// Which push.
        push: PushId,
        /// The seal, as a whole frame.
        frame: &'a [u8],
    },
    /// Say what became of a push as soon as that is known, at the latest after so long.
    Await {
        /// Which push: one that is queued or has a verdict.
        push: PushId,
        /// Longest wait.
        seconds: u32,
    },
    /// Say no, and end the session.
    Refuse {
        /// Why.
        code: Code,
        /// What becomes of what has arrived.
        partial: Fate,
        /// Before that time no new try makes sense.
        wait_seconds: u32,
    },
    /// End the session.
    End,
}

/// What becomes of a partial push when its session is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It stays, to be gone on with.
    Keep,
    /// It goes: it could never be sealed.
    Discard,
}
