//! Gathers what is known about one host.

use std::os::unix::fs::FileExt;

use chrono::{DateTime, Utc};
use durable::{Dir, Name};
use formats::HostId;
use formats::attempt::Attempt;
use formats::holdings::Head;
use history::{AcceptedPush, History, Log};

use super::due::Schedule;
use super::health::Free;
use super::ice::{Published, time};
use super::manners::{Manners, attempts};
use super::newest::Newest;
use super::verdict::{Facts, Life, Pushed};
use crate::host::record::HostRecord;
use crate::ingest_host::queue::Queue;
use crate::limits::{Allowed, TypedLimits};
use crate::settings::Settings;
use crate::trouble::Trouble;

const HOLDINGS: Name<'static> = Name::literal("holdings");

/// Whether the newest manifest is read, for what only that tells. It takes long for many hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sizes {
    Count,
    Skip,
}

/// All that is looked at.
#[derive(Debug)]
pub(crate) struct Looking<'a> {
    settings: &'a Settings,
    history: &'a History,
    published: &'a Published,
    sizes: Sizes,
    jails: Dir,
}

/// One host, and what could not be read of it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) troubles: Vec<Trouble>,
    pub(crate) subject: Subject,
}

/// What is known about one host, for the verdict and for the report.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) host: HostId,
    pub(crate) facts: Facts,
    pub(crate) record: HostRecord,
    pub(crate) log: Option<Log>,
    pub(crate) queued: usize,
    /// None unless its newest manifest is read.
    pub(crate) newest: Option<Newest>,
    pub(crate) manners: Manners,
    /// Different contents of its base, as its jail was told.
    pub(crate) contents: Option<u64>,
}

/// What waits in a jail.
#[derive(Debug, Default)]
struct Jail {
    added: Option<DateTime<Utc>>,
    queued: usize,
    since: Option<DateTime<Utc>>,
    attempts: Option<Vec<Attempt>>,
    contents: Option<u64>,
}

impl<'a> Looking<'a> {
    /// Opens the jails.
    pub(crate) fn new(
        settings: &'a Settings,
        history: &'a History,
        published: &'a Published,
        sizes: Sizes,
    ) -> Result<Self, Trouble> {
        let jails = Dir::open_root(&settings.jails).map_err(Trouble::folder("opening the jails"))?;
        Ok(Self { settings, history, published, sizes, jails })
    }

    /// What the file system of the history still has for pushes.
    pub(crate) fn free(&self) -> Free {
        let Ok(dir) = Dir::open_root(&self.settings.history) else { return Free::default() };
        let Allowed { limits, free_inodes, .. } = self.settings.allowed(&TypedLimits::default());
        let left = |free: u64, kept: u64| free.saturating_sub(kept);
        Free {
            bytes: dir.free_bytes().ok().map(|free| left(free, limits.free_bytes)),
            inodes: dir.free_inodes().ok().flatten().map(|free| left(free, free_inodes)),
        }
    }

    /// Looks at one host. What cannot be read is named, and the rest is told all the same.
    pub(crate) fn at(&self, host: &HostId) -> Found {
        let mut troubles = Vec::new();
        let mut unreadable = Vec::new();
        let mut note = |what: &'static str, trouble: Trouble| {
            unreadable.push(what);
            troubles.push(trouble);
        };
        let record = HostRecord::read(self.settings, host).map_err(|trouble| note("its record", trouble));
        let allowed = record.as_ref().ok().map(|record| self.settings.allowed(&record.limits));
        let record = record.unwrap_or_default();
        let (log, newest) = self.log(host).unwrap_or_else(|trouble| {
            note("its history", trouble);
            (None, None)
        });
        let jail = self.jail(host).unwrap_or_else(|trouble| {
            note("its jail", trouble);
            // It is there, since nobody knows when.
            Jail { added: Some(DateTime::UNIX_EPOCH), ..Jail::default() }
        });
        let manners = Manners { allowed, attempts: jail.attempts.clone() };
        let is_spent = manners.is_spent(log.as_ref());
        let facts = Facts { is_spent, ..self.facts(host, &record, log.as_ref(), &jail, unreadable) };
        Found {
            troubles,
            subject: Subject {
                host: host.clone(),
                facts,
                record,
                log,
                queued: jail.queued,
                newest,
                manners,
                contents: jail.contents,
            },
        }
    }

    fn facts(
        &self,
        host: &HostId,
        record: &HostRecord,
        log: Option<&Log>,
        jail: &Jail,
        unreadable: Vec<&'static str>,
    ) -> Facts {
        let newest = log.and_then(Log::newest_push);
        let zone = newest.map(|newest| newest.zone);
        let after = newest.map_or(0, |newest| newest.line);
        let rejected = log.and_then(Log::rejected).filter(|rejected| rejected.line > after);
        Facts {
            schedule: Schedule::new(host, record.due(self.settings), zone),
            life: if record.retired.is_some() { Life::Retired } else { Life::Active },
            // Without a history that can be read, it is not the push that is missing.
            added: jail.added,
            pushed: newest.and_then(pushed),
            first: log.and_then(|log| log.snapshots().first()).and_then(|first| time(&first.accepted)),
            rejected: rejected
                .and_then(|rejected| Some((time(&rejected.time)?, rejected.code.text().to_owned()))),
            queued: jail.since,
            ice: self.published.ice(host, log),
            drill: self.published.drill(host),
            unreadable,
            is_spent: false,
            rotten: log.map_or(0, |log| log.rotten().len()),
            verified: log.and_then(Log::verified).and_then(|verified| time(&verified.time)),
            verify_within: self.settings.prune.verify_within(),
        }
    }

    fn log(&self, host: &HostId) -> Result<(Option<Log>, Option<Newest>), Trouble> {
        let place = match self.history.host(host) {
            Err(history::Error::NoHost { .. }) => return Ok((None, None)),
            place => place.map_err(Trouble::history(host))?,
        };
        let log = place.log().map_err(Trouble::history(host))?;
        let newest = match (self.sizes, log.latest()) {
            (Sizes::Count, Some(newest)) => {
                Some(Newest::read(&place, newest).map_err(Trouble::history(host))?)
            }
            _ => None,
        };
        Ok((Some(log), newest))
    }

    fn jail(&self, host: &HostId) -> Result<Jail, Trouble> {
        let at = || Trouble::folder(format!("looking at the jail of {host}"));
        let name = Name::new(host.as_str().as_bytes()).map_err(at())?;
        let jail = match self.jails.open_dir(name) {
            Err(error) if error.is_not_found() => {
                return Ok(Jail { attempts: Some(Vec::new()), ..Jail::default() });
            }
            jail => jail.map_err(at())?,
        };
        // Nothing is added to a jail once it is made.
        let added = DateTime::from_timestamp(self.jails.stat(name).map_err(at())?.mtime_seconds, 0);
        let sealed = jail.open_beneath(b"spool/sealed").map_err(at())?;
        let files = Queue::read(&sealed, host)?.files;
        let since = match files.first() {
            // When it was renamed: a time that its owner cannot set.
            Some(oldest) => match sealed.stat(Name::new(oldest).map_err(at())?) {
                Ok(stat) => DateTime::from_timestamp(stat.ctime_seconds, 0),
                Err(error) if error.is_not_found() => None,
                Err(error) => return Err(at()(error)),
            },
            None => None,
        };
        let added = added.or(Some(DateTime::UNIX_EPOCH));
        Ok(Jail { added, queued: files.len(), since, attempts: attempts(&jail), contents: contents(&jail) })
    }
}

/// How many different contents the base has, by the list that its jail has of them.
fn contents(jail: &Dir) -> Option<u64> {
    let file = jail.open_beneath(b"state").ok()?.open_read(HOLDINGS).ok()?;
    let bytes = file.metadata().ok()?.len();
    Head::read(bytes, |buffer, offset| file.read_exact_at(buffer, offset)).map(|head| head.count)
}

fn pushed(newest: AcceptedPush<'_>) -> Option<Pushed> {
    let accepted = time(newest.accepted)?;
    // A time that no calendar has is as wrong as one of another century.
    let started = DateTime::from_timestamp(newest.started, 0).unwrap_or(DateTime::UNIX_EPOCH);
    Some(Pushed { started, accepted })
}
