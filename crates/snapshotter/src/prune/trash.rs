//! Out of the history in one rename, and then off the disk, slowly, while nobody waits.
//!
//! The order: the `prune` line is in the log, and the snapshot does not exist any more; its folder and its manifest are moved to the trash; all
//! locks are freed; the trash is emptied. Killed anywhere, the next run goes on: what the log calls pruned and is still in its place is moved, and
//! what is in the trash is removed.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

use durable::{Dir, FileKind, Name};
use history::{HostHistory, Log, Removing, SnapshotName, layout};

use crate::ingest_host::crew;
use crate::trouble::Trouble;

/// So many names are removed between two looks at the time.
const LOOK_EVERY: u64 = 256;
/// So few that they are nothing, so many that two threads seldom want one at the same time.
const PARTS: usize = 64;
/// Two million files in all parts, which take 105 MB at most. Of more, each name is asked for; then it can happen that two threads remove the last
/// two names of a file at the same time, and neither counts it.
const FILES_MAX: usize = 32_768;
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

/// Moves pruned snapshots, which nobody reads, to the trash. On the disk when it returns: the trash first, so that a power cut leaves a name in
/// both places, and never in none.
pub(crate) fn throw_away(history: &HostHistory, unread: &[(SnapshotName, Removing)]) -> durable::Result<()> {
    if unread.is_empty() {
        return Ok(());
    }
    let trash = history.dir().make_dir_or_open(layout::TRASH, 0o750)?;
    let manifests = match history.dir().open_dir(layout::MANIFESTS) {
        Err(error) if error.is_not_found() => None,
        manifests => Some(manifests?),
    };
    for (name, _) in unread {
        move_to(history.dir(), name.as_str(), &trash)?;
        if let Some(manifests) = &manifests {
            move_to(manifests, &layout::manifest_file(name), &trash)?;
        }
    }
    trash.sync()?;
    history.dir().sync()?;
    manifests.map_or(Ok(()), |manifests| manifests.sync())
}

/// A run that was killed may have moved it before. If the power was cut meanwhile, it can be in both places: then the trash has it twice.
fn move_to(folder: &Dir, name: &str, trash: &Dir) -> durable::Result<()> {
    let mut target = name.to_owned();
    loop {
        match folder.rename_new_later(Name::new(name.as_bytes())?, trash, Name::new(target.as_bytes())?) {
            Err(error) if error.is_not_found() => return Ok(()),
            // Longer each time, so that it ends: names have a length that they cannot exceed.
            Err(error) if error.is_exists() => target.push_str(".again"),
            answer => return answer,
        }
    }
}

/// Removes what lies in the trash, not while the host is on hold, which may begin at any moment. Adds to `freed_bytes` what files lost their last
/// name, also if not all of it could be removed, once that is on the disk. One snapshot on each processor: what takes the time is the kernel's,
/// folder by folder.
pub(crate) fn empty(
    history: &HostHistory,
    names_per_second: u32,
    freed_bytes: &mut u64,
) -> Result<(), Trouble> {
    let at = || Trouble::folder(format!("emptying the trash of the history of {}", history.host()));
    let dir = match history.dir().open_dir(layout::TRASH) {
        Err(error) if error.is_not_found() => return Ok(()),
        dir => dir.map_err(at())?,
    };
    let names = dir.names_at_most(NAMES_MAX).map_err(at())?;
    if names.is_empty() {
        return Ok(());
    }
    let names = Mutex::new(names);
    let removal = Removal::new(names_per_second);
    let has_failed = AtomicBool::new(false);
    let remove = || -> Result<(), Trouble> {
        while !has_failed.load(Ordering::Relaxed) {
            let Some(name) = names.lock().unwrap_or_else(PoisonError::into_inner).pop() else { break };
            let log = history.log().map_err(Trouble::history(history.host()))?;
            if log.hold().is_some() {
                break;
            }
            removal.remove(&dir, &name).map_err(at())?;
        }
        Ok(())
    };
    let work = || remove().inspect_err(|_| has_failed.store(true, Ordering::Relaxed));
    let emptied = thread::scope(|scope| {
        // A thread that cannot be started is not missed.
        let start = |_| Builder::new().spawn_scoped(scope, work).ok();
        let helpers: Vec<_> = (1..crew::size()).filter_map(start).collect();
        let removed = work();
        helpers.into_iter().fold(removed, |removed, helper| {
            removed.and(helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    });
    // Once for all of them: each would wait until the journal has all that the others did. What a power cut may bring back is not freed.
    dir.sync().map_err(at())?;
    *freed_bytes = freed_bytes.saturating_add(removal.freed_bytes.into_inner());
    emptied
}

/// What those who empty a trash together share.
#[derive(Debug)]
struct Removal {
    pace: Pace,
    freed_bytes: AtomicU64,
    /// Files of which some names are gone, by the number of their inode. In parts, so that two threads seldom want one at the same time.
    files: [Mutex<HashMap<u64, File>>; PARTS],
}

/// A file as it was when the first of its names came: each is asked once for how many it has, and not with each of them.
#[derive(Debug)]
struct File {
    names: u64,
    bytes: u64,
}

impl Removal {
    fn new(names_per_second: u32) -> Self {
        let files = std::array::from_fn(|_| Mutex::default());
        Self { pace: Pace::new(names_per_second), freed_bytes: AtomicU64::new(0), files }
    }

    /// Removes one of what lies there.
    fn remove(&self, trash: &Dir, name: &[u8]) -> durable::Result<()> {
        self.pace.step();
        // What the last name that was shown frees: not until it is gone.
        let (mut last, mut frees) = (None, 0);
        let removed = trash.remove_tree_seen(Name::new(name)?, &mut |folder, name, inode| {
            self.pace.step();
            self.freed_bytes.fetch_add(std::mem::take(&mut frees), Ordering::Relaxed);
            last = inode;
            frees = inode.map_or(Ok(0), |inode| self.see(folder, name, inode))?;
            Ok(())
        });
        match (&removed, last) {
            (Err(_), Some(stuck)) => self.keep(stuck),
            _ => _ = self.freed_bytes.fetch_add(frees, Ordering::Relaxed),
        }
        removed
    }

    /// What the name frees: all of the file, if it is the last that it had. What a repair takes away elsewhere meanwhile is not seen, so that the
    /// last name may look like one of several; a name elsewhere that stays keeps the file, and what has none there gets none.
    fn see(&self, folder: &Dir, name: Name<'_>, inode: u64) -> durable::Result<u64> {
        let mut part = self.part(inode);
        let has_room = part.len() < FILES_MAX;
        match part.entry(inode) {
            Entry::Occupied(mut known) => {
                known.get_mut().names = known.get().names.saturating_sub(1);
                Ok(if known.get().names == 0 { known.remove().bytes } else { 0 })
            }
            Entry::Vacant(new) => {
                let stat = folder.stat(name)?;
                if stat.kind != FileKind::File || stat.links == 1 {
                    return Ok(if stat.kind == FileKind::File { stat.size } else { 0 });
                }
                // Some file systems list numbers that are not those of the inodes.
                if has_room && stat.inode == inode {
                    new.insert(File { names: stat.links - 1, bytes: stat.size });
                }
                Ok(0)
            }
        }
    }

    /// A name of this file could not be removed: none of the others is the last.
    fn keep(&self, inode: u64) {
        self.part(inode).insert(inode, File { names: u64::MAX, bytes: 0 });
    }

    fn part(&self, inode: u64) -> MutexGuard<'_, HashMap<u64, File>> {
        let [first, ..] = &self.files;
        let place = usize::try_from(inode % PARTS as u64).unwrap_or_default();
        self.files.get(place).unwrap_or(first).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits where it would be too fast.
#[derive(Debug)]
struct Pace {
    per_second: u32,
    began: Instant,
    names: AtomicU64,
}

impl Pace {
    /// So many names a second; 0 for as many as can be.
    fn new(per_second: u32) -> Self {
        Self { per_second, began: Instant::now(), names: AtomicU64::new(0) }
    }

    fn step(&self) {
        let names = self.names.fetch_add(1, Ordering::Relaxed) + 1;
        if self.per_second == 0 || !names.is_multiple_of(LOOK_EVERY) {
            return;
        }
        let due = Duration::from_secs_f64(names as f64 / f64::from(self.per_second));
        std::thread::sleep(due.saturating_sub(self.began.elapsed()));
    }
}
