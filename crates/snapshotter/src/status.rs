//! Tells how each host stands, and what is late or missing.

pub(crate) mod due;
mod facts;
mod health;
mod ice;
mod manners;
mod newest;
mod tell;
mod verdict;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::Utc;
use cli::{Exit, Failed, Monitor, Run};
use formats::HostId;

use crate::host;
use crate::list::open;
use crate::settings::Settings;
use crate::trouble::Trouble;
use facts::{Found, Looking};
use ice::Published;
pub(crate) use ice::time;
use tell::Told;
pub(crate) use verdict::stamp;

/// Most hosts that are looked at side by side.
const WORKERS_MAX: usize = 8;

/// Runs the verb. Ends with 5 if anything is late, with 28 if a log is damaged; the other hosts are told all the same.
pub(crate) fn run(run: &mut Run, settings: &Settings, only: &[HostId]) -> Result<Exit, Failed> {
    let published = Published::read(settings);
    let sizes = if only.is_empty() { facts::Sizes::Skip } else { facts::Sizes::Count };
    let history = open(settings)?;
    let looking = Looking::new(settings, &history, &published, sizes)?;
    let mut hosts: BTreeSet<HostId> = host::known(settings)?;
    hosts.extend(history.hosts().map_err(Trouble::Histories)?);
    if let Some(host) = only.iter().find(|host| !hosts.contains(host)) {
        return Err(Trouble::NoHost { host: host.to_string() }.into());
    }
    hosts.retain(|host| only.is_empty() || only.contains(host));
    let hosts: Vec<HostId> = hosts.into_iter().collect();
    let now = Utc::now();
    let mut told = Vec::new();
    let mut first_trouble: Option<Failed> = None;
    for Found { mut troubles, subject } in all(&looking, &hosts)? {
        for trouble in troubles.drain(..) {
            let failed = Failed::from(trouble);
            run.console().warn(&format!("{}: {}", subject.host, failed.chain()));
            let _ = first_trouble.get_or_insert(failed);
        }
        told.push(Told::new(now, subject));
    }
    told.sort_by_cached_key(Told::rank);
    let mut late = tell::fleet(run, now, &published);
    for host in &told {
        run.line(&host.line(now));
        late += host.late();
    }
    tell::end(run, now, &told, looking.free());
    match first_trouble {
        Some(failed) => Err(failed),
        None if late > 0 => Ok(Exit::OVERDUE),
        None => Ok(Exit::WHOLE),
    }
}

/// Looks at all hosts, on as many processors as there are.
fn all(looking: &Looking<'_>, hosts: &[HostId]) -> Result<Vec<Found>, Failed> {
    let workers = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(WORKERS_MAX));
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        while let Some(host) = hosts.get(next.fetch_add(1, Ordering::Relaxed)) {
            found.push(looking.at(host));
        }
        found
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.join().map_err(|_| Failed::bug("looking at the hosts", "a thread panicked"))?);
        }
        Ok(all)
    })
}
