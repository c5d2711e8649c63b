//! The folder an ingest works in, and what a killed ingest left.
//!
//! Everything is made here. `intent` names the snapshot before the first part of it leaves; so what lies among the snapshots without being in
//! the log is either named there, and removed, or a stranger, and never touched.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Builder};

use durable::{Dir, Name};
use formats::HostId;
use history::{HostHistory, Log, SnapshotName, layout};

use super::build::CONTENTS;
use super::crew;
use super::fault::Fault;
use crate::trouble::Trouble;

const INTENT: Name<'static> = Name::literal("intent");
/// An intent is one name and a newline.
const INTENT_BYTES: usize = 64;

/// The folder `.building`, empty when it is given out.
#[derive(Debug)]
pub(crate) struct Building<'a> {
    history: &'a HostHistory,
    dir: Dir,
}

impl<'a> Building<'a> {
    /// Makes the folder. What an earlier run left must be gone ([`repair`]).
    pub(crate) fn begin(history: &'a HostHistory) -> durable::Result<Self> {
        Ok(Self { history, dir: history.dir().make_dir(layout::BUILDING, 0o750)? })
    }

    /// The folder.
    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Notes the name under which the snapshot will be placed, and brings it to the disk with all that was built, in one sync. A note that a power
    /// cut left torn was never acted upon.
    pub(crate) fn intend(&self, name: &SnapshotName) -> Result<(), Fault> {
        let mut note = self.dir.create_new(INTENT, 0o640)?;
        let written = note.write_all(format!("{name}\n").as_bytes());
        let noted = written.map_err(Fault::stream("noting the snapshot's name"));
        let noted = noted.and_then(|()| Ok(self.dir.sync_file_system()?));
        if noted.is_err() {
            // Best effort: nothing was moved yet, and without a note all that was built can go at once.
            let _ = self.dir.unlink(INTENT);
        }
        noted
    }

    /// Removes the folder of a push that was not judged, unless its snapshot was already on its way: what then counts is the log, as the next
    /// run reads it.
    pub(crate) fn abandon(self) -> durable::Result<()> {
        match self.dir.stat(INTENT) {
            Err(error) if error.is_not_found() => self.clear(),
            answer => answer.map(drop),
        }
    }

    /// Removes the folder with all that is left in it. Not synced: what a power cut brings back, the next run removes as it does after a kill.
    pub(crate) fn clear(self) -> durable::Result<()> {
        match self.dir.open_dir(CONTENTS) {
            Ok(contents) => empty(&contents)?,
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        self.history.dir().remove_tree(layout::BUILDING)
    }
}

/// Removes all that is in a folder, one part on each processor: the contents of a large push have as many names here as in its tree.
fn empty(folder: &Dir) -> durable::Result<()> {
    let names = folder.names()?;
    let next = AtomicUsize::new(0);
    let remove = || {
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            folder.remove_tree(Name::new(name)?)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        // A thread that cannot be started is not missed.
        let helpers: Vec<_> =
            (1..crew::size()).filter_map(|_| Builder::new().spawn_scoped(scope, remove).ok()).collect();
        let removed = remove();
        helpers.into_iter().fold(removed, |removed, helper| {
            removed.and(helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    })
}

/// Removes what a killed run left, and makes sure that nothing else is there that the log does not know.
pub(crate) fn repair(history: &HostHistory, log: &Log) -> Result<(), Trouble> {
    let host = history.host();
    let at = || Trouble::folder(format!("removing what an earlier run left of host {host}"));
    match history.dir().open_dir(layout::BUILDING) {
        Ok(building) => {
            if let Some(name) = intended(&building, host)?.filter(|name| !is_known(log, name)) {
                withdraw(history, &name).map_err(at())?;
            }
            history.dir().remove_tree(layout::BUILDING).map_err(at())?;
            history.dir().sync().map_err(at())?;
        }
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(at()(error)),
    }
    require_no_stranger(history, log, host)
}

fn intended(building: &Dir, host: &HostId) -> Result<Option<SnapshotName>, Trouble> {
    let doing = || format!("reading what an earlier run was about to do for host {host}");
    let file = match building.open_read(INTENT) {
        Ok(file) => file,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(Trouble::folder(doing())(error)),
    };
    let mut text = Vec::new();
    file.take(INTENT_BYTES as u64).read_to_end(&mut text).map_err(Trouble::stream(doing()))?;
    // What is no name was never acted upon: it is on the disk, to its newline, before it is.
    Ok(str::from_utf8(&text).ok().and_then(|text| text.strip_suffix('\n')?.parse().ok()))
}

/// Takes back the parts of a snapshot that was never committed. Durable before the intent itself goes.
fn withdraw(history: &HostHistory, name: &SnapshotName) -> durable::Result<()> {
    let manifests = history.dir().make_dir_or_open(layout::MANIFESTS, 0o750)?;
    gone(manifests.unlink(Name::new(layout::manifest_file(name).as_bytes())?))?;
    manifests.sync()?;
    gone(history.dir().remove_tree(Name::new(name.as_str().as_bytes())?))?;
    history.dir().sync()
}

fn gone(answer: durable::Result<()>) -> durable::Result<()> {
    match answer {
        Err(error) if error.is_not_found() => Ok(()),
        answer => answer,
    }
}

/// Or was: what a prune was about to move away when it was killed is the next prune's.
fn is_known(log: &Log, name: &SnapshotName) -> bool {
    log.known(name).is_some()
}

/// A snapshot without its line means that the log has lost lines. Whoever removed it now would destroy what was reported safe.
fn require_no_stranger(history: &HostHistory, log: &Log, host: &HostId) -> Result<(), Trouble> {
    let at = || Trouble::folder(format!("looking at the history of {host}"));
    let strange = |what: &[u8]| Trouble::Stranger { host: host.clone(), what: cli::shown(what) };
    for name in history.dir().names().map_err(at())? {
        if layout::snapshot_of_folder(&name).is_some_and(|snapshot| !is_known(log, &snapshot)) {
            return Err(strange(&name));
        }
    }
    let manifests = history.dir().make_dir_or_open(layout::MANIFESTS, 0o750).map_err(at())?;
    for name in manifests.names().map_err(at())? {
        if layout::snapshot_of_manifest(&name).is_some_and(|snapshot| !is_known(log, &snapshot)) {
            return Err(strange(&name));
        }
    }
    Ok(())
}
