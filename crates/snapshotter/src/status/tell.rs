//! The verdicts as lines for people, worst first, and as the report for machines.

use std::cmp::Reverse;

use chrono::{DateTime, Utc};
use cli::{Amount, Run};
use history::{Held, Log};
use serde_json::{Value, json};

use super::facts::Subject;
use super::health::{self, Free, Use};
use super::ice::{Published, time};
use super::verdict::{Late, Life, VaultIce, Verdict, judge, stamp};

/// A host and its verdict.
#[derive(Debug)]
pub(crate) struct Told {
    subject: Subject,
    verdict: Verdict,
}

/// What iceboxer publishes twice a month at least is old after so many days.
const PUBLISHED_DAYS: i64 = 17;

/// Tells what concerns all hosts; how much of it is late.
pub(crate) fn fleet(run: &mut Run, now: DateTime<Utc>, published: &Published) -> usize {
    let (told, late): (&str, Option<String>) = match published {
        Published::Nothing => ("unknown", None),
        Published::Unreadable(why) => {
            ("unreadable", Some(format!("what iceboxer published cannot be read: {why}")))
        }
        Published::Standing(standing) => {
            let days = time(&standing.written).map(|written| (now - written).num_days());
            let is_old = days.is_none_or(|days| days > PUBLISHED_DAYS);
            let late = is_old.then(|| format!("iceboxer published nothing since {}", standing.written));
            (standing.written.as_str(), late)
        }
    };
    if let Some(late) = &late {
        run.line(&format!("LATE     all hosts: {late}"));
    }
    run.report().detail("ice_standing", json!({ "written": told, "late": late }));
    usize::from(late.is_some())
}

/// The summary, and the report.
pub(crate) fn end(run: &mut Run, now: DateTime<Utc>, told: &[Told], free: Free) {
    let count = |is: fn(&Told) -> bool| told.iter().filter(|told| is(told)).count();
    let (late, retired) = (count(|told| told.late() > 0), count(Told::is_retired));
    let unknown = count(|told| !told.verdict.unknown.is_empty());
    let held = count(|told| told.subject.log.as_ref().is_some_and(|log| log.hold().is_some()));
    let mut summary = format!("{} hosts: {late} late, {} in time", told.len(), told.len() - late - retired);
    for (number, what) in
        [(retired, "retired"), (held, "on hold"), (unknown, "of which something is not known")]
    {
        if number > 0 {
            summary.push_str(&format!(", {number} {what}"));
        }
    }
    let a_day = told.iter().map(|told| told.a_day(now)).fold(Use::default(), Use::and);
    for soon in health::soon(free, a_day) {
        run.line(&format!("SOON     all hosts: {soon}"));
    }
    run.report().detail("forecast", health::forecast(free, a_day));
    run.line(&summary);
    for (name, number) in [("hosts", told.len()), ("late", late), ("retired", retired), ("unknown", unknown)]
    {
        run.report().count(name, number as u64);
    }
    let hosts: Vec<Value> = told.iter().map(|told| told.json(now)).collect();
    run.report().detail("now", stamp(now));
    run.report().detail("hosts", hosts);
}

impl Told {
    /// With the verdict at this time.
    pub(crate) fn new(now: DateTime<Utc>, subject: Subject) -> Self {
        let verdict = judge(now, &subject.facts);
        Self { subject, verdict }
    }

    /// How much is late.
    pub(crate) fn late(&self) -> usize {
        self.verdict.late.len()
    }

    /// The worst come first: what missed most slots, then what else is late, then what is held.
    pub(crate) fn rank(&self) -> (Reverse<bool>, Reverse<usize>, Reverse<usize>, Reverse<bool>, String) {
        let held = self.subject.log.as_ref().is_some_and(|log| log.hold().is_some());
        let (missed, late) = (self.verdict.missed, self.late());
        (Reverse(late > 0), Reverse(missed), Reverse(late), Reverse(held), self.subject.host.to_string())
    }

    fn a_day(&self, now: DateTime<Utc>) -> Use {
        let Subject { log, contents, .. } = &self.subject;
        log.as_ref().map(|log| Use::of(now, log, *contents)).unwrap_or_default()
    }

    fn is_retired(&self) -> bool {
        self.subject.facts.life == Life::Retired
    }

    /// One line for people.
    pub(crate) fn line(&self, now: DateTime<Utc>) -> String {
        let Subject { host, facts, log, queued, manners, newest: read, .. } = &self.subject;
        let logical_bytes = read.map(|read| read.logical_bytes);
        let word = match (self.is_retired(), self.late()) {
            (true, _) => "retired",
            (false, 0) => "ok",
            (false, _) => "LATE",
        };
        let mut parts: Vec<String> = self.verdict.late.iter().map(Late::to_string).collect();
        parts.push(match log.as_ref().and_then(|log| Some((log, log.latest()?))) {
            Some((log, newest)) => {
                let unchanged = crate::list::unchanged(log, newest);
                format!("newest {}, {} entries{unchanged}", newest.accepted, newest.entries)
            }
            None => "no snapshot yet".to_owned(),
        });
        parts.extend(logical_bytes.map(|bytes| format!("{} of files", size(bytes))));
        parts.extend(
            log.as_ref()
                .map(|log| format!("{} snapshots of {}", log.snapshots().len(), size(log.content_bytes()))),
        );
        parts.extend(self.verdict.next_due.map(|next| format!("due {}", stamp(next))));
        if *queued > 0 {
            parts.push(format!("{queued} queued"));
        }
        parts.extend(
            newest_ice(facts.ice.as_deref()).map(|stored| format!("ice {} days", (now - stored).num_days())),
        );
        parts.extend(facts.drill.flatten().map(|drill| format!("drill {} days", (now - drill).num_days())));
        parts.extend(manners.parts(now, log.as_ref(), logical_bytes));
        parts.extend(log.iter().flat_map(health::parts));
        parts.extend(log.as_ref().and_then(Log::hold).map(|reason| format!("on hold: {reason}")));
        let held =
            log.as_ref().map_or(0, |log| log.holds().iter().filter(|held| held.snapshot.is_some()).count());
        if held > 0 {
            parts.push(format!("{held} snapshots on hold"));
        }
        parts.extend(
            self.verdict.clock_seconds.map(|off| format!("its clock is off by {} days", off / 86_400)),
        );
        if !self.verdict.unknown.is_empty() {
            parts.push(format!("not known: {}", self.verdict.unknown.join(", ")));
        }
        format!("{word:<8} {host}: {}", parts.join("; "))
    }

    fn json(&self, now: DateTime<Utc>) -> Value {
        let Subject { host, facts, record, log, queued, newest: read, manners, .. } = &self.subject;
        let logical_bytes = read.map(|read| read.logical_bytes);
        let log = log.as_ref();
        let alarms = log.into_iter().flat_map(Log::alarms).map(
            |raised| json!({ "what": raised.what, "push": raised.push.to_string(), "time": raised.time }),
        );
        let late =
            self.verdict.late.iter().map(|late| json!({ "reason": late.word(), "text": late.to_string() }));
        json!({
            "host": host.as_str(),
            "state": if self.is_retired() { "retired" } else { "active" },
            "known_as": record.known_as,
            "hours": facts.schedule.hours().as_slice(),
            "minute": facts.schedule.minute(),
            "zone": log.and_then(Log::newest_push).map(|push| push.zone),
            "last_due": self.verdict.last_due.map(stamp),
            "next_due": self.verdict.next_due.map(stamp),
            "missed": self.verdict.missed,
            "late": late.collect::<Vec<_>>(),
            "unknown": self.verdict.unknown,
            "last_push": self.last_push(),
            "clock_seconds": self.verdict.clock_seconds,
            "newest": log.and_then(|log| Some(crate::list::facts(host, log, log.latest()?))),
            "snapshots": log.map_or(0, |log| log.snapshots().len()),
            "new_bytes": log.map_or(0, Log::content_bytes),
            "logical_bytes": logical_bytes,
            "queued": queued,
            "manners": manners.json(now, log, logical_bytes),
            "ice": facts.ice.as_ref().map(|vaults| vaults.iter().map(ice).collect::<Vec<_>>()),
            "drill": facts.drill.flatten().map(stamp),
            "hold": log.and_then(Log::hold),
            "holds": log.map(|log| log.holds().iter().map(hold).collect::<Vec<_>>()),
            "verified": log.and_then(Log::verified).map(|verified| &verified.time),
            "rotten": log.map_or(0, |log| log.rotten().len()),
            "pruned": log.map_or(0, |log| log.pruned().len()),
            "health": health::json(log, *read, manners.allowed.as_ref(), (now, self.a_day(now))),
            "alarms": alarms.collect::<Vec<_>>(),
            "base": log.and_then(Log::base).map(|root| root.to_string()),
            "log_head": log.map(|log| log.log_head().to_string()),
        })
    }

    /// What was last heard of it, whatever came of it.
    fn last_push(&self) -> Option<Value> {
        let facts = &self.subject.facts;
        let accepted = facts.pushed.map(|pushed| (pushed.accepted, "accepted"));
        let rejected = facts.rejected.as_ref().map(|(time, _)| (*time, "rejected"));
        let queued = facts.queued.map(|queued| (queued, "queued"));
        let (time, what) = accepted.max(rejected).max(queued)?;
        Some(json!({ "time": stamp(time), "end": what }))
    }
}

fn ice(vault: &VaultIce) -> Value {
    json!({
        "vault": vault.vault,
        "stored": vault.newest.map(|ice| stamp(ice.stored)),
        "retain_until": vault.newest.map(|ice| stamp(ice.retain_until)),
    })
}

fn hold(held: &Held) -> Value {
    json!({ "snapshot": held.snapshot, "reason": held.reason, "since": held.time })
}

fn newest_ice(vaults: Option<&[VaultIce]>) -> Option<DateTime<Utc>> {
    vaults?.iter().filter_map(|vault| vault.newest).map(|ice| ice.stored).max()
}

fn size(bytes: u64) -> String {
    Amount::Bytes(None).describe(bytes)
}
