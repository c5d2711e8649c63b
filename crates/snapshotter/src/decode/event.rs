//! What a decoder says, over a pipe: events of a kind, a length and a payload. Both ends are this program, but the reader trusts nothing.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};

use formats::limits::BLOCK_BYTES;

/// Kind and length.
const HEAD_BYTES: usize = 5;
/// Small events are gathered up to this many bytes.
const GATHER_BYTES: usize = 64 * 1024;

/// One thing a decoder found, in the order of the push file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// The payload of the header frame.
    Header(&'a [u8]),
    /// An expanded block of content records.
    Contents(&'a [u8]),
    /// An expanded block of changes.
    Entries(&'a [u8]),
    /// The client went on after a cut.
    Resume,
    /// The payload of the seal frame; count and hash of the frames are those it names, and the file ends there.
    Seal(&'a [u8]),
    /// The push file is not what it should be; nothing follows.
    Refused(u16),
    /// The decoder itself could not go on; nothing follows.
    Fault,
}

/// The bytes are no event: whatever wrote them is not our decoder any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoEvent;

impl<'a> Event<'a> {
    fn parts(self) -> (u8, &'a [u8], [u8; 2]) {
        match self {
            Event::Header(payload) => (1, payload, [0; 2]),
            Event::Contents(payload) => (2, payload, [0; 2]),
            Event::Entries(payload) => (3, payload, [0; 2]),
            Event::Resume => (4, &[], [0; 2]),
            Event::Seal(payload) => (5, payload, [0; 2]),
            Event::Refused(code) => (6, &[], code.to_le_bytes()),
            Event::Fault => (7, &[], [0; 2]),
        }
    }

    fn from_parts(kind: u8, payload: &'a [u8]) -> Result<Self, NoEvent> {
        match (kind, payload) {
            (1, payload) => Ok(Event::Header(payload)),
            (2, payload) => Ok(Event::Contents(payload)),
            (3, payload) => Ok(Event::Entries(payload)),
            (4, []) => Ok(Event::Resume),
            (5, payload) => Ok(Event::Seal(payload)),
            (6, [low, high]) => Ok(Event::Refused(u16::from_le_bytes([*low, *high]))),
            (7, []) => Ok(Event::Fault),
            _ => Err(NoEvent),
        }
    }
}

/// The decoder's end of the pipe. After an event that was not written whole, nothing more is: it would be heard as the rest of that one.
#[derive(Debug)]
pub(crate) struct EventWriter {
    to: BufWriter<File>,
    is_torn: bool,
}

impl EventWriter {
    /// Writes to `pipe`.
    pub(crate) fn new(pipe: File) -> Self {
        Self { to: BufWriter::with_capacity(GATHER_BYTES, pipe), is_torn: false }
    }

    /// Writes one event.
    pub(crate) fn write(&mut self, event: Event<'_>) -> io::Result<()> {
        let (kind, payload, code) = event.parts();
        let payload = if let Event::Refused(_) = event { &code } else { payload };
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let [a, b, c, d] = length.to_le_bytes();
        if self.is_torn {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let written = self.to.write_all(&[kind, a, b, c, d]).and_then(|()| self.to.write_all(payload));
        self.is_torn = written.is_err();
        written
    }

    /// Nothing stays behind.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// The other end. It holds one event at a time, of at most one block.
#[derive(Debug)]
pub(crate) struct EventReader<R> {
    from: R,
    payload: Vec<u8>,
}

/// What came through the pipe.
#[derive(Debug)]
pub(crate) enum Heard<'a> {
    /// An event.
    Event(Event<'a>),
    /// The pipe is closed, between two events or within one.
    Closed,
    /// Something else.
    Noise,
}

impl<R: Read> EventReader<R> {
    /// Reads from `pipe`.
    pub(crate) fn new(pipe: R) -> Self {
        Self { from: pipe, payload: Vec::new() }
    }

    /// The next event.
    pub(crate) fn next(&mut self) -> io::Result<Heard<'_>> {
        let mut head = [0u8; HEAD_BYTES];
        if !fill(&mut self.from, &mut head)? {
            return Ok(Heard::Closed);
        }
        let [kind, a, b, c, d] = head;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if length > BLOCK_BYTES {
            return Ok(Heard::Noise);
        }
        self.payload.resize(length, 0);
        if !fill(&mut self.from, &mut self.payload)? {
            return Ok(Heard::Closed);
        }
        Ok(Event::from_parts(kind, &self.payload).map_or(Heard::Noise, Heard::Event))
    }
}

/// Fills `buffer`; false if the stream ended first.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn what_is_no_event_is_noise_and_takes_no_memory() {
        let heard = |bytes: &[u8]| match EventReader::new(Cursor::new(bytes.to_vec())).next().unwrap() {
            Heard::Event(_) => "event",
            Heard::Closed => "closed",
            Heard::Noise => "noise",
        };
        assert_eq!(heard(&[4, 0, 0, 0, 0]), "event");
        assert_eq!(heard(&[6, 2, 0, 0, 0, 21, 0]), "event");
        for noise in [&[0, 0, 0, 0, 0][..], &[8, 0, 0, 0, 0], &[4, 1, 0, 0, 0, 0], &[6, 1, 0, 0, 0, 0]] {
            assert_eq!(heard(noise), "noise", "{noise:?}");
        }
        assert_eq!(heard(&[2, 255, 255, 255, 255]), "noise");
        assert_eq!(heard(&[2, 1, 0, 16, 0]), "noise");
        for closed in [&[][..], &[4, 0, 0], &[1, 9, 0, 0, 0, 1, 2]] {
            assert_eq!(heard(closed), "closed", "{closed:?}");
        }
    }
}
