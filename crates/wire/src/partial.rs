//! What a push file that was cut short still holds: its frames up to the last whole one.

use formats::PushId;
use formats::cursor::{Cursor, Malformed, malformed};
use formats::frame::Frame;
use formats::push::{self, Block, FrameKind, HEAD_BYTES, Header, Seal, Tally, take_head};

use crate::buffer::Buffer;
use crate::server::BUFFER_BYTES;

/// A push file up to its last whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partial {
    /// Who pushes what.
    pub header: Header,
    /// The frames that are whole and in order; `tally.bytes()` is the length to cut the file to.
    pub tally: Tally,
    /// What its blocks expand to, as their heads say.
    pub expanded_bytes: u64,
    /// Whether the seal is among them.
    pub end: End,
}

/// How a push file ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Without a seal: it can be gone on with.
    Open,
    /// With a seal that fits the frames: only its renaming was cut off.
    Sealed,
}

impl Partial {
    /// Which push.
    pub fn push(&self) -> PushId {
        self.header.push
    }
}

/// Reads a push file from its start, in pieces of any size and in bounded memory, up to its end or its first fault.
#[derive(Debug)]
pub struct Scan {
    buffer: Buffer,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Head,
    Header(Tally),
    Frames(Partial),
    Nothing,
    End(Partial),
}

impl Default for Scan {
    fn default() -> Self {
        Self::new()
    }
}

impl Scan {
    /// Nothing is read yet.
    pub fn new() -> Self {
        Self { buffer: Buffer::new(BUFFER_BYTES), place: Place::Head }
    }

    /// Where the next bytes of the file go. Never empty while [`Scan::goes_on`].
    pub fn space(&mut self) -> &mut [u8] {
        self.buffer.space()
    }

    /// That many bytes of [`Scan::space`] were filled.
    pub fn filled(&mut self, count: usize) {
        self.buffer.filled(count);
        while self.goes_on() {
            match self.step() {
                Ok(true) => {}
                Ok(false) => return,
                Err(_) => self.stop(),
            }
        }
    }

    /// Whether more of the file matters.
    pub fn goes_on(&self) -> bool {
        !matches!(self.place, Place::Nothing | Place::End(_))
    }

    /// What the bytes so far hold. None if not even the header is whole.
    pub fn finish(self) -> Option<Partial> {
        match self.place {
            Place::Frames(partial) | Place::End(partial) => Some(partial),
            Place::Head | Place::Header(_) | Place::Nothing => None,
        }
    }

    fn stop(&mut self) {
        self.place = match std::mem::replace(&mut self.place, Place::Nothing) {
            Place::Frames(partial) | Place::End(partial) => Place::End(partial),
            Place::Head | Place::Header(_) | Place::Nothing => Place::Nothing,
        };
    }

    /// Takes the next whole thing; false if it is not all there.
    fn step(&mut self) -> Result<bool, Malformed> {
        if matches!(self.place, Place::Head) {
            if self.buffer.rest(0).len() < HEAD_BYTES {
                return Ok(false);
            }
            let version = take_head(&mut Cursor::new(self.buffer.take(HEAD_BYTES)))?;
            if !push::is_read(version) {
                return malformed("push file version");
            }
            self.place = Place::Header(Tally::of_version(version));
            return Ok(true);
        }
        let Some(frame) = self.buffer.frame(0)? else { return Ok(false) };
        let taken = frame.raw.len();
        let found = match &mut self.place {
            Place::Header(tally) => Some(header(tally, &frame)?),
            Place::Frames(partial) => {
                further(partial, &frame)?;
                None
            }
            _ => None,
        };
        self.buffer.take(taken);
        if let Some(partial) = found {
            self.place = Place::Frames(partial);
        }
        if matches!(&self.place, Place::Frames(partial) if partial.end == End::Sealed) {
            self.stop();
        }
        Ok(true)
    }
}

fn header(tally: &mut Tally, frame: &Frame<'_>) -> Result<Partial, Malformed> {
    tally.take(frame)?;
    let header = Header::decode(frame.payload)?;
    Ok(Partial { header, tally: tally.clone(), expanded_bytes: 0, end: End::Open })
}

fn further(partial: &mut Partial, frame: &Frame<'_>) -> Result<(), Malformed> {
    if frame.kind == FrameKind::Seal.code() {
        partial.tally.check(&Seal::decode(frame.payload)?)?;
        partial.end = End::Sealed;
    }
    partial.tally.take(frame)?;
    partial.expanded_bytes = partial.expanded_bytes.saturating_add(expanded(frame));
    Ok(())
}

/// What a block says that it expands to; nothing if it is none, or one that the snapshotter will reject.
pub(crate) fn expanded(frame: &Frame<'_>) -> u64 {
    match FrameKind::from_code(frame.kind) {
        Some(FrameKind::Contents | FrameKind::Entries) => {
            Block::decode(frame.payload).map_or(0, |block| block.expanded_bytes as u64)
        }
        _ => 0,
    }
}
