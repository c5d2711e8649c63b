//! Notes in logs what was only read: that a history was read again and found well, that something was restored. The process that reads cannot
//! write, so another one does, which was started before and reads nothing but logs.

use std::time::Duration;

use chrono::Utc;
use cli::{Exit, Failed};
use durable::Dir;
use formats::HostId;
use formats::records::log::{Event, RestoreOutcome, RestoreWay};
use history::{History, LogAppender, layout};
use sandbox::{Confinement, Profile, Threads};
use serde::{Deserialize, Serialize};

use crate::clerk::{Clerk, serve};
use crate::settings::Settings;
use crate::trouble::Trouble;
use crate::turn;
use crate::verify::cycle::Cycle;

/// The hidden verb.
const VERB: &str = "note";
/// How long it is waited for an ingest: longer than most take, as what is not noted stops the prune.
const VERIFY_PATIENCE: Duration = Duration::from_secs(900);
/// The same after a restore, which somebody waits for.
const RESTORE_PATIENCE: Duration = Duration::from_secs(60);

/// The process that writes, seen from the one that reads.
#[derive(Debug)]
pub(crate) struct Scribe {
    clerk: Clerk,
}

/// What is to be noted.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Note {
    /// All of a history was read again.
    Verified { host: HostId, newest: String, snapshots: u64, read_bytes: u64 },
    /// How far a cycle has come; none that it is over.
    Cycle(HostId, Option<Cycle>),
    /// Nothing of a history is to be removed until a person has looked.
    Hold { host: HostId, reason: String },
    /// A restore begins: if nothing more is heard of it, it was killed.
    Restoring(Restoring),
    /// The restore is over.
    Restored { left_out: u64, outcome: RestoreOutcome },
}

/// What is restored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Restoring {
    pub(crate) host: HostId,
    pub(crate) snapshot: String,
    pub(crate) path: Option<String>,
    pub(crate) way: RestoreWay,
    pub(crate) who: String,
}

/// Whether it was noted.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    trouble: Option<String>,
}

impl Scribe {
    /// Starts it.
    pub(crate) fn start(settings: &Settings) -> std::io::Result<Self> {
        Ok(Self { clerk: Clerk::start(settings, VERB)? })
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.clerk.id()
    }

    /// Has it noted; tells why not, if so.
    pub(crate) fn note(&mut self, note: &Note) -> Result<(), String> {
        match self.clerk.ask(note) {
            Ok(Answer { trouble: None }) => Ok(()),
            Ok(Answer { trouble: Some(trouble) }) => Err(trouble),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Lets it go.
    pub(crate) fn finish(self) {
        self.clerk.finish();
    }
}

/// The process itself.
pub(crate) fn child(settings: &Settings) -> Result<Exit, Failed> {
    let dir =
        Dir::open_root(&settings.history).map_err(Trouble::folder("opening the folder of histories"))?;
    let history = History::open(&settings.history).map_err(Trouble::Histories)?;
    let confinement = Confinement::new(Profile::Ingest).landlock(settings.landlock()).threads(Threads::One);
    let _in_force = confinement.write_files_beneath(&dir).apply().map_err(Trouble::from)?;
    let mut restoring = None;
    let served = serve(|note| {
        let written = match note {
            Note::Verified { host, newest, snapshots, read_bytes } => {
                let event = Event::Verify { newest, snapshots, read_bytes };
                write(&history, &host, event, VERIFY_PATIENCE)
            }
            Note::Cycle(host, cycle) => keep(&history, &host, cycle.as_ref()),
            Note::Hold { host, reason } => hold(&history, &host, reason),
            Note::Restoring(what) => {
                restoring = Some(what);
                Ok(())
            }
            Note::Restored { left_out, outcome } => {
                restoring.take().map_or(Ok(()), |what| restored(&history, what, left_out, outcome))
            }
        };
        Answer { trouble: written.err().map(|trouble| Failed::from(trouble).chain()) }
    });
    if let Some(what) = restoring.take() {
        restored(&history, what, 0, RestoreOutcome::Killed)?;
    }
    served.map(|()| Exit::WHOLE)
}

fn restored(
    history: &History,
    what: Restoring,
    left_out: u64,
    outcome: RestoreOutcome,
) -> Result<(), Trouble> {
    let Restoring { host, snapshot, path, way, who } = what;
    write(history, &host, Event::Restore { snapshot, path, way, who, left_out, outcome }, RESTORE_PATIENCE)
}

/// Writes down, beside the log, how far a cycle has come.
fn keep(history: &History, host: &HostId, cycle: Option<&Cycle>) -> Result<(), Trouble> {
    let at = || Trouble::history(host);
    let place = history.host(host).map_err(at())?;
    let _alone = turn::write_within(&place, VERIFY_PATIENCE)?;
    let doing = || Trouble::folder(format!("noting how far the verify of {host} has come"));
    place.dir().remove_unfinished().map_err(doing())?;
    let text = cycle.map(serde_json::to_vec).transpose();
    let text = text.map_err(|error| Trouble::Machine { what: error.to_string() })?;
    match text {
        Some(text) => place.dir().write_whole(layout::VERIFY, &text, 0o640).map_err(doing()),
        None => match place.dir().unlink(layout::VERIFY) {
            Err(error) if !error.is_not_found() => Err(doing()(error)),
            _ => place.dir().sync().map_err(doing()),
        },
    }
}

fn hold(history: &History, host: &HostId, reason: String) -> Result<(), Trouble> {
    let at = || Trouble::history(host);
    let place = history.host(host).map_err(at())?;
    let alone = turn::write_within(&place, VERIFY_PATIENCE)?;
    let mut log = LogAppender::open(&place, &alone).map_err(at())?;
    if log.log().hold().is_some() {
        return Ok(());
    }
    log.append(Event::Hold { reason, snapshot: None }, Utc::now()).map_err(at())
}

fn write(history: &History, host: &HostId, event: Event, patience: Duration) -> Result<(), Trouble> {
    let at = || Trouble::history(host);
    let place = history.host(host).map_err(at())?;
    let alone = turn::write_within(&place, patience)?;
    let mut log = LogAppender::open(&place, &alone).map_err(at())?;
    log.append(event, Utc::now()).map_err(at())
}
