//! From the bytes of a push file to events.

use std::fs::File;
use std::io::{BufReader, Read};

use formats::Version;
use formats::change::Change;
use formats::cursor::{Cursor, malformed as malformed_record};
use formats::frame::{self, Frame};
use formats::limits::FRAME_BYTES;
use formats::push::{self, FrameKind, Header, Record, Seal, Tally, take_head};
use formats::session::Code;

use super::End;
use super::event::{Event, EventWriter};
use super::expand::Expander;

/// How much of the file is read at a time.
const READ_BYTES: usize = 256 * 1024;

/// Reads the whole file and says what is in it. Returns when the seal has been said and the file ends there.
pub(super) fn read(file: File, budget_bytes: u64, events: &mut EventWriter) -> Result<(), End> {
    let mut from = BufReader::with_capacity(READ_BYTES, file);
    let version = begin(&mut from)?;
    let mut tally = Tally::of_version(version);
    let mut expander = Expander::new(budget_bytes);
    let mut bytes = Vec::with_capacity(FRAME_BYTES);
    loop {
        if !next_frame(&mut from, &mut bytes)? {
            return Err(End::Refused(Code::BrokenFrames)); // cut off before its seal
        }
        // The length was checked while it was read, so what is wrong here is the check.
        let frame = frame::decode(&bytes).ok().flatten().ok_or(End::Refused(Code::BrokenFrames))?;
        if frame.kind == FrameKind::Seal.code() {
            let seal = Seal::decode(frame.payload).map_err(malformed)?;
            tally.check(&seal).map_err(|_| End::Refused(Code::BrokenFrames))?;
        }
        let kind = tally.take(&frame).map_err(malformed)?;
        say(kind, &frame, version, &mut expander, events)?;
        if kind == FrameKind::Seal {
            return ended(&mut from);
        }
    }
}

fn begin(from: &mut impl Read) -> Result<Version, End> {
    let mut head = [0u8; push::HEAD_BYTES];
    if !fill(from, &mut head)? {
        return Err(End::Refused(Code::BrokenFrames));
    }
    let version = take_head(&mut Cursor::new(&head)).map_err(|_| End::Refused(Code::MalformedPush))?;
    if push::is_read(version) { Ok(version) } else { Err(End::Refused(Code::MalformedPush)) }
}

/// Reads one frame, whole, into `bytes`; false at the end of the file, also within a frame.
fn next_frame(from: &mut impl Read, bytes: &mut Vec<u8>) -> Result<bool, End> {
    let mut head = [0u8; frame::HEAD_BYTES];
    if !fill(from, &mut head)? {
        return Ok(false);
    }
    let [_, a, b, c, d, ..] = head;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if length > FRAME_BYTES {
        return Err(End::Refused(Code::MalformedPush));
    }
    bytes.clear();
    bytes.extend_from_slice(&head);
    bytes.resize(frame::HEAD_BYTES + length, 0);
    match bytes.get_mut(frame::HEAD_BYTES..) {
        Some(payload) => fill(from, payload),
        None => Ok(false),
    }
}

fn say(
    kind: FrameKind,
    frame: &Frame<'_>,
    version: Version,
    expander: &mut Expander,
    events: &mut EventWriter,
) -> Result<(), End> {
    match kind {
        FrameKind::Header => {
            let header = Header::decode(frame.payload).map_err(malformed)?;
            if header.lender.is_some() && version < push::VERSION {
                return Err(End::Refused(Code::MalformedPush));
            }
            events.write(Event::Header(frame.payload))?;
            // The header alone may settle it: nobody should wait for more.
            events.flush()?;
        }
        FrameKind::Contents => {
            let block = expander.expand(frame.payload).map_err(End::Refused)?;
            check_all(block, |from| match Record::decode(from)? {
                record if record.is_of_version_2() && version < push::VERSION => malformed_record("record"),
                _ => Ok(()),
            })?;
            events.write(Event::Contents(block))?;
        }
        FrameKind::Entries => {
            let block = expander.expand(frame.payload).map_err(End::Refused)?;
            check_all(block, |from| Change::decode(from).map(drop))?;
            events.write(Event::Entries(block))?;
        }
        FrameKind::Resume if frame.payload.is_empty() => events.write(Event::Resume)?,
        FrameKind::Resume => return Err(End::Refused(Code::MalformedPush)),
        FrameKind::Seal => events.write(Event::Seal(frame.payload))?,
    }
    Ok(())
}

/// A block holds whole records, and nothing but them.
fn check_all(
    block: &[u8],
    take: impl Fn(&mut Cursor<'_>) -> Result<(), formats::cursor::Malformed>,
) -> Result<(), End> {
    let mut from = Cursor::new(block);
    while !from.is_empty() {
        take(&mut from).map_err(malformed)?;
    }
    Ok(())
}

fn ended(from: &mut impl Read) -> Result<(), End> {
    match from.read(&mut [0u8; 1])? {
        0 => Ok(()),
        _ => Err(End::Refused(Code::MalformedPush)),
    }
}

fn malformed(_: formats::cursor::Malformed) -> End {
    End::Refused(Code::MalformedPush)
}

fn fill(from: &mut impl Read, buffer: &mut [u8]) -> Result<bool, End> {
    match from.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(_) => Err(End::Fault),
    }
}
