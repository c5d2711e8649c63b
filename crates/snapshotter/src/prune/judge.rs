//! What may go, as a value: from what is known and a time. Nothing here looks at a clock or a disk, and nothing here removes.

use std::collections::HashSet;
use std::fmt;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use formats::Root;
use history::{Log, Rotten, Snapshot, SnapshotName};

use super::settings::PruneSettings;
use crate::retain::{Policy, Rule, retain_log};

/// Two clocks of one machine, read one after the other, differ by less.
const CLOCK_EXACT: TimeDelta = TimeDelta::minutes(5);
/// A plan is made every day, or by hand before and after it waits. If none was made for so long and longer than one waits, nobody was here, or the
/// clock was set forward: that cannot be told.
const CLOCK_GAP: TimeDelta = TimeDelta::days(2);
/// A server is not off for longer without anybody's knowing: a person has to say that the clock is right.
const OUTAGE_DAYS: i64 = 30;

/// All that is known about one history.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) now: DateTime<Utc>,
    pub(crate) log: &'a Log,
    pub(crate) policy: &'a Policy,
    pub(crate) settings: &'a PruneSettings,
    /// How old a plan is before it is carried out.
    pub(crate) wait: TimeDelta,
    /// How many may go.
    pub(crate) cap: u32,
    /// What the newest plan knew; none if there never was one, or somebody has looked at what was odd about it.
    pub(crate) last: Option<Last>,
    /// Snapshots of the log whose folder or manifest is not there.
    pub(crate) missing: &'a [SnapshotName],
    /// What the published state, and pushes that wait or are on their way, build on.
    pub(crate) bases: &'a HashSet<Root>,
    /// Something as new as the snapshot with this sequence is off-site in every vault, or why that cannot be read; none if it is not asked for.
    pub(crate) iced: Option<Result<u64, &'a str>>,
}

/// What the newest plan knew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Last {
    pub(crate) written: DateTime<Utc>,
    /// How many snapshots there were.
    pub(crate) snapshots: u64,
    /// Lines of the log.
    pub(crate) line: u64,
    /// Whether the log still has them, as they were.
    pub(crate) log: SameLog,
}

/// Whether a log goes on where an earlier look at it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SameLog {
    Yes,
    No,
}

/// Which snapshots are asked about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope<'a> {
    /// All but those that a plan which waits names already.
    Plan { open: &'a HashSet<u64> },
    /// Those that plans name which have waited. Some of these were found to be read.
    Execute { planned: &'a HashSet<u64>, read: &'a HashSet<u64> },
}

/// Why nothing at all of a history goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    Held { reason: String },
    ClockBack { behind: String },
    ClockForward { days: i64 },
    Future { name: SnapshotName },
    OtherLog { line: u64 },
    Short { known: u64, found: u64 },
    Missing { name: SnapshotName, count: usize },
    Rotten { count: usize },
    NeverVerified,
    VerifyOverdue { days: i64 },
    Standing { why: String },
}

impl Refusal {
    /// Whether it stays until a person has looked, as nothing else would ever tell it again: the next plan would know no better.
    pub(crate) fn stays(&self) -> bool {
        match self {
            Refusal::OtherLog { .. } | Refusal::Short { .. } => true,
            Refusal::ClockForward { days } => *days > OUTAGE_DAYS,
            _ => false,
        }
    }
}

/// Why one snapshot stays that no rule keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Guard {
    Newest,
    NewestVerified,
    Held {
        reason: String,
    },
    Base,
    NotIced,
    Read,
    Floor,
    Cap,
    /// A plan that waits names it.
    Waits,
    /// No plan that has waited names it.
    NotPlanned,
}

/// What becomes of one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    Kept(Rule),
    Spared(Guard),
    Goes,
}

/// What becomes of each snapshot of the log, oldest first.
pub(crate) fn judge(facts: &Facts<'_>, scope: Scope<'_>) -> Result<Vec<Fate>, Refusal> {
    // Also where nothing could go: what a plan remembers is replaced by the next.
    odd(facts).map_or(Ok(()), Err)?;
    let rules = retain_log(facts.log, facts.policy);
    if rules.iter().any(Option::is_none) {
        unfit(facts).map_or(Ok(()), Err)?;
    }
    let mut left = rules.len();
    let mut going = 0;
    let fates = facts.log.snapshots().iter().zip(rules).map(|(snapshot, rule)| {
        if let Some(rule) = rule {
            return Fate::Kept(rule);
        }
        let guard = guard(facts, scope, snapshot).or_else(|| {
            let is_floor = left <= facts.settings.keep_min as usize;
            let is_cap = || (going >= facts.cap).then_some(Guard::Cap);
            is_floor.then_some(Guard::Floor).or_else(is_cap)
        });
        match guard {
            None => {
                left -= 1;
                going += 1;
                Fate::Goes
            }
            Some(guard) => {
                left -= usize::from(guard == Guard::Waits);
                Fate::Spared(guard)
            }
        }
    });
    Ok(fates.collect())
}

/// Whether anything is odd about the whole history, or about what time it is. First what stays until a person has looked: nothing may hide it.
fn odd(facts: &Facts<'_>) -> Option<Refusal> {
    known(facts).or_else(|| missing(facts)).or_else(|| clock(facts))
}

/// By what the newest plan knew.
fn known(facts: &Facts<'_>) -> Option<Refusal> {
    let last = facts.last?;
    if last.log == SameLog::No {
        return Some(Refusal::OtherLog { line: last.line });
    }
    let pruned = facts.log.pruned().iter().filter(|pruned| pruned.line > last.line).count();
    let found = (facts.log.snapshots().len() + pruned) as u64;
    if found < last.snapshots {
        return Some(Refusal::Short { known: last.snapshots, found });
    }
    // Not by the log: a host may have pushed since, by the same clock.
    let gap = facts.now - last.written;
    (gap > facts.wait + CLOCK_GAP).then(|| Refusal::ClockForward { days: gap.num_days() })
}

fn missing(facts: &Facts<'_>) -> Option<Refusal> {
    let count = facts.missing.len();
    facts.missing.first().map(|name| Refusal::Missing { name: name.clone(), count })
}

fn clock(facts: &Facts<'_>) -> Option<Refusal> {
    let written = facts.log.written().and_then(time);
    let known = facts.last.map(|last| last.written).max(written)?;
    if is_future(known, facts.now) {
        return Some(Refusal::ClockBack { behind: known.to_rfc3339_opts(SecondsFormat::Secs, true) });
    }
    // Whoever released the history since has looked at it.
    let mut unseen = facts.log.accepted_pushes().filter(|push| push.line > facts.log.released_line());
    let is_future = |time| DateTime::from_timestamp(time, 0).is_none_or(|time| is_future(time, facts.now));
    let future = unseen.find(|push| is_future(push.time))?;
    facts.log.snapshots().get(future.place).map(|one| Refusal::Future { name: one.name.clone() })
}

/// More than two looks at one clock can differ.
pub(crate) fn is_future(time: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    time > now + CLOCK_EXACT
}

/// Whether anything else stands before all that no rule keeps.
fn unfit(facts: &Facts<'_>) -> Option<Refusal> {
    if let Some(reason) = facts.log.hold() {
        return Some(Refusal::Held { reason: reason.to_owned() });
    }
    let unread = || match facts.iced {
        Some(Err(why)) => Some(Refusal::Standing { why: why.to_owned() }),
        _ => None,
    };
    rotten(facts).or_else(|| verify(facts)).or_else(unread)
}

/// As long as a verify counts, the host has time to bring what is lost, and a person to look what else has it.
fn rotten(facts: &Facts<'_>) -> Option<Refusal> {
    let is_new = |rotten: &&Rotten| {
        time(&rotten.time).is_none_or(|since| facts.now - since <= facts.settings.verify_within())
    };
    let count = facts.log.rotten().values().filter(is_new).count();
    (count > 0).then_some(Refusal::Rotten { count })
}

fn verify(facts: &Facts<'_>) -> Option<Refusal> {
    // One that was noted while the clock was ahead would count for too long.
    let verified = facts.log.verified().and_then(|verified| time(&verified.time));
    let Some(verified) = verified.filter(|verified| !is_future(*verified, facts.now)) else {
        return Some(Refusal::NeverVerified);
    };
    let age = facts.now - verified;
    (age > facts.settings.verify_within()).then(|| Refusal::VerifyOverdue { days: age.num_days() })
}

/// What stands before one snapshot, whatever becomes of the others.
fn guard(facts: &Facts<'_>, scope: Scope<'_>, snapshot: &Snapshot) -> Option<Guard> {
    let (log, sequence) = (facts.log, snapshot.sequence);
    let is = |other: Option<&Snapshot>| other.is_some_and(|other| other.sequence == sequence);
    if let Scope::Execute { planned, .. } = scope
        && !planned.contains(&sequence)
    {
        return Some(Guard::NotPlanned);
    }
    if is(log.latest()) {
        return Some(Guard::Newest);
    }
    if is(log.newest_verified()) {
        return Some(Guard::NewestVerified);
    }
    if let Some(reason) = log.hold_on(&snapshot.name) {
        return Some(Guard::Held { reason: reason.to_owned() });
    }
    // Of several snapshots with one root a push builds on the newest.
    if facts.bases.contains(&snapshot.root) && is(log.by_root(snapshot.root)) {
        return Some(Guard::Base);
    }
    if facts.iced.is_some_and(|iced| sequence > iced.unwrap_or(0)) {
        return Some(Guard::NotIced);
    }
    match scope {
        Scope::Plan { open } if open.contains(&sequence) => Some(Guard::Waits),
        Scope::Execute { read, .. } if read.contains(&sequence) => Some(Guard::Read),
        _ => None,
    }
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Held { reason } => write!(f, "on hold: {reason}"),
            Refusal::ClockBack { behind } => write!(f, "the clock is behind what was written at {behind}"),
            Refusal::ClockForward { days } => {
                write!(f, "no plan was made for {days} days: nobody was here, or the clock was set forward")
            }
            Refusal::Future { name } => {
                write!(f, "snapshot {name} is of the future: the clock is wrong, or was")
            }
            Refusal::OtherLog { line } => {
                write!(f, "the log is not the one that the last plan was made of, up to line {line}")
            }
            Refusal::Short { known, found } => {
                write!(f, "the list is short: the last plan knew {known} snapshots, and there are {found}")
            }
            Refusal::Missing { name, count } => {
                write!(f, "{count} snapshots of the log are not all there, the first is {name}")
            }
            Refusal::Rotten { count } => {
                write!(f, "{count} contents have rotted and are wanted from the host")
            }
            Refusal::NeverVerified => {
                f.write_str("it was never verified, up to now: run `snapshotter verify`")
            }
            Refusal::VerifyOverdue { days } => {
                write!(f, "it was last verified {days} days ago: run `snapshotter verify`")
            }
            Refusal::Standing { why } => write!(f, "what is off-site cannot be read: {why}"),
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Guard::Newest => "the newest",
            Guard::NewestVerified => "the newest that was verified",
            Guard::Held { reason } => return write!(f, "on hold: {reason}"),
            Guard::Base => "a push may build on it",
            Guard::NotIced => "nothing as new is off-site in every vault",
            Guard::Read => "somebody reads it",
            Guard::Floor => "one of the last that are kept in any case",
            Guard::Cap => "enough for one run",
            Guard::Waits => "a plan that waits names it",
            Guard::NotPlanned => "no plan that has waited names it",
        };
        f.write_str(text)
    }
}

#[cfg(test)]
mod tests;
