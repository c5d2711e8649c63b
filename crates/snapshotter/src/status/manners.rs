//! How a host keeps to what it may: what it is over, its emergencies, and how its last sessions ended.

use std::io::Read;

use chrono::{DateTime, TimeDelta, Utc};
use durable::{Dir, Name};
use formats::attempt::{self, Attempt, End, FILE_BYTES};
use formats::session::Role;
use history::Log;
use serde_json::{Value, json};

use super::ice::time;
use super::verdict::stamp;
use crate::ingest_host::charge;
use crate::limits::Allowed;

const ATTEMPTS: Name<'static> = Name::literal("attempts");

/// What is known of it.
#[derive(Debug)]
pub(crate) struct Manners {
    /// What it may; none if its record cannot be read.
    pub(crate) allowed: Option<Allowed>,
    /// Its last sessions, oldest first; none if what lies there is no record of them. Its account wrote them.
    pub(crate) attempts: Option<Vec<Attempt>>,
}

/// A thing that is over a limit.
struct Over {
    what: &'static str,
    used: u64,
    limit: u64,
}

/// Reads what a jail remembers of its sessions. Whatever else lies there is none, and is not waited for.
pub(crate) fn attempts(jail: &Dir) -> Option<Vec<Attempt>> {
    let incoming = jail.open_beneath(b"spool/incoming").ok()?;
    // A regular file, or it is refused.
    let file = match incoming.open_read(ATTEMPTS) {
        Err(error) if error.is_not_found() => return Some(Vec::new()),
        file => file.ok()?,
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES as u64).read_to_end(&mut bytes).ok()?;
    Some(attempt::read(&bytes))
}

impl Manners {
    /// Whether the budget of its history is used up: then all its pushes are refused.
    pub(crate) fn is_spent(&self, log: Option<&Log>) -> bool {
        let left =
            log.zip(self.allowed.as_ref()).and_then(|(log, allowed)| charge::left(log, &allowed.admission));
        left == Some(0)
    }

    /// What is over its soft limit.
    fn over(&self, log: &Log, logical_bytes: Option<u64>) -> Vec<Over> {
        let Some(Allowed { admission, .. }) = &self.allowed else { return Vec::new() };
        let entries = log.latest().map_or(0, |newest| newest.entries);
        let found = [
            ("bytes of files", logical_bytes.unwrap_or(0), admission.soft_bytes),
            ("entries", entries, admission.soft_entries),
            ("bytes of history", charge::of_log(log), admission.history_soft_bytes),
        ];
        found
            .into_iter()
            .filter(|(_, used, limit)| used > limit)
            .map(|(what, used, limit)| Over { what, used, limit })
            .collect()
    }

    /// For the line of the host.
    pub(crate) fn parts(
        &self,
        now: DateTime<Utc>,
        log: Option<&Log>,
        logical_bytes: Option<u64>,
    ) -> Vec<String> {
        let mut parts = Vec::new();
        if let Some(log) = log {
            let over = self.over(log, logical_bytes);
            parts.extend(over.iter().map(|Over { what, used, limit }| {
                format!("over its soft limit of {what}: {used} of {limit}")
            }));
            let recent = recent(now, log);
            if let Some(newest) = recent.last() {
                parts.push(format!("{} emergencies in 30 days, the last judged {newest}", recent.len()));
            }
        }
        match self.attempts.as_deref().map(<[Attempt]>::last) {
            None => parts.push("not known: attempts".to_owned()),
            Some(Some(Attempt { end: End::Refused(code), count, last, .. })) => {
                let times = if *count == 1 { "last session" } else { "last sessions" };
                let at = moment(*last).unwrap_or_else(|| "an unknown time".to_owned());
                parts.push(format!("{times} refused, {count} in a row until {at}: {code}"));
            }
            Some(_) => {}
        }
        parts
    }

    /// For the report.
    pub(crate) fn json(&self, now: DateTime<Utc>, log: Option<&Log>, logical_bytes: Option<u64>) -> Value {
        let over = log.map(|log| self.over(log, logical_bytes)).unwrap_or_default();
        let over: Vec<_> = over
            .iter()
            .map(|Over { what, used, limit }| json!({ "what": what, "used": used, "limit": limit }))
            .collect();
        let budget = self
            .allowed
            .as_ref()
            .map(|allowed| allowed.admission.history_bytes)
            .filter(|bytes| *bytes < u64::MAX);
        json!({
            "over": over,
            "history_bytes": budget,
            "history_used_bytes": log.map(charge::of_log),
            "emergencies": log.map(|log| recent(now, log)),
            "attempts": self.attempts.as_ref().map(|attempts| attempts.iter().map(told).collect::<Vec<_>>()),
        })
    }
}

/// When its emergencies of the last 30 days were judged.
fn recent(now: DateTime<Utc>, log: &Log) -> Vec<String> {
    let since = now - TimeDelta::seconds(formats::admission::EMERGENCY_SECONDS);
    log.emergencies().iter().filter(|at| time(at).is_some_and(|at| at > since)).cloned().collect()
}

fn told(attempt: &Attempt) -> Value {
    let (end, code) = match attempt.end {
        End::Talked => ("talked", None),
        End::Sealed => ("sealed", None),
        End::Gone => ("gone", None),
        End::Refused(code) => ("refused", Some(code)),
    };
    json!({
        "end": end,
        "code": code.map(formats::session::Code::number),
        "reason": code.map(formats::session::Code::text),
        "emergency": attempt.role == Role::Emergency,
        "count": attempt.count,
        "first": moment(attempt.first),
        "last": moment(attempt.last),
    })
}

/// Some numbers are no time.
fn moment(seconds: i64) -> Option<String> {
    DateTime::from_timestamp(seconds, 0).map(stamp)
}
