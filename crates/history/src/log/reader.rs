//! Reads the log line by line.

use std::io::{BufRead, Read};

use formats::limits::LINE_BYTES;
use formats::records::log::LogLine;
use formats::{ContentHash, HostId};

use super::line;
use crate::error::{Error, LogDefect, Result};

/// A line that follows from the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawLine {
    /// The record.
    pub line: LogLine,
    /// BLAKE3 of its bytes, newline included.
    pub hash: ContentHash,
    /// Its bytes, newline included.
    pub bytes: u64,
}

/// Reads lines and checks each by itself and against the one before. Stops at the first defect, for good. A last line without its
/// newline was never acknowledged and does not count.
#[derive(Debug)]
pub struct LogReader<R> {
    host: String,
    from: R,
    number: u64,
    previous: ContentHash,
    torn_bytes: u64,
    done: bool,
}

impl<R: BufRead> LogReader<R> {
    /// Starts at the first line of the log of `host`.
    pub fn new(host: &HostId, from: R) -> Self {
        let previous = LogLine::first_previous(host);
        Self { host: host.to_string(), from, number: 0, previous, torn_bytes: 0, done: false }
    }

    /// Goes on after line `number`, whose hash is `previous`; `from` stands at its end.
    pub fn after(host: &HostId, from: R, number: u64, previous: ContentHash) -> Self {
        Self { host: host.to_string(), from, number, previous, torn_bytes: 0, done: false }
    }

    /// Bytes after the last newline, known once the iterator has ended.
    pub fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    fn step(&mut self) -> Result<Option<RawLine>> {
        let mut bytes = Vec::new();
        let limit = LINE_BYTES as u64 + 1;
        (&mut self.from).take(limit).read_until(b'\n', &mut bytes).map_err(|source| Error::Stream {
            doing: "read the snapshot log",
            host: self.host.clone(),
            source,
        })?;
        if bytes.len() > LINE_BYTES {
            return Err(self.defect(LogDefect::TooLong));
        }
        if bytes.last() != Some(&b'\n') {
            if !bytes.is_empty() && !line::is_torn(&bytes) {
                return Err(self.defect(LogDefect::Check));
            }
            self.torn_bytes = bytes.len() as u64;
            return Ok(None);
        }
        let line = line::decode(&bytes).map_err(|source| self.defect(source))?;
        if line.line != self.number + 1 {
            return Err(self.defect(LogDefect::Number { found: line.line }));
        }
        if line.previous != self.previous {
            return Err(self.defect(LogDefect::Chain));
        }
        let hash = ContentHash::of(&bytes);
        self.number = line.line;
        self.previous = hash;
        Ok(Some(RawLine { line, hash, bytes: bytes.len() as u64 }))
    }

    fn defect(&self, source: LogDefect) -> Error {
        Error::Log { host: self.host.clone(), line: self.number + 1, source }
    }
}

impl<R: BufRead> Iterator for LogReader<R> {
    type Item = Result<RawLine>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let step = self.step();
        self.done = !matches!(step, Ok(Some(_)));
        step.transpose()
    }
}
