//! The hosts as the audit meets them: accounts, records, and which of many are looked at this time.

use std::path::PathBuf;
use std::process::Command;

use chrono::{Datelike, Utc};
use formats::HostId;

use super::attempt::Identity;
use super::command::run;
use crate::account::account;
use crate::host::account_name::account_name;
use crate::host::record::HostRecord;
use crate::ingest;
use crate::settings::Settings;
use crate::trouble::Trouble;

/// So many hosts are tried for real, unless all are asked for; another part of them each day.
pub(super) const SAMPLE: usize = 16;
/// Longest time of a look into the accounts.
const SECONDS_MAX: u64 = 10;

/// One host.
#[derive(Debug, Clone)]
pub(super) struct Host {
    pub(super) id: HostId,
    /// The name its account must have.
    pub(super) account: String,
    /// None if there is no such account.
    pub(super) identity: Option<Identity>,
    pub(super) record: HostRecord,
    pub(super) jail: PathBuf,
    pub(super) history: PathBuf,
}

impl Host {
    /// True if it should push.
    pub(super) fn is_active(&self) -> bool {
        self.record.retired.is_none()
    }
}

/// How many hosts are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    Sample,
    All,
}

/// All hosts, and those that are tried this time.
#[derive(Debug)]
pub(super) struct Hosts {
    pub(super) all: Vec<Host>,
    sample: Vec<usize>,
}

impl Hosts {
    pub(super) fn read(settings: &Settings, extent: Extent) -> Result<Self, Trouble> {
        let all = ingest::hosts(settings)?.into_iter().map(|id| host(settings, id));
        Ok(Self::new(all.collect::<Result<_, _>>()?, extent))
    }

    /// `all` is sorted by id.
    pub(super) fn new(all: Vec<Host>, extent: Extent) -> Self {
        let sample = match extent {
            Extent::All => (0..all.len()).collect(),
            Extent::Sample => sample(all.len(), Utc::now().num_days_from_ce().unsigned_abs() as usize),
        };
        Self { all, sample }
    }

    pub(super) fn get(&self, id: &HostId) -> Option<&Host> {
        let at = self.all.binary_search_by(|host| host.id.cmp(id)).ok()?;
        self.all.get(at)
    }

    pub(super) fn tried(&self) -> impl Iterator<Item = &Host> {
        self.sample.iter().filter_map(|number| self.all.get(*number))
    }

    /// The hosts that `host` is tried against: those after it in the sample.
    pub(super) fn others(&self, host: &Host, most: usize) -> Vec<&Host> {
        let tried: Vec<&Host> = self.tried().collect();
        let at = tried.iter().position(|other| other.id == host.id).unwrap_or(0);
        let rest = tried.iter().cycle().skip(at + 1).take(tried.len().saturating_sub(1));
        rest.take(most).copied().collect()
    }

    pub(super) fn active(&self) -> impl Iterator<Item = &Host> {
        self.all.iter().filter(|host| host.is_active())
    }

    /// How many were tried, in words.
    pub(super) fn extent(&self) -> String {
        match self.sample.len() {
            some if some < self.all.len() => {
                format!("{some} of {} hosts, others on another day; --all tries all", self.all.len())
            }
            all => format!("{all} hosts"),
        }
    }
}

fn host(settings: &Settings, id: HostId) -> Result<Host, Trouble> {
    let account_name = account_name(settings, &id)?;
    Ok(Host {
        identity: identity(&account_name)?,
        record: HostRecord::read(settings, &id)?,
        jail: settings.jails.join(id.as_str()),
        history: settings.history.join(id.as_str()),
        account: account_name,
        id,
    })
}

/// The account as sshd would start a session of it.
pub(super) fn identity(name: &str) -> Result<Option<Identity>, Trouble> {
    let Some(found) = account(name)? else { return Ok(None) };
    let ran = run(Command::new("id").args(["-G", "--", name]), SECONDS_MAX);
    let ran = ran.map_err(Trouble::stream("running id"))?;
    let text = String::from_utf8_lossy(&ran.out);
    let groups: Option<Vec<u32>> = text.split_whitespace().map(|word| word.parse().ok()).collect();
    match groups {
        Some(groups) if ran.code == Some(0) => {
            Ok(Some(Identity { user: found.user, group: found.group, groups }))
        }
        _ => Err(Trouble::Machine { what: format!("id -G {name} gives no answer that can be read") }),
    }
}

/// Numbers of the hosts tried on a day: spread over all, all of them in turn.
fn sample(count: usize, day: usize) -> Vec<usize> {
    if count <= SAMPLE {
        return (0..count).collect();
    }
    let step = count.div_ceil(SAMPLE);
    (0..count).filter(|number| number % step == day % step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_sample_is_bounded_and_every_host_has_its_day() {
        for count in [0usize, 1, 15, 16, 17, 100, 1000] {
            let mut seen = BTreeSet::new();
            for day in 700_000..700_000 + count.div_ceil(SAMPLE).max(1) {
                let today = sample(count, day);
                assert!(today.len() <= SAMPLE && (count == 0 || !today.is_empty()), "{count}");
                seen.extend(today);
            }
            assert_eq!(seen.len(), count);
        }
    }
}
