//! The hosts as the audit meets them: accounts, records, and which of many are looked at this time.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;

use chrono::{Datelike, Utc};
use formats::HostId;
use formats::records::audit::{Finding, Verdict};

use super::attempt::Identity;
use super::command::run;
use crate::account::{Account, account, account_of, getent};
use crate::host::account_name::account_name;
use crate::host::known;
use crate::host::record::HostRecord;
use crate::settings::Settings;
use crate::trouble::Trouble;

/// So many hosts are tried for real, unless all are asked for; another part of them each day.
pub(super) const SAMPLE: usize = 16;
/// Names in one command line: far below what Linux takes.
const NAMES_MAX: usize = 1000;
/// Longest time of a look into the accounts.
const SECONDS_MAX: u64 = 10;

/// One host.
#[derive(Debug, Clone)]
pub(super) struct Host {
    pub(super) id: HostId,
    /// The name its account must have.
    pub(super) account: String,
    /// None if there is no such account.
    pub(super) passwd: Option<Account>,
    /// Of those that are tried, the account with all its groups.
    pub(super) identity: Option<Identity>,
    pub(super) record: HostRecord,
    pub(super) jail: PathBuf,
    /// False for a host of which only a record is left, or not more was ever made.
    pub(super) has_jail: bool,
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
    /// Hosts that cannot be looked at, and why.
    unread: Vec<String>,
}

impl Hosts {
    pub(super) fn read(settings: &Settings, extent: Extent) -> Result<Self, Trouble> {
        let (mut all, mut unread) = (Vec::new(), Vec::new());
        for id in known(settings)? {
            match host(settings, id.clone()) {
                Ok(host) => all.push(host),
                Err(error) => unread.push(format!("{id} cannot be looked at: {error}")),
            }
        }
        let mut hosts = Self { unread, ..Self::new(all, extent) };
        let names: Vec<&str> = hosts.all.iter().map(|host| host.account.as_str()).collect();
        let mut accounts = accounts(&names)?;
        hosts.all.iter_mut().for_each(|host| host.passwd = accounts.remove(&host.account));
        for number in &hosts.sample {
            if let Some(host) = hosts.all.get_mut(*number).filter(|host| host.passwd.is_some()) {
                host.identity = identity(&host.account)?;
            }
        }
        Ok(hosts)
    }

    /// `all` is sorted by id.
    pub(super) fn new(all: Vec<Host>, extent: Extent) -> Self {
        let sample = match extent {
            Extent::All => (0..all.len()).collect(),
            Extent::Sample => sample(all.len(), Utc::now().num_days_from_ce().unsigned_abs() as usize),
        };
        Self { all, sample, unread: Vec::new() }
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

    /// Names those of which something is missing, and counts all.
    pub(super) fn count(&self, finding: &mut Finding) {
        let retired = self.all.len() - self.active().count();
        let text = format!("{} hosts are known here, {retired} of them retired", self.all.len());
        finding.add(Verdict::Pass, text);
        self.unread.iter().for_each(|why| finding.add(Verdict::Unknown, why.as_str()));
        for host in self.active() {
            let missing = match (host.has_jail, &host.passwd) {
                (true, Some(_)) => continue,
                (true, None) => format!("account {}", host.account),
                (false, Some(_)) => "jail".to_owned(),
                (false, None) => format!("jail and account {}", host.account),
            };
            let text = format!(
                "{} is a host by its record, and has no {missing}: add it again or retire it",
                host.id
            );
            finding.add(Verdict::Unknown, text);
        }
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
    let jail = settings.jails.join(id.as_str());
    Ok(Host {
        passwd: None,
        identity: None,
        record: HostRecord::read(settings, &id)?,
        has_jail: jail.symlink_metadata().is_ok(),
        jail,
        history: settings.history.join(id.as_str()),
        account: account_name,
        id,
    })
}

/// Those of these accounts that there are, some at a time.
fn accounts(names: &[&str]) -> Result<HashMap<String, Account>, Trouble> {
    let mut found = HashMap::new();
    for some in names.chunks(NAMES_MAX) {
        let text = getent("passwd", some)?;
        found.extend(text.lines().filter_map(account_of).map(|(name, account)| (name.to_owned(), account)));
    }
    Ok(found)
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
    use formats::records::audit::Requirement;
    use std::collections::BTreeSet;

    fn settings(folder: &std::path::Path) -> Settings {
        for name in ["jails/web01", "jails/old", "history", "hosts"] {
            std::fs::create_dir_all(folder.join(name)).unwrap();
        }
        let at = |name: &str| folder.join(name);
        let text = format!(
            "jails = {:?}\nhistory = {:?}\nkeys = {:?}\nhosts = {:?}\nreceiver = \"/r\"\naccount_prefix = \"firn-nobody-\"\n",
            at("jails"),
            at("history"),
            at("keys"),
            at("hosts")
        );
        std::fs::write(at("server.toml"), text).unwrap();
        Settings::load(&at("server.toml")).unwrap()
    }

    #[test]
    fn a_host_of_which_only_a_record_is_left_is_counted_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        let record = |host: &str, text: &str| {
            std::fs::write(folder.path().join(format!("hosts/{host}.toml")), text).unwrap();
        };
        record("db1", "known_as = \"m\"\n");
        record("gone", "retired = \"2026-11-21T10:00:00Z\"\n");
        record("old", "retired = \"2026-11-21T10:00:00Z\"\n");
        let hosts = Hosts::read(&settings, Extent::All).unwrap();
        let ids: Vec<&str> = hosts.all.iter().map(|host| host.id.as_str()).collect();
        assert_eq!(ids, ["db1", "gone", "old", "web01"]);
        let mut finding = Finding::new(Requirement::R1);
        hosts.count(&mut finding);
        let texts: Vec<&str> = finding.evidence.iter().map(|evidence| evidence.text.as_str()).collect();
        let [db1, web01, all] = texts[..] else { panic!("{texts:?}") };
        assert!(db1.starts_with("db1 is a host by its record, and has no jail and account firn-nobody-db1"));
        assert!(web01.contains("has no account firn-nobody-web01"), "{web01}");
        assert_eq!(all, "4 hosts are known here, 2 of them retired");
        assert!(hosts.get(&HostId::parse("gone").unwrap()).is_some_and(|host| !host.has_jail));
    }

    #[test]
    fn accounts_are_looked_up_many_at_once_with_the_homes_of_passwd() {
        let none: Vec<String> = (0..NAMES_MAX).map(|number| format!("firn-none-{number}")).collect();
        let names: Vec<&str> = none.iter().map(String::as_str).chain(["root"]).collect();
        let found = accounts(&names).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found.get("root").map(|root| (root.user, root.home.as_str())), Some((0, "/root")));
        assert!(accounts(&[]).unwrap().is_empty());
    }

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
