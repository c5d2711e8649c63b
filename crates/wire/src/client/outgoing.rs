//! What a client sends: the frames of one push file, and the messages around it.

use formats::cursor::{Malformed, malformed};
use formats::frame;
use formats::push::{self, Block, FrameKind, Header, Mark, Order, Seal, Tally};
use formats::session::{ClientMessage, Offer};
use formats::{PushId, Root};

/// One push under way: appends whole frames to the caller's bytes, in an order the receiver accepts, and keeps the tally that
/// the seal is made from.
///
/// [`Outgoing::mark`] after each frame is what the client journals before it sends that frame. Only from a journaled mark can
/// a push be gone on with.
#[derive(Debug, Clone)]
pub struct Outgoing {
    tally: Tally,
}

/// What the seal says besides the tally.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealFacts {
    /// Root of the manifest that results.
    pub root: Root,
    /// Entries of that manifest.
    pub entries: u64,
    /// Paths that could not be read.
    pub left_out: u64,
}

impl Outgoing {
    /// Begins a push: the message `new` and the header. A partial push that the receiver holds is discarded by it.
    pub fn open_new(header: &Header, to: &mut Vec<u8>) -> Result<Self, Malformed> {
        ClientMessage::New { version: push::VERSION }.encode(to)?;
        let mut push = Self { tally: Tally::begin() };
        push.frame(FrameKind::Header, &header.encode()?, to)?;
        Ok(push)
    }

    /// Goes on with the partial push that the base message names: the message `go on` and a resume frame. `mark` must be the
    /// journal's for exactly the number of frames in the base message.
    pub fn go_on(push: PushId, mark: Mark, to: &mut Vec<u8>) -> Result<Self, Malformed> {
        if !matches!(mark.order, Order::Contents | Order::Entries) {
            return malformed("mark: not within a push");
        }
        ClientMessage::GoOn { push, frames: mark.frames }.encode(to)?;
        let mut going = Self { tally: Tally::resume(mark) };
        going.frame(FrameKind::Resume, &[], to)?;
        Ok(going)
    }

    /// A block of content records. Not after the first block of entries.
    pub fn contents(&mut self, block: &Block<'_>, to: &mut Vec<u8>) -> Result<(), Malformed> {
        self.block(FrameKind::Contents, block, to)
    }

    /// A block of changes.
    pub fn entries(&mut self, block: &Block<'_>, to: &mut Vec<u8>) -> Result<(), Malformed> {
        self.block(FrameKind::Entries, block, to)
    }

    /// The seal: nothing can follow.
    pub fn seal(&mut self, facts: SealFacts, to: &mut Vec<u8>) -> Result<(), Malformed> {
        let SealFacts { root, entries, left_out } = facts;
        let seal = Seal { frames: self.tally.frames(), hash: self.tally.hash(), root, entries, left_out };
        self.frame(FrameKind::Seal, &seal.encode(), to)
    }

    /// The push file after the last frame made, for the journal.
    pub fn mark(&self) -> Mark {
        self.tally.mark()
    }

    /// Bytes of the push file so far; the receiver's limit is on these.
    pub fn bytes(&self) -> u64 {
        self.tally.bytes()
    }

    fn block(&mut self, kind: FrameKind, block: &Block<'_>, to: &mut Vec<u8>) -> Result<(), Malformed> {
        let start = to.len();
        block.encode_frame(kind, to)?;
        self.tallied(start, to)
    }

    fn frame(&mut self, kind: FrameKind, payload: &[u8], to: &mut Vec<u8>) -> Result<(), Malformed> {
        let start = to.len();
        frame::encode(kind.code(), payload, to)?;
        self.tallied(start, to)
    }

    /// Takes the frame that was appended at `start`; one that may not come here is taken off again.
    fn tallied(&mut self, start: usize, to: &mut Vec<u8>) -> Result<(), Malformed> {
        let taken = match frame::parts(to.get(start..).unwrap_or_default()) {
            Some(frame) => self.tally.take(&frame).map(drop),
            None => malformed("frame"),
        };
        if taken.is_err() {
            to.truncate(start);
        }
        taken
    }
}

/// Asks for the verdict on a push; the answer comes at the latest after `seconds`.
pub fn await_verdict(push: PushId, seconds: u32, to: &mut Vec<u8>) -> Result<(), Malformed> {
    ClientMessage::Await { push, seconds }.encode(to)
}

/// Asks which of these contents the push's lender has; the answer is one bit each. Only among the contents of a push, between two frames.
pub fn offer(offer: Offer, to: &mut Vec<u8>) -> Result<(), Malformed> {
    ClientMessage::Offer(offer).encode(to)
}

/// Ends the session.
pub fn bye(to: &mut Vec<u8>) -> Result<(), Malformed> {
    ClientMessage::Bye.encode(to)
}
