//! What a log comes to: the verdicts, the base and the alarms; the snapshots are [`super::kept`].

use std::collections::{BTreeMap, HashMap};

use formats::published::Verdict;
use formats::records::log::{Alarm, Event, LogLine, Tripped};
use formats::session::Code;
use formats::{ContentHash, HostId, InstallationId, PushId, Root};

use super::kept::Kept;
use super::reader::RawLine;
use super::redacted::Redactions;
use super::rot::Rotten;
use super::unchanged::UnchangedPush;
use crate::error::{Error, LogDefect, Result};
use crate::snapshot::Snapshot;

/// A verdict that was given, and on what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// The push.
    pub push: PushId,
    /// Who pushed it, where known.
    pub installation: Option<InstallationId>,
    /// Its counter, where known.
    pub counter: Option<u64>,
    /// The verdict.
    pub verdict: Verdict,
}

/// A push that was rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedPush {
    /// Why.
    pub code: Code,
    /// When, by the server's clock.
    pub time: String,
    /// Line of the log that says so.
    pub line: u64,
}

/// An alarm in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RaisedAlarm {
    /// What was seen.
    pub what: Alarm,
    /// In which push.
    pub push: PushId,
    /// When, by the server's clock.
    pub time: String,
    /// Line of the log that says so.
    pub line: u64,
    /// What was measured, if it is one of a tripwire.
    pub tripwire: Option<Box<Tripped>>,
}

/// A whole log, checked.
#[derive(Debug, Clone)]
pub struct Log {
    host: String,
    pub(super) kept: Kept,
    pub(super) unchanged: Vec<UnchangedPush>,
    answered: Vec<Answered>,
    by_push: HashMap<PushId, usize>,
    counters: HashMap<InstallationId, u64>,
    rejected: Option<RejectedPush>,
    judged_last: Option<String>,
    emergencies: Vec<String>,
    alarms: Vec<RaisedAlarm>,
    pub(super) rotten: BTreeMap<ContentHash, Rotten>,
    pub(super) redactions: Redactions,
    newest_line: Option<String>,
    base: Option<Root>,
    head: ContentHash,
    lines: u64,
    bytes: u64,
}

impl Log {
    pub(crate) fn new(host: &HostId) -> Self {
        Self {
            host: host.to_string(),
            kept: Kept::default(),
            unchanged: Vec::new(),
            answered: Vec::new(),
            by_push: HashMap::new(),
            counters: HashMap::new(),
            rejected: None,
            judged_last: None,
            emergencies: Vec::new(),
            alarms: Vec::new(),
            rotten: BTreeMap::new(),
            redactions: Redactions::default(),
            newest_line: None,
            base: None,
            head: LogLine::first_previous(host),
            lines: 0,
            bytes: 0,
        }
    }

    /// Whose log.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The base that hosts are told: the root of the newest snapshot, or none after a reset.
    #[must_use]
    pub fn base(&self) -> Option<Root> {
        self.base
    }

    /// All verdicts, oldest first.
    #[must_use]
    pub fn answered(&self) -> &[Answered] {
        &self.answered
    }

    /// The verdict on this push, if one was given.
    #[must_use]
    pub fn answer(&self, push: PushId) -> Option<&Answered> {
        self.by_push.get(&push).and_then(|place| self.answered.get(*place))
    }

    /// The highest counter accepted from this installation; none if it never pushed.
    #[must_use]
    pub fn counter(&self, installation: InstallationId) -> Option<u64> {
        self.counters.get(&installation).copied()
    }

    /// How many installations have pushed.
    #[must_use]
    pub fn installations(&self) -> usize {
        self.counters.len()
    }

    /// The newest rejection.
    #[must_use]
    pub fn rejected(&self) -> Option<&RejectedPush> {
        self.rejected.as_ref()
    }

    /// When the newest verdict on a push was given, by the server's clock.
    #[must_use]
    pub fn judged_last(&self) -> Option<&str> {
        self.judged_last.as_deref()
    }

    /// When pushes that were admitted as emergencies were judged, oldest first.
    #[must_use]
    pub fn emergencies(&self) -> &[String] {
        &self.emergencies
    }

    /// All alarms, oldest first.
    #[must_use]
    pub fn alarms(&self) -> &[RaisedAlarm] {
        &self.alarms
    }

    /// When the last line was written, by the server's clock.
    #[must_use]
    pub fn written(&self) -> Option<&str> {
        self.newest_line.as_deref()
    }

    /// Hash of the last line: whoever keeps it can prove later that nothing before it was changed.
    #[must_use]
    pub fn log_head(&self) -> ContentHash {
        self.head
    }

    /// Number of lines.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Length of all whole lines.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the next line of the chain.
    pub(crate) fn take(&mut self, raw: &RawLine) -> Result<()> {
        let line = &raw.line;
        self.event(line).map_err(|source| Error::Log { host: self.host.clone(), line: line.line, source })?;
        self.head = raw.hash;
        self.lines = line.line;
        self.newest_line = Some(line.time.clone());
        self.bytes += raw.bytes;
        Ok(())
    }

    fn event(&mut self, line: &LogLine) -> std::result::Result<(), LogDefect> {
        match &line.event {
            Event::Ingest(ingest) => {
                if ingest.sequence != self.next_sequence() {
                    return Err(LogDefect::Ingest("the sequence has a gap"));
                }
                self.kept.add(Snapshot::from_line(line, ingest)?);
                self.base = Some(ingest.root);
                // What was imported was pushed by nobody of the host's.
                if !ingest.imported {
                    self.judged(line, ingest.emergency);
                    self.counted(ingest.installation, ingest.counter);
                }
                let verdict = Verdict::Accepted { root: ingest.root };
                self.answer_with(ingest.push, Some(ingest.installation), Some(ingest.counter), verdict)
            }
            Event::Unchanged(push) => {
                self.unchanged(line, push)?;
                self.judged(line, push.emergency);
                self.counted(push.installation, push.counter);
                let verdict = Verdict::Accepted { root: push.root };
                self.answer_with(push.push, Some(push.installation), Some(push.counter), verdict)
            }
            Event::Reject { push: Some(push), installation, counter, code, emergency, .. } => {
                self.judged(line, *emergency);
                let code = Code::from_number(*code).map_err(|_| LogDefect::Ingest("unknown code"))?;
                self.rejected = Some(RejectedPush { code, time: line.time.clone(), line: line.line });
                self.answer_with(*push, *installation, *counter, Verdict::Rejected { code })
            }
            Event::Reject { push: None, .. } | Event::Restore { .. } => Ok(()),
            Event::Alarm { what, push, tripwire, .. } => {
                let (time, tripwire) = (line.time.clone(), tripwire.clone());
                self.alarms.push(RaisedAlarm { what: *what, push: *push, time, line: line.line, tripwire });
                Ok(())
            }
            Event::Reset { .. } => {
                self.base = None;
                Ok(())
            }
            Event::Rot { .. } | Event::Healed { .. } => {
                self.rot(line);
                Ok(())
            }
            Event::Redact(redaction) => self.redact(line, redaction),
            Event::Hold { .. }
            | Event::Release { .. }
            | Event::Verify { .. }
            | Event::Prune { .. }
            | Event::Grant(_)
            | Event::GrantEnd { .. }
            | Event::Freed { .. } => self.kept.take(line),
        }
    }

    fn judged(&mut self, line: &LogLine, is_emergency: bool) {
        self.judged_last = Some(line.time.clone());
        if is_emergency {
            self.emergencies.push(line.time.clone());
        }
    }

    fn counted(&mut self, installation: InstallationId, counter: u64) {
        let highest = self.counters.entry(installation).or_default();
        *highest = counter.max(*highest);
    }

    fn answer_with(
        &mut self,
        push: PushId,
        installation: Option<InstallationId>,
        counter: Option<u64>,
        verdict: Verdict,
    ) -> std::result::Result<(), LogDefect> {
        if self.by_push.insert(push, self.answered.len()).is_some() {
            return Err(LogDefect::Ingest("a second verdict on one push"));
        }
        self.answered.push(Answered { push, installation, counter, verdict });
        Ok(())
    }
}
