//! Reads everything again: the log, every manifest, every file. Changes nothing, and could not; that all was well is noted in the log by a process
//! apart.

mod defect;
mod folders;
pub(crate) mod log;
mod tree;

use std::collections::BTreeSet;

use cli::{Amount, Exit, Failed, Monitor, Run, Task};
use durable::Dir;
use formats::HostId;
use history::{History, HostHistory, Log, Snapshot, SnapshotName, layout};
use sandbox::{Confinement, Profile, Threads};

use crate::list::hosts;
use crate::scribe::{Note, Scribe};
use crate::settings::Settings;
use crate::sign::{Kind, Refused, Signing};
use crate::trouble::Trouble;
use defect::{Defects, What};
use tree::Seen;

/// Runs the verb.
pub(crate) fn run(run: &mut Run, settings: &Settings, only: Option<&HostId>) -> Result<Exit, Failed> {
    let dir =
        Dir::open_root(&settings.history).map_err(Trouble::folder("opening the folder of histories"))?;
    let history = History::open(&settings.history).map_err(Trouble::Histories)?;
    let mut scribe = Scribe::start(settings).map_err(Trouble::stream("starting what writes to the log"))?;
    let mut signing = Signing::start(settings);
    let children = [Some(scribe.id()), signing.as_ref().ok().map(Signing::id)];
    confine(settings, &dir, &children)?;
    let mut defects = Defects::default();
    run.report().count("read_bytes", 0);
    for host in hosts(&history, only)? {
        let at = || Trouble::history(&host);
        let place = history.host(&host).map_err(at())?;
        let _reading = place.read_lock().map_err(at())?;
        // No longer than the lock: what is removed after it gives its inode to another file.
        let mut seen = Seen::default();
        // Before the log: an ingest may commit at any moment, and its line is there before its working folder goes.
        let present = present(&place)?;
        match place.log() {
            Ok(log) => {
                let defects_before = defects.count();
                strangers(run, &place, &log, &present, &mut defects);
                verify(run, &place, &log, &mut defects, &mut seen)?;
                // Before anything is noted: a log that is another than was signed is no log of a history that is well.
                let is_signed = sign(run, &mut signing, &host, &mut defects);
                if let (true, Some(newest)) = (defects.count() == defects_before, log.latest()) {
                    let note = Note::Verified {
                        host: host.clone(),
                        newest: newest.name.to_string(),
                        snapshots: log.snapshots().len() as u64,
                        read_bytes: seen.read_bytes(),
                    };
                    if let Err(why) = scribe.note(&note) {
                        let why = format!("that it is well is not noted in its log: {why}");
                        run.leave_out(host.as_str().as_bytes(), &why);
                    } else if is_signed {
                        sign(run, &mut signing, &host, &mut defects);
                    }
                }
            }
            Err(error) if error.is_damage() => {
                defects.add(run, What::Record, &host, None, &Failed::from(at()(error)).chain());
            }
            Err(error) => return Err(at()(error).into()),
        }
        run.report().count("hosts", 1);
        run.report().count("read_bytes", seen.read_bytes());
    }
    scribe.finish();
    if let Ok(signing) = signing {
        signing.finish();
    }
    defects.end(run)
}

/// Has the log signed; false if it is not. What was signed before must be a line of it.
fn sign(run: &mut Run, signing: &mut Result<Signing, Refused>, host: &HostId, defects: &mut Defects) -> bool {
    let signed = match signing {
        Ok(signing) => signing.log(host),
        Err(refused) => Err(refused.clone()),
    };
    let Err(Refused { why, kind }) = signed else { return true };
    match kind {
        Kind::Damage => defects.add(run, What::Record, host, None, &why),
        Kind::Moment => run.leave_out(host.as_str().as_bytes(), &format!("its log is not signed: {why}")),
    }
    false
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

fn verify(
    run: &mut Run,
    place: &HostHistory,
    log: &Log,
    defects: &mut Defects,
    seen: &mut Seen,
) -> Result<(), Failed> {
    let total = log.snapshots().iter().map(|snapshot| snapshot.entries).sum();
    let task = run.console().task(&format!("reading {}", place.host()), Amount::Items(Some(total)));
    for snapshot in log.snapshots() {
        one(run, place, snapshot, defects, seen, &task)?;
        run.report().count("snapshots", 1);
    }
    Ok(())
}

/// One snapshot: its manifest against the log, its tree against its manifest.
fn one(
    run: &mut Run,
    place: &HostHistory,
    snapshot: &Snapshot,
    defects: &mut Defects,
    seen: &mut Seen,
    task: &Task,
) -> Result<(), Failed> {
    let host = place.host();
    let missing =
        |error: &history::Error| matches!(error, history::Error::Folder(error) if error.is_not_found());
    let at = || Trouble::history(host);
    let manifest = match place.open_manifest(snapshot) {
        Ok(manifest) => manifest,
        Err(error) if missing(&error) || error.is_damage() => {
            let text = Failed::from(at()(error)).chain();
            defects.add(run, What::Record, host, Some(snapshot), &text);
            return Ok(());
        }
        Err(error) => return Err(at()(error).into()),
    };
    let tree = match place.tree(snapshot) {
        Ok(tree) => tree,
        Err(error) if missing(&error) => {
            defects.add(run, What::Files, host, Some(snapshot), "its files are missing");
            return Ok(());
        }
        Err(error) => return Err(at()(error).into()),
    };
    let mut found = |what, text: &str| defects.add(run, what, host, Some(snapshot), text);
    tree::compare(manifest, &tree, snapshot, seen, task, &mut found)
        .map_err(|error| error.trouble(format!("reading snapshot {} of {host}", snapshot.name)).into())
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
        defects.add(run, What::Record, place.host(), None, &format!("{name} is not in the snapshot log"));
    }
}
