//! One history, in a process of its own: it opens the host's folders and confines itself to them. What to do comes on standard input, the outcome is
//! the
//! last line of standard output.
//!
//! The order: every guard and every file is asked; the `redact` line is on the disk, and from then on nothing is taken for these contents, handed out
//! or wanted back; the files lose them; the host is told that its base lacks them. Killed anywhere, the same again goes on.

use std::io::Read;
use std::time::Duration;

use chrono::{DateTime, Utc};
use cli::{Exit, Failed, Run};
use formats::HostId;
use formats::limits::{LINE_BYTES, WANTED};
use formats::records::log::Event;
use formats::records::redaction::Redaction;
use history::{HostHistory, Log, LogAppender, layout};
use sandbox::{Confinement, Profile, Threads};

use super::erase::Eraser;
use super::find;
use super::order::{Erased, Erasure, Extent, Order};
use super::settings::RedactSettings;
use crate::host::record::HostRecord;
use crate::ingest_host::queue::Queue;
use crate::ingest_host::{building, holdings, publish};
use crate::limits::Allowed;
use crate::person;
use crate::prune::bases::Jail;
use crate::prune::judge::is_future;
use crate::prune::trash::Present;
use crate::settings::Settings;
use crate::trouble::Trouble;
use crate::turn;

/// How long it is waited for whoever writes or reads.
const PATIENCE: Duration = Duration::from_secs(900);
/// One is taken by the lock of each snapshot.
const OPEN_FILES: u64 = 65_536;
/// More than any order takes.
const ORDER_BYTES: u64 = 4 * LINE_BYTES as u64;
const NAMES_MAX: usize = 10_000;

/// What is worked with.
struct Desk {
    history: HostHistory,
    jail: Jail,
    allowed: Allowed,
    settings: RedactSettings,
}

/// Runs the verb.
pub(crate) fn run(run: &mut Run, settings: &Settings, host: &HostId) -> Result<Exit, Failed> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(ORDER_BYTES).read_to_end(&mut bytes);
    read.map_err(Trouble::stream("reading what to redact"))?;
    let order: Order =
        serde_json::from_slice(&bytes).map_err(|error| Failed::bug("reading what to redact", error))?;
    let desk = open(settings, host)?;
    confine(settings, &desk)?;
    let line = match order {
        Order::Find(wanted) => {
            let at = || Trouble::history(host);
            let log = desk.history.log().map_err(at())?;
            serde_json::to_string(&find::find(&desk.history, &log, &wanted)?)
        }
        Order::Erase(erasure) => serde_json::to_string(&desk.erase(*erasure)?),
    };
    run.line(&line.map_err(|error| Failed::bug("telling the outcome", error))?);
    Ok(Exit::WHOLE)
}

fn open(settings: &Settings, host: &HostId) -> Result<Desk, Trouble> {
    let allowed = settings.allowed(&HostRecord::read(settings, host)?.limits);
    let history = crate::list::open(settings)?.host(host).map_err(Trouble::history(host))?;
    let jail = Jail::open(settings, host)?;
    Ok(Desk { history, jail, allowed, settings: settings.redact.clone() })
}

fn confine(settings: &Settings, desk: &Desk) -> Result<(), Trouble> {
    sandbox::limits::limit_core_zero()?;
    sandbox::limits::limit_open_files(OPEN_FILES)?;
    sandbox::limits::limit_data(settings.ingest_memory_bytes)?;
    let mut confinement =
        Confinement::new(Profile::Ingest).landlock(settings.landlock()).threads(Threads::One);
    confinement = confinement.write_tree_beneath(desk.history.dir());
    for folder in [&desk.jail.sealed, &desk.jail.incoming].into_iter().flatten() {
        confinement = confinement.read_beneath(folder);
    }
    if let Some(state) = &desk.jail.state {
        confinement = confinement.write_files_beneath(state);
    }
    let _in_force = confinement.apply()?;
    Ok(())
}

impl Desk {
    fn erase(&self, erasure: Erasure) -> Result<Erased, Trouble> {
        let host = self.history.host();
        let at = || Trouble::history(host);
        self.require_two(&erasure)?;
        // Nobody reads: what was read and not yet compared would be zeros that look like rot.
        let (alone, unread) = turn::write_unread_within(&self.history, PATIENCE)?;
        let mut log = LogAppender::open(&self.history, &alone).map_err(at())?;
        self.guard(log.log())?;
        let mut erased = Erased { is_pushing: self.is_pushing()?, ..Erased::default() };
        let known = log.log().clone();
        let eraser = Eraser::survey(&self.history, &known, &erasure.asked.contents)?;
        held(&known, &eraser)?;
        self.require_room(&known, &eraser)?;
        erased.zeros = eraser.zeros();
        if erasure.extent == Extent::OnlyLook {
            (erased.names, erased.snapshots) = (eraser.names, eraser.snapshots().len() as u64);
            return Ok(erased);
        }
        // What a killed ingest left may have it.
        building::repair(&self.history, &known)?;
        if eraser.new_names > 0 {
            let event = Event::Redact(Box::new(line(erasure, &eraser)));
            log.append(event, Utc::now()).map_err(at())?;
            erased.line = Some(log.log().lines());
        }
        let ended = eraser.erase(&mut erased);
        // Also where not all could be erased: the log says that it is gone.
        let told = self.publish(log.log());
        drop((unread, alone));
        ended.and(told).map(|()| erased)
    }

    /// Whoever gives the order has asked this, too; but this is what erases.
    fn require_two(&self, erasure: &Erasure) -> Result<(), Trouble> {
        if !self.settings.enabled {
            let what = "nothing is redacted on this server".to_owned();
            return Err(Trouble::Usage { what, advice: None });
        }
        if self.settings.two_persons {
            person::require_two(&erasure.asked.requested_by, &erasure.approved_by, "redact")?;
        }
        Ok(())
    }

    /// What its base lacks, the host is told at once: if that were more than it can be told, none of its pushes would be whole.
    fn require_room(&self, log: &Log, eraser: &Eraser<'_>) -> Result<(), Trouble> {
        let more = eraser.contents().into_iter().map(|one| one.content);
        if eraser.new_names == 0 || self.jail.state.is_none() || publish::can_want(log, more) {
            return Ok(());
        }
        let host = self.history.host();
        Err(Trouble::Usage {
            what: format!(
                "more than {WANTED} contents would be redacted since the newest snapshot of {host}, and no push could bring so many"
            ),
            advice: Some("delete it on the host, push, and approve again".to_owned()),
        })
    }

    /// What stands before it.
    fn guard(&self, log: &Log) -> Result<(), Trouble> {
        let host = self.history.host();
        let refused = |what: String, advice: String| Err(Trouble::Usage { what, advice: Some(advice) });
        if let Some(reason) = log.hold() {
            return refused(
                format!("{host} is on hold: {reason}"),
                format!("a hold keeps everything: `snapshotter explain {host}`, and release it first"),
            );
        }
        let written = log.written().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        if written.is_some_and(|written| is_future(written.to_utc(), Utc::now())) {
            return refused(
                format!("the clock is behind the log of {host}, and the log would tell a wrong time"),
                "set the clock right".to_owned(),
            );
        }
        if log.grant().is_some() {
            return refused(
                format!("{host} has a grant, and its archive may have what is to go"),
                format!("`snapshotter grant withdraw {host}` takes it back"),
            );
        }
        let looking = || Trouble::folder(format!("looking at the history of {host}"));
        let present = Present::look(&self.history).map_err(looking())?;
        let trash = match self.history.dir().open_dir(layout::TRASH) {
            Err(error) if error.is_not_found() => Vec::new(),
            dir => dir.and_then(|dir| dir.names_at_most(NAMES_MAX)).map_err(looking())?,
        };
        if !present.left(log).is_empty() || !trash.is_empty() {
            return refused(
                format!("pruned snapshots of {host} are not off the disk yet"),
                format!("`snapshotter prune --execute {host}` empties the trash"),
            );
        }
        if let Some(name) = present.missing(log).first() {
            return refused(
                format!("snapshot {name} is not all there"),
                "`snapshotter verify` tells more".to_owned(),
            );
        }
        let queue = self.jail.sealed.as_ref().map(|sealed| Queue::read(sealed, host)).transpose()?;
        if queue.is_some_and(|queue| !queue.files.is_empty()) {
            return refused(
                format!(
                    "a push of {host} waits for its verdict, and may bring what is to go, or build on it"
                ),
                format!("`snapshotter ingest {host}`, then approve again"),
            );
        }
        Ok(())
    }

    /// Whether the host has begun a push.
    fn is_pushing(&self) -> Result<bool, Trouble> {
        let Some(incoming) = &self.jail.incoming else { return Ok(false) };
        let at = Trouble::folder(format!("looking at the pushes of {}", self.history.host()));
        let names = incoming.names_at_most(NAMES_MAX).map_err(at)?;
        Ok(names.iter().any(|name| !matches!(name.as_slice(), b"lock" | b"attempts")))
    }

    /// The host is told what its base lacks now, and what is offered no longer has it.
    fn publish(&self, log: &Log) -> Result<(), Trouble> {
        let Some(state) = &self.jail.state else { return Ok(()) };
        let host = self.history.host();
        let doing = || Trouble::stream(format!("listing the contents of the base of {host}"));
        holdings::remove(state).map_err(doing())?;
        let before = publish::load(state, host)?;
        let published = publish::of_log(log, host, &self.allowed, before.as_ref());
        publish::store(state, &published, before.as_ref())?;
        holdings::publish(state, &self.history, log, None, self.allowed.limits.free_bytes).map_err(doing())
    }
}

fn held(log: &Log, eraser: &Eraser<'_>) -> Result<(), Trouble> {
    for snapshot in eraser.snapshots() {
        if let Some(reason) = log.hold_on(&snapshot.name) {
            return Err(Trouble::Usage {
                what: format!("snapshot {} has it, and is on hold: {reason}", snapshot.name),
                advice: Some("`snapshotter release` ends a hold".to_owned()),
            });
        }
    }
    Ok(())
}

fn line(erasure: Erasure, eraser: &Eraser<'_>) -> Redaction {
    let Erasure { asked, approved_by, ices, ice, .. } = erasure;
    Redaction {
        path: asked.path,
        contents: eraser.contents(),
        names: eraser.names,
        snapshots: eraser.snapshots().len() as u64,
        requested_by: asked.requested_by,
        approved_by,
        reason: asked.reason,
        ices,
        ice,
    }
}
