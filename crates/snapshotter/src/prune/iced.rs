//! How much of a history is off-site, by what iceboxer publishes.

use chrono::{DateTime, TimeDelta, Utc};
use formats::HostId;
use formats::records::standing::{Damage, StandingIce, StandingRecord};
use history::Log;

use super::judge::is_future;
use crate::status::time;

/// iceboxer publishes twice a month at least.
const PUBLISHED: TimeDelta = TimeDelta::days(17);

/// The sequence of the newest snapshot up to which every vault has something as new, whole and locked; 0 if that is not known.
pub(crate) fn up_to(standing: Option<&StandingRecord>, host: &HostId, log: &Log, now: DateTime<Utc>) -> u64 {
    let Some(standing) = standing else { return 0 };
    // What was written in the future would be new for too long.
    let is_new =
        time(&standing.written).is_some_and(|written| now - written <= PUBLISHED && !is_future(written, now));
    if !is_new {
        return 0;
    }
    let in_vault = |vault: &String| {
        let mut ices = standing.ices.iter().filter(|ice| ice.host == *host && ice.vault == *vault);
        ices.find_map(|ice| sequence(ice, log, now)).unwrap_or(0)
    };
    standing.vaults.iter().map(in_vault).min().unwrap_or(0)
}

fn sequence(ice: &StandingIce, log: &Log, now: DateTime<Utc>) -> Option<u64> {
    let is_locked = time(&ice.retain_until)? > now && ice.damage == Damage::None;
    let snapshot = log.known(&ice.snapshot.parse().ok()?)?;
    is_locked.then_some(snapshot.sequence)
}
