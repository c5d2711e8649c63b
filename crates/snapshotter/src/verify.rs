//! Reads everything again: the log, every manifest, every file, or a share of the files each day. Changes nothing, and could not: that all was well,
//! and how far a cycle has come, is noted by a process apart, and what is lost is mended by others.

pub(crate) mod args;
mod blanks;
pub(crate) mod cycle;
mod defect;
mod folders;
mod inode;
pub(crate) mod log;
mod pace;
pub(crate) mod settings;
mod share;
mod snapshots;
mod tree;

use std::collections::BTreeSet;

use chrono::Utc;
use cli::{Exit, Failed, Run};
use durable::Dir;
use formats::{ContentHash, HostId};
use history::{History, HostHistory, Log, SnapshotName, layout};
use sandbox::{Confinement, Profile, Threads};

use crate::heal::aside;
use crate::heal::foreman::{Foreman, Order};
use crate::list::hosts;
use crate::scribe::{Note, Scribe};
use crate::settings::Settings;
use crate::sign::{Kind, Refused, Signing};
use crate::trouble::Trouble;
use cycle::{Cycle, PartsRead};
use defect::{Defects, What};
use pace::Pace;
use share::Share;
use snapshots::Locking;
use tree::Seen;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) host: Option<&'a HostId>,
    pub(crate) extent: Extent,
    pub(crate) repair: Repair,
}

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Whole,
    /// What is due of a rolling cycle.
    Due,
}

/// Whether anything is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repair {
    Never,
    Asked,
}

/// One verify.
struct Verify<'a> {
    settings: &'a Settings,
    extent: Extent,
    scribe: Scribe,
    signing: Result<Signing, Refused>,
    defects: Defects,
}

/// Something is not noted; why was told.
struct Unnoted;

/// What the reading of one history leads to.
#[derive(Debug, Default)]
struct Found {
    lost: BTreeSet<ContentHash>,
    noted: usize,
    /// Files lie aside.
    is_aside: bool,
}

impl Found {
    /// There is something to mend, or to remove that a killed run left.
    fn is_any(&self) -> bool {
        self.noted > 0 || self.is_aside || !self.lost.is_empty()
    }
}

/// Runs the verb.
pub(crate) fn run(run: &mut Run, settings: &Settings, asked: Asked<'_>) -> Result<Exit, Failed> {
    let dir =
        Dir::open_root(&settings.history).map_err(Trouble::folder("opening the folder of histories"))?;
    let history = History::open(&settings.history).map_err(Trouble::Histories)?;
    let scribe = Scribe::start(settings).map_err(Trouble::stream("starting what writes to the log"))?;
    let mut foreman = match asked.repair {
        Repair::Never => None,
        Repair::Asked => Some(Foreman::start(settings).map_err(Trouble::stream("starting what mends"))?),
    };
    let signing = Signing::start(settings);
    let children =
        [Some(scribe.id()), signing.as_ref().ok().map(Signing::id), foreman.as_ref().map(Foreman::id)];
    confine(settings, &dir, &children)?;
    let mut verify = Verify { settings, extent: asked.extent, scribe, signing, defects: Defects::default() };
    let mut mended = Vec::new();
    run.report().count("read_bytes", 0);
    for host in hosts(&history, asked.host)? {
        let found = match verify.host(run, &history, &host) {
            // One history that cannot be read keeps no other from being read.
            Err(failed) if asked.host.is_none() && failed.exit() != Exit::BUG => {
                run.leave_out(host.as_str().as_bytes(), &failed.chain());
                continue;
            }
            found => found?,
        };
        run.report().count("hosts", 1);
        run.report().count("rotten", (found.lost.len() + found.noted) as u64);
        if let (Some(foreman), true) = (&mut foreman, found.is_any()) {
            mended.push(verify.mend(run, foreman, host.clone(), found.lost)?);
            verify.sign(run, &host);
        }
    }
    verify.scribe.finish();
    if let Some(foreman) = foreman {
        foreman.finish();
        run.report().detail("mended", mended);
    }
    if let Ok(signing) = verify.signing {
        signing.finish();
    }
    verify.defects.end(run)
}

/// What is read here came from hosts, once.
fn confine(settings: &Settings, dir: &Dir, children: &[Option<u32>]) -> Result<(), Trouble> {
    let mut confinement =
        Confinement::new(Profile::Ingest).landlock(settings.landlock()).threads(Threads::More);
    for child in children.iter().flatten() {
        confinement = confinement.child(*child);
    }
    let _in_force = confinement.read_beneath(dir).apply()?;
    Ok(())
}

impl Verify<'_> {
    /// Has one history mended. Nobody holds its locks.
    fn mend(
        &mut self,
        run: &mut Run,
        foreman: &mut Foreman,
        host: HostId,
        lost: BTreeSet<ContentHash>,
    ) -> Result<serde_json::Value, Failed> {
        let lost_count = lost.len();
        let order = Order { host, contents: lost.into_iter().collect() };
        let at = || Trouble::stream("asking what mends");
        let mut answer = foreman.mend(&order).map_err(at())?;
        if answer == Err(Exit::BUSY) {
            // An ingest that takes longer than it was waited for.
            answer = foreman.mend(&order).map_err(at())?;
        }
        let host = order.host;
        let mended = match answer {
            Ok(mended) => mended,
            Err(exit) => {
                let why = format!("could not be mended: the process ended with {exit}");
                run.leave_out(host.as_str().as_bytes(), &why);
                if lost_count > 0 {
                    // What else has these contents must not be removed by a prune that does not know of it.
                    let reason = format!("verify found {lost_count} contents lost, and they {why}");
                    let note = Note::Hold { host: host.clone(), reason };
                    let _told = self.say(
                        run,
                        &host,
                        &note,
                        "it is not on hold, and what else has them may be pruned",
                    );
                }
                return Ok(serde_json::json!({ "host": host.as_str(), "exit": exit.code() }));
            }
        };
        for (content, names, snapshots) in &mended.lost {
            run.line(&format!("{host}: content {content} is lost at {names} names in {snapshots} snapshots"));
        }
        for (content, names) in &mended.healed {
            run.line(&format!("{host}: content {content} is healed, at {names} names"));
        }
        if mended.open > 0 {
            run.line(&format!("{host}: {} contents are wanted from the host", mended.open));
        }
        run.report().count("healed", mended.healed.len() as u64);
        run.report().count("wanted", mended.open);
        let mended =
            serde_json::to_value(mended).map_err(|error| Failed::bug("telling the outcome", error))?;
        Ok(serde_json::json!({ "host": host.as_str(), "exit": 0, "outcome": mended }))
    }

    fn host(&mut self, run: &mut Run, history: &History, host: &HostId) -> Result<Found, Failed> {
        let at = || Trouble::history(host);
        let place = history.host(host).map_err(at())?;
        // Before the log: an ingest may commit at any moment, and its line is there before its working folder goes.
        let present = present(&place)?;
        let mut log = match place.log() {
            Ok(log) => log,
            Err(error) if error.is_damage() => {
                let text = Failed::from(at()(error)).chain();
                self.defects.add(run, What::Record, (host, None), None, &text);
                return Ok(Found::default());
            }
            Err(error) => return Err(at()(error).into()),
        };
        let now = Utc::now();
        let mut cycle = match self.extent {
            Extent::Whole => None,
            Extent::Due => Cycle::of(place.dir(), &log, now, self.settings.verify.cycle_days),
        };
        let days = self.settings.verify.cycle_days;
        let share = cycle.as_ref().map_or(Share::ALL, |cycle| cycle.share(now, days));
        let before = self.defects.counted();
        // Until it is noted: however long this takes, what the note names is there.
        let snapshots = log.snapshots().to_vec();
        let mut locking = Locking::new(&place);
        let newest = snapshots.last();
        let _newest = newest.and_then(|newest| locking.lock(newest).ok());
        // What was redacted until then is in no log of before.
        place.read_on(&mut log).map_err(at())?;
        let pace = Pace::new(self.settings.verify.bytes_per_second);
        let mut seen = Seen::new(share, pace, &log);
        strangers(run, &place, &log, &present, &mut self.defects);
        let there = locking.read(run, &snapshots, &mut log, &mut self.defects, &mut seen)?;
        run.report().count("read_bytes", seen.read_bytes());
        seen.redacted.told(run, host);
        // Before anything is noted: a log that is another than was signed is no log of a history that is well.
        self.sign(run, host);
        let after = self.defects.counted();
        let (well, records) = (after.new == before.new && there.is_all, after.records - before.records);
        match &mut cycle {
            None => {
                if let (true, Some(newest)) = (well, newest) {
                    let _told =
                        self.note(run, host, &there.sequences, newest.name.as_str(), seen.read_bytes());
                }
            }
            Some(cycle) => {
                let (bad, bytes) = (seen.bad(), seen.read_bytes());
                cycle.advance(PartsRead { share, bad, records, bytes });
                run.line(&format!("{host}: {}", cycle.told()));
                let is_over = cycle.ends(now, days);
                let is_well = is_over && well && cycle.is_whole();
                // What could not be noted is noted by the next run, which has nothing left to read.
                let is_done = is_over
                    && (!is_well
                        || self
                            .note(run, host, &there.sequences, cycle.newest(), cycle.read_bytes())
                            .is_ok());
                let note = Note::Cycle(host.clone(), (!is_done).then(|| cycle.clone()));
                let _told = self.say(run, host, &note, "how far it has come is not noted");
            }
        }
        let is_aside = aside::is_any(&place).map_err(Trouble::folder("looking at what lies aside"))?;
        Ok(Found { noted: log.rotten().len(), lost: seen.into_lost(), is_aside })
    }

    fn note(
        &mut self,
        run: &mut Run,
        host: &HostId,
        there: &[u64],
        newest: &str,
        read_bytes: u64,
    ) -> Result<(), Unnoted> {
        let (host, newest) = (host.clone(), newest.to_owned());
        let last = newest.parse::<SnapshotName>().map_or(u64::MAX, |name| name.sequence());
        let snapshots = there.iter().filter(|one| **one <= last).count();
        let note = Note::Verified { host: host.clone(), newest, snapshots: snapshots as u64, read_bytes };
        let noted = self.say(run, &host, &note, "that it is well is not noted in its log");
        self.sign(run, &host);
        noted
    }

    /// Has the log signed. What was signed before must be a line of it.
    fn sign(&mut self, run: &mut Run, host: &HostId) {
        let signed = match &mut self.signing {
            Ok(signing) => signing.log(host),
            Err(refused) => Err(refused.clone()),
        };
        match signed {
            Ok(()) => {}
            Err(Refused { why, kind: Kind::Damage }) => {
                self.defects.add(run, What::Record, (host, None), None, &why);
            }
            Err(Refused { why, kind: Kind::Moment }) => {
                run.leave_out(host.as_str().as_bytes(), &format!("its log is not signed: {why}"));
            }
        }
    }

    fn say(&mut self, run: &mut Run, host: &HostId, note: &Note, otherwise: &str) -> Result<(), Unnoted> {
        self.scribe.note(note).map_err(|why| {
            run.leave_out(host.as_str().as_bytes(), &format!("{otherwise}: {why}"));
            Unnoted
        })
    }
}

/// The snapshots and manifests that lie there; none while an ingest is at work, whose snapshot may be on its way.
fn present(place: &HostHistory) -> Result<BTreeSet<SnapshotName>, Failed> {
    let at = || Trouble::folder(format!("looking at the history of {}", place.host()));
    let folders = place.dir().names().map_err(at())?;
    let files = match place.dir().open_dir(layout::MANIFESTS).and_then(|dir| dir.names()) {
        Err(error) if error.is_not_found() => Vec::new(),
        answer => answer.map_err(at())?,
    };
    if place.dir().open_dir(layout::BUILDING).is_ok() {
        return Ok(BTreeSet::new());
    }
    let folders = folders.iter().filter_map(|name| layout::snapshot_of_folder(name));
    let files = files.iter().filter_map(|name| layout::snapshot_of_manifest(name));
    Ok(folders.chain(files).collect())
}

/// What lies there and is not in the log: the log has lost lines.
fn strangers(
    run: &mut Run,
    place: &HostHistory,
    log: &Log,
    present: &BTreeSet<SnapshotName>,
    defects: &mut Defects,
) {
    for name in present.iter().filter(|name| log.known(name).is_none()) {
        let text = format!("{name} is not in the snapshot log");
        defects.add(run, What::Record, (place.host(), None), None, &text);
    }
}
