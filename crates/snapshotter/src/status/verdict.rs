//! Whether a host is late, from what is known about it and a time: nothing here looks at a clock or a disk.

use std::fmt;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use formats::records::standing::Damage;

use super::due::Schedule;
use crate::prune::judge::is_future;

/// How long after its slot a push is still awaited, and how long a sealed push may wait.
pub(crate) const GRACE: TimeDelta = TimeDelta::hours(2);
/// A push that began so shortly before a slot is the push of that slot.
const EARLY: TimeDelta = TimeDelta::minutes(10);
/// A host whose push began longer than that before it was accepted, or after it, is not believed about the time.
const CLOCK: TimeDelta = TimeDelta::days(1);
/// Ice is made on days 1 and 15.
const ICE_DAYS: i64 = 17;
/// A drill is due every half year.
const DRILL_DAYS: i64 = 183;

/// What is known about one host. All times but `Pushed::started` are of clocks that no host sets.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) schedule: Schedule,
    pub(crate) life: Life,
    /// When its jail was made; none if it has no jail.
    pub(crate) added: Option<DateTime<Utc>>,
    /// The newest accepted push.
    pub(crate) pushed: Option<Pushed>,
    /// When its first snapshot was accepted.
    pub(crate) first: Option<DateTime<Utc>>,
    /// The newest rejection, if nothing was accepted since: when, and the words of its code.
    pub(crate) rejected: Option<(DateTime<Utc>, String)>,
    /// Since when a sealed push waits.
    pub(crate) queued: Option<DateTime<Utc>>,
    /// Its ice, vault by vault; none if nothing is published about it.
    pub(crate) ice: Option<Vec<VaultIce>>,
    /// When it was last proved that its ice restores; none if no drill records are read.
    pub(crate) drill: Option<Option<DateTime<Utc>>>,
    /// What could not be read.
    pub(crate) unreadable: Vec<&'static str>,
    /// Whether the budget of its history is used up.
    pub(crate) is_spent: bool,
    /// Contents that its history has lost.
    pub(crate) rotten: usize,
    /// When all of its history was last read again and found well.
    pub(crate) verified: Option<DateTime<Utc>>,
    /// How old that may be for a prune to go on.
    pub(crate) verify_within: TimeDelta,
}

/// Whether anybody pushes under this id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Active,
    Retired,
}

/// An accepted push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pushed {
    /// By the host's clock.
    pub(crate) started: DateTime<Utc>,
    /// By the server's.
    pub(crate) accepted: DateTime<Utc>,
}

/// The newest ice in one vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VaultIce {
    pub(crate) vault: String,
    pub(crate) newest: Option<Ice>,
}

/// One ice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ice {
    pub(crate) stored: DateTime<Utc>,
    pub(crate) retain_until: DateTime<Utc>,
    pub(crate) content: Content,
    pub(crate) damage: Damage,
}

/// Whether an ice holds the newest state of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Newest,
    Older,
}

/// How a host stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The last slot until now, and the next; none if its zone is not known.
    pub(crate) last_due: Option<DateTime<Utc>>,
    pub(crate) next_due: Option<DateTime<Utc>>,
    /// Slots in a row without a push.
    pub(crate) missed: usize,
    /// What is late or missing.
    pub(crate) late: Vec<Late>,
    /// What cannot be told.
    pub(crate) unknown: Vec<&'static str>,
    /// By how many seconds the host's clock seems to be behind, if by more than a day.
    pub(crate) clock_seconds: Option<i64>,
}

/// One thing that is late or missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Late {
    NoPushSince { slot: DateTime<Utc>, missed: usize },
    NeverPushed { added: DateTime<Utc> },
    Rejected { time: DateTime<Utc>, code: String },
    Queued { hours: i64 },
    NoJail,
    Unreadable { what: &'static str },
    NoIce { vault: String },
    OldIce { vault: String, days: i64 },
    NotLocked { vault: String, since: DateTime<Utc> },
    DamagedIce { vault: String },
    NoDrill,
    BudgetSpent,
    Rotten { count: usize },
    NoVerify { days: i64 },
}

impl Late {
    /// The word for machines.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Late::NoPushSince { .. } => "no-push",
            Late::NeverPushed { .. } => "never-pushed",
            Late::Rejected { .. } => "rejected",
            Late::Queued { .. } => "queued",
            Late::NoJail => "no-jail",
            Late::Unreadable { .. } => "unreadable",
            Late::NoIce { .. } => "no-ice",
            Late::OldIce { .. } => "old-ice",
            Late::NotLocked { .. } => "not-locked",
            Late::DamagedIce { .. } => "damaged-ice",
            Late::NoDrill => "no-drill",
            Late::BudgetSpent => "budget-spent",
            Late::Rotten { .. } => "rotten",
            Late::NoVerify { .. } => "no-verify",
        }
    }
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Late::NoPushSince { slot, missed: 1 } => write!(f, "no push since {}", stamp(*slot)),
            Late::NoPushSince { slot, missed } => {
                write!(f, "no push since {}, {missed} slots missed", stamp(*slot))
            }
            Late::NeverPushed { added } => write!(f, "never pushed, added {}", stamp(*added)),
            Late::Rejected { time, code } => write!(f, "push rejected at {}: {code}", stamp(*time)),
            Late::Queued { hours } => write!(f, "queued for {hours} hours"),
            Late::NoJail => f.write_str("no jail: it cannot push"),
            Late::Unreadable { what } => write!(f, "{what} cannot be read"),
            Late::NoIce { vault } => write!(f, "no ice in {vault}"),
            Late::OldIce { vault, days } => {
                write!(f, "ice in {vault} older than {ICE_DAYS} days: {days}")
            }
            Late::NotLocked { vault, since } => {
                write!(f, "ice in {vault} not locked since {}", stamp(*since))
            }
            Late::DamagedIce { vault } => write!(f, "a drill has found damage in the ice in {vault}"),
            Late::NoDrill => f.write_str("no drill within 6 months"),
            Late::Rotten { count } => write!(f, "{count} contents rotten, wanted from the host"),
            Late::NoVerify { days } => {
                write!(f, "no verify has found it well for {days} days, and nothing is pruned")
            }
            Late::BudgetSpent => f.write_str("history budget used up: its pushes are refused"),
        }
    }
}

/// A time as reports have it.
pub(crate) fn stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The verdict at this time. A retired host is never late.
pub(crate) fn judge(now: DateTime<Utc>, facts: &Facts) -> Verdict {
    if facts.life == Life::Retired {
        return Verdict::default();
    }
    let (last_due, next_due) = facts.schedule.around(now);
    let mut verdict = Verdict { last_due, next_due, ..Verdict::default() };
    verdict.late.extend(facts.unreadable.iter().map(|what| Late::Unreadable { what }));
    if facts.is_spent {
        verdict.late.push(Late::BudgetSpent);
    }
    if facts.rotten > 0 {
        verdict.late.push(Late::Rotten { count: facts.rotten });
    }
    verify(now, facts, &mut verdict);
    pushes(now, facts, &mut verdict);
    ice(now, facts, &mut verdict);
    drill(now, facts, &mut verdict);
    verdict
}

/// Also where nobody prunes: what nobody reads may be gone, and nobody knows.
fn verify(now: DateTime<Utc>, facts: &Facts, verdict: &mut Verdict) {
    let Some(first) = facts.first else { return };
    // As a prune has it. A host that is new has as long as the others.
    let verified = facts.verified.filter(|verified| !is_future(*verified, now));
    let age = now - verified.unwrap_or(first);
    if age > facts.verify_within {
        verdict.late.push(Late::NoVerify { days: age.num_days() });
    }
}

fn pushes(now: DateTime<Utc>, facts: &Facts, verdict: &mut Verdict) {
    if facts.added.is_none() {
        verdict.late.push(Late::NoJail);
    }
    let off = facts.pushed.map(|pushed| pushed.accepted - pushed.started);
    verdict.clock_seconds = off.filter(|off| off.abs() > CLOCK).map(|off| off.num_seconds());
    let pushed = facts.pushed.map(|pushed| match verdict.clock_seconds {
        Some(_) => pushed.accepted,
        None => pushed.started,
    });
    // A push that waits has come; that it waits is another matter.
    let seen = pushed.max(facts.queued);
    if let Some(since) = seen.map(|seen| seen + EARLY).or(facts.added) {
        let (slot, missed) = missed(now - GRACE, &facts.schedule, since);
        verdict.missed = missed;
        match (slot, seen) {
            (Some(slot), Some(_)) => verdict.late.push(Late::NoPushSince { slot, missed }),
            (Some(_), None) => verdict.late.push(Late::NeverPushed { added: since }),
            (None, _) => {}
        }
    }
    if facts.pushed.is_some() && !facts.schedule.is_known() {
        verdict.unknown.push("zone");
    }
    if let Some(queued) = facts.queued.filter(|queued| now - *queued > GRACE) {
        verdict.late.push(Late::Queued { hours: (now - queued).num_hours() });
    }
    if let Some((time, code)) = &facts.rejected {
        verdict.late.push(Late::Rejected { time: *time, code: code.clone() });
    }
}

/// The first slot after `since` that has passed, and how many have. Where it is not known when the host's day begins, at least that many: between two
/// slots lies never more than the longest wait.
fn missed(until: DateTime<Utc>, schedule: &Schedule, since: DateTime<Utc>) -> (Option<DateTime<Utc>>, usize) {
    if schedule.is_known() {
        let slots = schedule.slots(since, until);
        return (slots.first().copied(), slots.len());
    }
    let wait = schedule.longest_wait();
    let missed = (until - since).num_seconds().checked_div(wait.num_seconds()).unwrap_or(0);
    match usize::try_from(missed) {
        Ok(missed) if missed > 0 => (Some(since + wait), missed),
        _ => (None, 0),
    }
}

fn ice(now: DateTime<Utc>, facts: &Facts, verdict: &mut Verdict) {
    let Some(first) = facts.first else { return };
    let Some(vaults) = &facts.ice else {
        verdict.unknown.push("ice");
        return;
    };
    for VaultIce { vault, newest } in vaults {
        let vault = vault.clone();
        match newest {
            None if (now - first).num_days() > ICE_DAYS => verdict.late.push(Late::NoIce { vault }),
            None => {}
            Some(ice) if ice.damage == Damage::Found => verdict.late.push(Late::DamagedIce { vault }),
            Some(ice) if ice.retain_until <= now => {
                verdict.late.push(Late::NotLocked { vault, since: ice.retain_until });
            }
            Some(ice) => {
                let days = (now - ice.stored).num_days();
                if days > ICE_DAYS && ice.content == Content::Older {
                    verdict.late.push(Late::OldIce { vault, days });
                }
            }
        }
    }
}

fn drill(now: DateTime<Utc>, facts: &Facts, verdict: &mut Verdict) {
    let Some(first) = facts.first else { return };
    match facts.drill {
        None => verdict.unknown.push("drill"),
        // A host that is new has as long as the others.
        Some(drilled) if (now - drilled.unwrap_or(first)).num_days() > DRILL_DAYS => {
            verdict.late.push(Late::NoDrill);
        }
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests;
