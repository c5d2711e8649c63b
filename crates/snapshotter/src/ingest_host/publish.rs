//! What the jail tells its host: made from the log, and written only when it differs.

use std::collections::BTreeSet;
use std::io::Read;

use chrono::DateTime;
use durable::{Dir, Name};
use formats::limits::{EMERGENCIES, PUBLISHED_BYTES, VERDICTS, WANTED};
use formats::published::Published;
use formats::{Admission, ContentHash, HostId};
use history::Log;

use super::charge;
use crate::limits::Allowed;
use crate::trouble::Trouble;

const BASE: Name<'static> = Name::literal("base");

/// The published state as it lies in the jail; none if there is none, or none that can be read: it is made anew from the log.
pub(crate) fn load(state: &Dir, host: &HostId) -> Result<Option<Published>, Trouble> {
    let file = match state.open_read(BASE) {
        Ok(file) => file,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(Trouble::folder(format!("reading the published state of {host}"))(error)),
    };
    let mut bytes = Vec::new();
    let read = file.take(PUBLISHED_BYTES as u64 + 1).read_to_end(&mut bytes);
    read.map_err(Trouble::stream(format!("reading the published state of {host}")))?;
    Ok(Published::decode(&bytes).ok().filter(|published| published.host == *host))
}

/// What should lie there.
pub(crate) fn of_log(log: &Log, host: &HostId, allowed: &Allowed, before: Option<&Published>) -> Published {
    let mut published = Published::new(host.clone(), allowed.limits);
    published.admission = admission(log, &allowed.admission);
    published.base = log.base();
    published.wanted = wanted(log);
    // What was told stays told, in its order, if the log agrees; then comes what the log has since.
    let told: Vec<_> = before.map(|before| before.verdicts.clone()).unwrap_or_default();
    let new = log.answered().iter().rev();
    let new: Vec<_> = new
        .take_while(|answered| !told.iter().any(|judged| judged.push == answered.push))
        .take(VERDICTS)
        .collect();
    for judged in told {
        if log.answer(judged.push).is_some_and(|answered| answered.verdict == judged.verdict) {
            published.judge(judged.push, judged.verdict);
        }
    }
    for answered in new.into_iter().rev() {
        published.judge(answered.push, answered.verdict);
    }
    published
}

/// What the base does not have any more because it was redacted: whoever counts on it has to bring it, and what is brought is new. And what the history
/// has lost: if that is more than can be asked for at once, others each time that something happens: what the host does not have any more must not
/// keep the rest from being asked for.
fn wanted(log: &Log) -> Vec<ContentHash> {
    let redacted = redacted_of_base(log);
    let rotten = log.rotten().keys().filter(|hash| !redacted.contains(hash)).copied().collect();
    let mut wanted = part(redacted.into_iter().collect(), WANTED, log);
    wanted.extend(part(rotten, WANTED - wanted.len(), log));
    wanted.sort_unstable();
    wanted
}

/// Whether the host can still be told at once all that its base lacks because it was redacted, if it is these, too.
pub(crate) fn can_want(log: &Log, more: impl Iterator<Item = ContentHash>) -> bool {
    log.base().is_none()
        || redacted_of_base(log).into_iter().chain(more).collect::<BTreeSet<_>>().len() <= WANTED
}

fn redacted_of_base(log: &Log) -> BTreeSet<ContentHash> {
    let base = log.base().and_then(|root| log.by_root(root)).map(|base| base.sequence);
    let is_of_base = |through: u64| base.is_some_and(|base| base <= through);
    log.redacted().iter().filter(|(_, one)| is_of_base(one.through)).map(|(hash, _)| *hash).collect()
}

/// As many as there is room for, others with each line of the log.
fn part(mut all: Vec<ContentHash>, room: usize, log: &Log) -> Vec<ContentHash> {
    if all.len() > room {
        let start = usize::try_from(log.lines()).unwrap_or(0).saturating_mul(room) % all.len();
        all.rotate_left(start);
    }
    all.truncate(room);
    all
}

/// With what is counted, as far as a limit asks for it: what nobody asks for would make a state of each push.
fn admission(log: &Log, allowed: &Admission) -> Admission {
    let mut admission = allowed.clone();
    if admission.interval_seconds > 0 {
        admission.newest = log.judged_last().and_then(seconds).unwrap_or(0);
    }
    if admission.emergency_pushes > 0 {
        let newest = log.emergencies().iter().rev().take(EMERGENCIES).filter_map(|time| seconds(time));
        admission.emergencies = newest.collect();
        admission.emergencies.reverse();
    }
    if admission.history_bytes < u64::MAX || admission.history_soft_bytes < u64::MAX {
        admission.history_used_bytes = charge::of_log(log);
    }
    admission
}

/// A time of the log.
fn seconds(time: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(time).ok().map(|time| time.timestamp())
}

/// Writes it, if it is not there already.
pub(crate) fn store(state: &Dir, published: &Published, before: Option<&Published>) -> Result<(), Trouble> {
    if before == Some(published) {
        return Ok(());
    }
    let at = format!("publishing the state of {}", published.host);
    let bytes = published.encode().map_err(|error| Trouble::Machine { what: format!("{at}: {error}") })?;
    state.write_whole(BASE, &bytes, 0o640).map_err(Trouble::folder(at))
}
