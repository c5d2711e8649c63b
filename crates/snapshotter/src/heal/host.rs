//! Mends one history, in a process of its own: it opens the host's folders and confines itself to them. Which contents to look at comes on standard
//! input, and is only a hint; the outcome is the last line of standard output.

use std::collections::BTreeSet;
use std::io::Read;
use std::time::Duration;

use cli::{Exit, Failed, Run};
use durable::{Dir, Name};
use formats::limits::WANTED;
use formats::{ContentHash, HostId};
use history::{History, HostHistory, LogAppender};
use sandbox::{Confinement, Profile, Threads};

use super::mend::{Mended, Mender};
use crate::host::record::HostRecord;
use crate::ingest_host::fault::{Fault, Here};
use crate::ingest_host::publish;
use crate::ingest_host::room::Room;
use crate::limits::Allowed;
use crate::settings::Settings;
use crate::trouble::Trouble;
use crate::turn;

/// How long it is waited for an ingest: as long as most take.
const PATIENCE: Duration = Duration::from_secs(900);
const OPEN_FILES: u64 = 1024;
/// Hashes as text, one a line.
const INPUT_BYTES: u64 = (WANTED as u64 + 1) * 65;

/// What is worked with.
struct Desk {
    history: HostHistory,
    /// Of the jail; none for a host without one.
    state: Option<Dir>,
    allowed: Allowed,
}

/// Runs the verb.
pub(crate) fn run(run: &mut Run, settings: &Settings, host: &HostId) -> Result<Exit, Failed> {
    let asked = asked()?;
    let desk = open(settings, host)?;
    confine(settings, &desk)?;
    let mended = desk.mend(asked)?;
    let line = serde_json::to_string(&mended).map_err(|error| Failed::bug("telling the outcome", error))?;
    run.line(&line);
    Ok(Exit::WHOLE)
}

fn asked() -> Result<BTreeSet<ContentHash>, Failed> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(INPUT_BYTES).read_to_string(&mut text);
    read.map_err(Trouble::stream("reading what may be lost"))?;
    let hashes = text.lines().take(WANTED).map(str::parse).collect::<Result<_, _>>();
    hashes.map_err(|error| Failed::bug("reading what may be lost", error))
}

fn open(settings: &Settings, host: &HostId) -> Result<Desk, Trouble> {
    let allowed = settings.allowed(&HostRecord::read(settings, host)?.limits);
    let history = History::open(&settings.history).and_then(|history| history.host(host));
    let history = history.map_err(Trouble::history(host))?;
    let at = || Trouble::folder(format!("opening the jail of {host}"));
    let jails = Dir::open_root(&settings.jails).map_err(at())?;
    let state = match jails.open_dir(Name::new(host.as_str().as_bytes()).map_err(at())?) {
        Err(error) if error.is_not_found() => None,
        jail => Some(jail.and_then(|jail| jail.open_beneath(b"state")).map_err(at())?),
    };
    Ok(Desk { history, state, allowed })
}

fn confine(settings: &Settings, desk: &Desk) -> Result<(), Trouble> {
    sandbox::limits::limit_core_zero()?;
    sandbox::limits::limit_open_files(OPEN_FILES)?;
    sandbox::limits::limit_data(settings.ingest_memory_bytes)?;
    let mut confinement =
        Confinement::new(Profile::Ingest).landlock(settings.landlock()).threads(Threads::One);
    confinement = confinement.write_tree_beneath(desk.history.dir());
    if let Some(state) = &desk.state {
        confinement = confinement.write_files_beneath(state);
    }
    let _in_force = confinement.apply()?;
    Ok(())
}

impl Desk {
    fn mend(&self, asked: BTreeSet<ContentHash>) -> Result<Mended, Trouble> {
        let host = self.history.host();
        let alone = turn::write_within(&self.history, PATIENCE)?;
        let mut log = LogAppender::open(&self.history, &alone).map_err(Trouble::history(host))?;
        let open: Vec<ContentHash> = log.log().rotten().keys().copied().collect();
        let room = Room::new(self.history.dir(), self.allowed.limits.free_bytes);
        let mended = room.and_then(|room| {
            let contents = asked.into_iter().chain(open);
            Mender::new(&self.history, &room, &alone, contents)?.mend(&mut log)
        });
        // Whatever went wrong then: what the log says is wanted.
        let published = self.publish(&log);
        let mended = mended.map_err(|fault| match fault {
            Fault::Here(here) => self.trouble(here),
            Fault::Base(what) => Trouble::Machine { what },
            Fault::Push(code) => Trouble::Machine { what: code.text().to_owned() },
        })?;
        published.map(|()| mended)
    }

    fn publish(&self, log: &LogAppender) -> Result<(), Trouble> {
        let Some(state) = &self.state else { return Ok(()) };
        let host = self.history.host();
        let before = publish::load(state, host)?;
        let published = publish::of_log(log.log(), host, &self.allowed, before.as_ref());
        publish::store(state, &published, before.as_ref())
    }

    fn trouble(&self, here: Here) -> Trouble {
        let host = self.history.host();
        match here {
            Here::Folder(source) => Trouble::folder(format!("mending the history of {host}"))(source),
            here => here.trouble(host, &self.allowed),
        }
    }
}
