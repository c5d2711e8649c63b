//! One line of the log as bytes: the record, and a check over it at its end.
//!
//! The chain proves a line only once the next one is there. The check proves the last one too, so that no single damaged byte goes unseen.

use formats::ContentHash;
use formats::limits::LINE_BYTES;
use formats::records::log::LogLine;
use formats::records::{Record, RecordError};

use crate::error::LogDefect;

const CHECK: &[u8] = b",\"check\":\"";
const END: &[u8] = b"\"}\n";
const HEX: usize = 64;

/// The record as a line, check and newline included.
pub(super) fn encode(line: &LogLine) -> Result<Vec<u8>, RecordError> {
    let mut bytes = line.to_line()?;
    bytes.truncate(bytes.len().saturating_sub(2)); // the brace and the newline come back below
    let check = ContentHash::of(&bytes);
    bytes.extend_from_slice(CHECK);
    bytes.extend_from_slice(check.to_string().as_bytes());
    bytes.extend_from_slice(END);
    if bytes.len() > LINE_BYTES {
        Err(RecordError::TooLong { name: LogLine::NAME, longest: LINE_BYTES })
    } else {
        Ok(bytes)
    }
}

/// Reads a whole line, newline included.
pub(super) fn decode(bytes: &[u8]) -> Result<LogLine, LogDefect> {
    if !is_checked(bytes) {
        return Err(LogDefect::Check);
    }
    Ok(LogLine::from_line(bytes)?)
}

/// What is left after the last newline was torn off by a crash, unless it holds a whole line: then it is not torn, but damaged.
pub(super) fn is_torn(tail: &[u8]) -> bool {
    let Some(whole) = tail.len().checked_sub(1).and_then(|end| tail.get(..end)) else { return true };
    let mut line = whole.to_vec();
    line.push(b'\n');
    !is_checked(&line)
}

fn is_checked(bytes: &[u8]) -> bool {
    let Some(rest) = bytes.strip_suffix(END) else { return false };
    let Some((rest, hex)) = rest.split_last_chunk::<HEX>() else { return false };
    let Some(body) = rest.strip_suffix(CHECK) else { return false };
    ContentHash::of(body).to_string().as_bytes() == hex
}
