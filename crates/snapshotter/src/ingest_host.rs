//! One push of one host, in a process of its own. It opens the host's three folders, starts the decoder, and confines itself to them; from then on
//! nothing that the host sent can reach another host.

mod base;
mod build;
pub(crate) mod building;
mod changes;
pub(crate) mod charge;
mod commit;
mod contents;
pub(crate) mod copy;
pub(crate) mod crew;
pub(crate) mod fault;
mod groups;
mod hand;
pub(crate) mod holdings;
mod judge;
mod look;
mod moved;
pub(crate) mod outcome;
pub(crate) mod publish;
pub(crate) mod queue;
mod receive;
pub(crate) mod room;
pub(crate) mod shelves;
mod source;
mod sparse;
mod tree;

use std::time::Duration;

use chrono::{DateTime, Utc};
use cli::{Console, Exit, Failed, Monitor, Run};
use durable::{Dir, Name};
use formats::HostId;
use history::{History, HostHistory, LogAppender, Writing};
use sandbox::{Confinement, Profile, Threads};

use crate::args::Budget;
use crate::decoder::Decoder;
use crate::host::record::HostRecord;
use crate::import;
use crate::limits::Allowed;
use crate::settings::Settings;
use crate::tripwire::Wires;
use crate::trouble::Trouble;
use crate::turn;
use crate::views::{self, Views};
use judge::{Desk, Incoming};
use outcome::Outcome;
use queue::{Queue, Sealed};

/// A prune or a hold writes for a moment; another ingest does for longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Descriptors for the folders of a deep tree and its base, as often as a crew has hands, and some to spare.
const OPEN_FILES: u64 = 1024;

/// The folders of one host, held open.
struct Places {
    sealed: Dir,
    state: Dir,
    history: HostHistory,
    /// None if there are to be none; or why they cannot be reached.
    views: durable::Result<Option<Views>>,
}

/// What holds for the push that is judged.
#[derive(Debug, Clone, Copy)]
struct Order<'a> {
    allowed: &'a Allowed,
    wires: &'a Wires,
    /// When the snapshot was made, if it is imported.
    made: Option<DateTime<Utc>>,
}

/// Where the push lies that is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// In the jail: the oldest that waits, if one does.
    Jail,
    /// On standard input: a file that came by other means.
    Input,
    /// On standard input, made of a state of the host that another program kept since then.
    Imported(DateTime<Utc>),
}

impl Source {
    /// Of a state that was kept since so many seconds after 1970.
    pub(crate) fn imported(seconds: i64) -> Result<Self, Trouble> {
        let what = || format!("{seconds} is no time");
        DateTime::from_timestamp(seconds, 0)
            .map(Source::Imported)
            .ok_or_else(|| Trouble::Usage { what: what(), advice: None })
    }

    /// When the snapshot was made, if not now.
    fn made(self) -> Option<DateTime<Utc>> {
        match self {
            Source::Imported(time) => Some(time),
            Source::Jail | Source::Input => None,
        }
    }
}

/// Runs the verb: repairs what an earlier run left, judges at most one push, publishes. The outcome is the last line of standard output.
pub(crate) fn run(run: &mut Run, settings: &Settings, host: &HostId, source: Source) -> Result<Exit, Failed> {
    // Before anything is looked at: what cannot be read lets nobody in.
    let record = HostRecord::read(settings, host)?;
    let (allowed, mut wires) = (settings.allowed(&record.limits), settings.wires(&record.tripwires));
    if record.appliance.is_some() {
        // It cannot delete: only what it did not send anew for long is forgotten, by our own `take`.
        wires.deleted = 0;
    }
    let places = open(settings, host)?;
    let alone = turn::write_within(&places.history, PATIENCE)?;
    let queue = Queue::read(&places.sealed, host)?;
    let next = match source {
        Source::Jail => queue.oldest(&places.sealed, host)?,
        Source::Input | Source::Imported(_) => Some(Sealed::of_input()?),
    };
    let incoming = match next {
        Some(sealed) => {
            let push = sealed.descriptor().map_err(Trouble::stream("sharing the push file"))?;
            let decoder = Decoder::start(push, budget(settings, &allowed))
                .map_err(Trouble::stream("starting the decoder"))?;
            Some(Incoming { sealed, decoder })
        }
        None => None,
    };
    confine(settings, &places, incoming.as_ref())?;
    let order = Order { allowed: &allowed, wires: &wires, made: source.made() };
    let outcome = confined(&order, &places, &alone, &queue, incoming, &run.console())?;
    let line = serde_json::to_string(&outcome).map_err(|error| Failed::bug("telling the outcome", error))?;
    run.line(&line);
    Ok(if outcome.lost.is_some() { Exit::SNAPSHOT_DIFFERS } else { Exit::WHOLE })
}

fn open(settings: &Settings, host: &HostId) -> Result<Places, Trouble> {
    let at = || Trouble::folder(format!("opening the jail of {host}"));
    let jails = Dir::open_root(&settings.jails).map_err(at())?;
    let jail = match jails.open_dir(Name::new(host.as_str().as_bytes()).map_err(at())?) {
        Err(error) if error.is_not_found() => return Err(Trouble::NoHost { host: host.to_string() }),
        answer => answer.map_err(at())?,
    };
    let history = History::open(&settings.history).and_then(|history| history.host_or_new(host));
    Ok(Places {
        sealed: jail.open_beneath(b"spool/sealed").map_err(at())?,
        state: jail.open_beneath(b"state").map_err(at())?,
        history: history.map_err(Trouble::history(host))?,
        views: Views::open(settings, host),
    })
}

fn budget(settings: &Settings, allowed: &Allowed) -> Budget {
    Budget {
        memory_bytes: settings.decoder_memory_bytes,
        cpu_seconds: settings.decoder_cpu_seconds,
        expanded_bytes: allowed.limits.blocks_bytes(),
        without_landlock: settings.landlock() == sandbox::Landlock::IfAvailable,
    }
}

fn confine(settings: &Settings, places: &Places, incoming: Option<&Incoming>) -> Result<(), Trouble> {
    sandbox::limits::limit_core_zero()?;
    sandbox::limits::limit_open_files(OPEN_FILES)?;
    // An allocation beyond it ends this process, and no other host's.
    sandbox::limits::limit_data(settings.ingest_memory_bytes)?;
    let mut confinement = Confinement::new(Profile::Ingest)
        .landlock(settings.landlock())
        .threads(Threads::More)
        .write_beneath(&places.sealed)
        .write_files_beneath(&places.state)
        .write_tree_beneath(places.history.dir());
    if let Ok(Some(views)) = &places.views {
        confinement = confinement.write_links_beneath(views.dir());
    }
    if let Some(incoming) = incoming {
        confinement = confinement.child(incoming.decoder.id());
    }
    let _in_force = confinement.apply()?;
    Ok(())
}

fn confined(
    order: &Order<'_>,
    places: &Places,
    alone: &Writing,
    queue: &Queue,
    incoming: Option<Incoming>,
    console: &Console,
) -> Result<Outcome, Trouble> {
    let host = places.history.host();
    let Places { sealed, state, history, views } = places;
    state.remove_unfinished().map_err(Trouble::folder(format!("tidying the state of {host}")))?;
    let log = LogAppender::open(history, alone).map_err(Trouble::history(host))?;
    building::repair(history, log.log())?;
    let Order { allowed, wires, made } = *order;
    if let Some(time) = made {
        import::may_come(log.log(), host, time)?;
    }
    let mut desk = Desk { host, allowed, wires, sealed, state, history, made, alone, log, gathered: None };
    let lost = desk.settle()?;
    desk.turn_away(&queue.foreign)?;
    let of_jail = incoming.as_ref().is_some_and(|incoming| incoming.sealed.is_of_jail());
    let mut outcome = match incoming {
        Some(incoming) => desk.judge(incoming)?,
        None => Outcome::default(),
    };
    if let Err(failed) = desk.list_holdings() {
        console.warn(&format!("{}; until it is there, all that the host lost is sent again", failed.chain()));
    }
    // After all that anybody waits for.
    outcome.views = views::renew(views, history, desk.log.log(), alone).err();
    outcome.lost = outcome.lost.or(lost);
    let judged = usize::from(outcome.end != outcome::End::Idle && of_jail);
    outcome.waiting = queue.files.len().saturating_sub(judged) as u64;
    Ok(outcome)
}
