//! The snapshots of one history, one after the other: each is locked while it is read.

use std::time::Duration;

use cli::{Amount, Failed, Monitor, Run, Task};
use history::{Grown, HostHistory, Log, Reading, Snapshot};

use super::defect::{Defects, What};
use super::tree::{self, Seen};
use crate::trouble::Trouble;

/// What a snapshot that is locked alone is waited for; and each further one, for whoever locks one for long may lock all.
const PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_LEFT: Duration = Duration::from_secs(1);

/// What came of those that there were.
#[derive(Debug)]
pub(super) struct There {
    /// What was read, by sequence.
    pub(super) sequences: Vec<u64>,
    /// None was left out because somebody keeps readers from it.
    pub(super) is_all: bool,
}

/// Takes the locks.
#[derive(Debug)]
pub(super) struct Locking<'a> {
    place: &'a HostHistory,
    patience: Duration,
}

impl<'a> Locking<'a> {
    pub(super) fn new(place: &'a HostHistory) -> Self {
        Self { place, patience: PATIENCE }
    }

    /// As [`HostHistory::read_lock`].
    pub(super) fn lock(&mut self, snapshot: &Snapshot) -> history::Result<Reading> {
        let answer = self.place.read_lock_within(snapshot, self.patience);
        if let Err(history::Error::Locked { .. }) = answer {
            self.patience = PATIENCE_LEFT;
        }
        answer
    }

    /// Reads these. What is redacted while it waits for one is in the log before it reads.
    pub(super) fn read(
        &mut self,
        run: &mut Run,
        snapshots: &[Snapshot],
        log: &mut Log,
        defects: &mut Defects,
        seen: &mut Seen,
    ) -> Result<There, Failed> {
        let place = self.place;
        let at = || Trouble::history(place.host());
        let total = snapshots.iter().map(|snapshot| snapshot.entries).sum();
        let task = run.console().task(&format!("reading {}", place.host()), Amount::Items(Some(total)));
        let mut there = There { sequences: Vec::new(), is_all: true };
        for snapshot in snapshots {
            let _reading = match self.lock(snapshot) {
                Ok(reading) => Some(reading),
                // Since the log was read: it is not there any more.
                Err(history::Error::Pruned { .. }) => continue,
                Err(error) if is_missing(&error) => None,
                // Whoever does that keeps nobody from reading the others.
                Err(error @ history::Error::Locked { .. }) => {
                    let name = format!("{}/{}", place.host(), snapshot.name);
                    run.leave_out(name.as_bytes(), &Failed::from(at()(error)).chain());
                    there.is_all = false;
                    seen.all_bad();
                    continue;
                }
                Err(error) => return Err(at()(error).into()),
            };
            if place.read_on(log).map_err(at())? == Grown::Yes {
                seen.judge_by(log);
            }
            one(run, place, snapshot, defects, seen, &task)?;
            run.report().count("snapshots", 1);
            there.sequences.push(snapshot.sequence);
        }
        Ok(there)
    }
}

fn is_missing(error: &history::Error) -> bool {
    matches!(error, history::Error::Folder(error) if error.is_not_found())
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
    let at = || Trouble::history(host);
    let manifest = match place.open_manifest(snapshot) {
        Ok(manifest) => manifest,
        Err(error) if is_missing(&error) || error.is_damage() => {
            let text = Failed::from(at()(error)).chain();
            defects.add(run, What::Record, (host, Some(snapshot)), None, &text);
            return Ok(());
        }
        Err(error) => return Err(at()(error).into()),
    };
    let tree = match place.tree(snapshot) {
        Ok(tree) => tree,
        Err(error) if is_missing(&error) => {
            defects.add(run, What::Files, (host, Some(snapshot)), None, "its files are missing");
            seen.all_bad();
            return Ok(());
        }
        Err(error) => return Err(at()(error).into()),
    };
    let mut found = |what, path: Option<&[u8]>, text: &str| {
        defects.add(run, what, (host, Some(snapshot)), path, text);
    };
    tree::compare(manifest, &tree, snapshot, seen, task, &mut found)
        .map_err(|error| error.trouble(format!("reading snapshot {} of {host}", snapshot.name)).into())
}
