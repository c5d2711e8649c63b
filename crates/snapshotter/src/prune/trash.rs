//! Out of the history in one rename, and then off the disk, slowly, while nobody waits.
//!
//! The order: the `prune` line is in the log, and the snapshot does not exist any more; its folder and its manifest are moved to the trash; all
//! locks are freed; the trash is emptied. Killed anywhere, the next run goes on: what the log calls pruned and is still in its place is moved, and
//! what is in the trash is removed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use durable::{Dir, FileKind, Name};
use history::{HostHistory, Log, SnapshotName, layout};

/// So many names are removed between two looks at the time.
const LOOK_EVERY: u64 = 256;
/// More than any history has.
const NAMES_MAX: usize = 1_000_000;

/// What of a history's snapshots lies there.
#[derive(Debug, Default)]
pub(crate) struct Present {
    folders: BTreeSet<SnapshotName>,
    manifests: BTreeSet<SnapshotName>,
    /// An ingest is at work, or was killed.
    building: bool,
}

impl Present {
    /// Looks. A list that cannot be read to its end is an error, and never a short list.
    pub(crate) fn look(history: &HostHistory) -> durable::Result<Self> {
        let folders = history.dir().names_at_most(NAMES_MAX)?;
        let manifests = match history.dir().open_dir(layout::MANIFESTS) {
            Err(error) if error.is_not_found() => Vec::new(),
            dir => dir?.names_at_most(NAMES_MAX)?,
        };
        // Last: what it has placed among the others is in the log before its folder goes.
        let building = match history.dir().stat(layout::BUILDING) {
            Err(error) if error.is_not_found() => false,
            stat => stat.map(|_| true)?,
        };
        Ok(Self {
            folders: folders.iter().filter_map(|name| layout::snapshot_of_folder(name)).collect(),
            manifests: manifests.iter().filter_map(|name| layout::snapshot_of_manifest(name)).collect(),
            building,
        })
    }

    /// What lies there and is in no line of a log that was read afterwards: the log has lost lines. Not what an ingest is about to add.
    pub(crate) fn stranger(&self, log: &Log) -> Option<&SnapshotName> {
        let is_next = |name: &SnapshotName| self.building && name.sequence() == log.next_sequence();
        let mut there = self.folders.union(&self.manifests);
        there.find(|name| log.known(name).is_none() && !is_next(name))
    }

    /// Snapshots that the log has and that are not all there.
    pub(crate) fn missing(&self, log: &Log) -> Vec<SnapshotName> {
        let is_there = |name: &&SnapshotName| self.folders.contains(name) && self.manifests.contains(name);
        log.snapshots().iter().map(|one| &one.name).filter(|name| !is_there(name)).cloned().collect()
    }

    /// Pruned snapshots of which something is still in its place.
    pub(crate) fn left(&self, log: &Log) -> Vec<SnapshotName> {
        let is_there = |name: &&SnapshotName| self.folders.contains(name) || self.manifests.contains(name);
        log.pruned().iter().map(|one| &one.snapshot.name).filter(is_there).cloned().collect()
    }
}

/// Moves a pruned snapshot to the trash. On the disk when it returns.
pub(crate) fn throw_away(history: &HostHistory, name: &SnapshotName) -> durable::Result<()> {
    let trash = history.dir().make_dir_or_open(layout::TRASH, 0o750)?;
    let folder = Name::new(name.as_str().as_bytes())?;
    moved(history.dir().rename_new(folder, &trash, folder))?;
    let manifest = layout::manifest_file(name);
    let manifest = Name::new(manifest.as_bytes())?;
    match history.dir().open_dir(layout::MANIFESTS) {
        Err(error) if error.is_not_found() => Ok(()),
        manifests => moved(manifests?.rename_new(manifest, &trash, manifest)),
    }
}

/// A run that was killed has moved it before.
fn moved(answer: durable::Result<()>) -> durable::Result<()> {
    match answer {
        Err(error) if error.is_not_found() => Ok(()),
        answer => answer,
    }
}

/// The trash, open, and what lies in it. Nothing if there is none.
#[derive(Debug, Default)]
pub(crate) struct Trash {
    dir: Option<Dir>,
    names: Vec<Vec<u8>>,
}

impl Trash {
    pub(crate) fn open(history: &HostHistory) -> durable::Result<Self> {
        let dir = match history.dir().open_dir(layout::TRASH) {
            Err(error) if error.is_not_found() => return Ok(Self::default()),
            dir => dir?,
        };
        let names = dir.names_at_most(NAMES_MAX)?;
        Ok(Self { dir: Some(dir), names })
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Removes one of what lies there. Adds to `freed_bytes` what files lost their last name, also of one that it
    /// could not remove to its end.
    pub(crate) fn remove_one(&mut self, pace: &mut Pace, freed_bytes: &mut u64) -> durable::Result<()> {
        let (Some(dir), Some(name)) = (&self.dir, self.names.pop()) else { return Ok(()) };
        pace.step();
        dir.remove_tree_seen(Name::new(&name)?, &mut |folder, name| {
            pace.step();
            let stat = folder.stat(name)?;
            if stat.kind == FileKind::File && stat.links == 1 {
                *freed_bytes = freed_bytes.saturating_add(stat.size);
            }
            Ok(())
        })?;
        dir.sync()
    }
}

/// Waits where it would be too fast.
#[derive(Debug)]
pub(crate) struct Pace {
    per_second: u32,
    began: Instant,
    names: u64,
}

impl Pace {
    /// So many names a second; 0 for as many as can be.
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second, began: Instant::now(), names: 0 }
    }

    fn step(&mut self) {
        self.names += 1;
        if self.per_second == 0 || !self.names.is_multiple_of(LOOK_EVERY) {
            return;
        }
        let due = Duration::from_secs_f64(self.names as f64 / f64::from(self.per_second));
        std::thread::sleep(due.saturating_sub(self.began.elapsed()));
    }
}
