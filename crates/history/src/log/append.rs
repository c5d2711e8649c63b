//! Adds to the log: the one write that makes a snapshot exist.

use std::fs::File;
use std::io::BufReader;
use std::os::unix::fs::FileExt;

use chrono::{DateTime, SecondsFormat, Utc};
use formats::ContentHash;
use formats::records::log::{Event, LogLine};

use super::line;
use super::reader::{LogReader, RawLine};
use super::state::Log;
use crate::error::{Error, Result};
use crate::host::{HostHistory, Writing};
use crate::layout::LOG;

/// The log, checked and open for adding to. Every line is on the disk when [`LogAppender::append`] returns.
#[derive(Debug)]
pub struct LogAppender {
    file: File,
    log: Log,
    poisoned: bool,
}

impl LogAppender {
    /// Reads and checks the whole log, cuts off a last line without its newline, and makes an empty log where there is none. Any other
    /// defect is an error, and nothing is changed. All that was read is on the disk then: who wrote it may have been killed before it was, and
    /// what is acted on must not be gone after a power cut.
    pub fn open(host: &HostHistory, _alone: &Writing) -> Result<Self> {
        let file = match host.dir().open_read_write(LOG) {
            Err(error) if error.is_not_found() => host.dir().create_new(LOG, 0o640)?,
            answer => answer?,
        };
        let mut log = Log::new(host.host());
        let mut reader = LogReader::new(host.host(), BufReader::new(&file));
        for raw in &mut reader {
            log.take(&raw?)?;
        }
        if reader.torn_bytes() > 0 {
            file.set_len(log.bytes())
                .map_err(|source| stream("cut the torn end off the log", host, source))?;
        }
        file.sync_all().map_err(|source| stream("bring the snapshot log to the disk", host, source))?;
        host.dir().sync()?;
        Ok(Self { file, log, poisoned: false })
    }

    /// What the log comes to so far.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Adds one line and brings it to the disk. After an error nothing more can be added: what the file holds is found out by opening it
    /// again.
    pub fn append(&mut self, event: Event, now: DateTime<Utc>) -> Result<()> {
        self.append_all([event], now)
    }

    /// As [`LogAppender::append`], one line for each event, in one write and one sync. Killed in between, or out of room, the first few of
    /// them are there.
    pub fn append_all(&mut self, events: impl IntoIterator<Item = Event>, now: DateTime<Utc>) -> Result<()> {
        if self.poisoned {
            return Err(Error::Poisoned);
        }
        // Poisoned until all is well. Each line is checked before it is written: one that could not be read again must never get there.
        self.poisoned = true;
        let place = self.log.bytes();
        let mut lines = Vec::new();
        for event in events {
            let line = LogLine {
                format: LogLine::format_for(&event),
                line: self.log.lines() + 1,
                previous: self.log.log_head(),
                time: now.to_rfc3339_opts(SecondsFormat::Secs, true),
                event,
            };
            let bytes = line::encode(&line)?;
            self.log.take(&RawLine { line, hash: ContentHash::of(&bytes), bytes: bytes.len() as u64 })?;
            lines.extend(bytes);
        }
        let written = self.file.write_all_at(&lines, place).and_then(|()| self.file.sync_all());
        written.map_err(|source| {
            let host = self.log.host().to_owned();
            Error::Stream { doing: "add to the snapshot log", host, source }
        })?;
        self.poisoned = false;
        Ok(())
    }
}

fn stream(doing: &'static str, host: &HostHistory, source: std::io::Error) -> Error {
    Error::Stream { doing, host: host.host().to_string(), source }
}
