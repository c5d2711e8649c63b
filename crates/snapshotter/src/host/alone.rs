//! One change of hosts at a time. What `host add` writes follows from what it has read: a retirement in between would be written over, and lost.

use std::time::{Duration, Instant};

use cli::{Failed, Monitor, Run};
use durable::{Dir, Lock, Name};

use super::add::take;
use super::extent::Extent;
use super::step::Step;
use super::steps::missing_parents;
use crate::account::is_root;
use crate::settings::Settings;
use crate::trouble::Trouble;

/// In the folder of the jails, which every server has, and where nobody but its maker can open it. No host id begins so.
const LOCK: Name<'static> = Name::literal(".lock");
/// Longer than the steps of a host take, and than its sessions are given to end.
const WAIT: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Waits until no other process adds or retires a host, and keeps others waiting until the lock is dropped.
pub(crate) fn alone(run: &mut Run, settings: &Settings) -> Result<Lock, Failed> {
    let mode = if is_root() { 0o755 } else { 0o750 };
    for path in missing_parents(&settings.jails) {
        let owner = is_root().then(|| ("root".to_owned(), "root".to_owned()));
        take(run, &Step::Folder { path, owner, mode }, Extent::Do)?;
    }
    let locking = || Trouble::folder("locking the hosts");
    let folder = Dir::open_root(&settings.jails).map_err(locking())?;
    let until = Instant::now() + WAIT;
    let mut is_said = false;
    loop {
        if let Some(lock) = folder.try_lock(LOCK).map_err(locking())? {
            return Ok(lock);
        }
        if Instant::now() >= until {
            return Err(Trouble::Locked { waited_seconds: WAIT.as_secs() }.into());
        }
        if !std::mem::replace(&mut is_said, true) {
            run.console().warn("another process adds or retires a host; waiting for it");
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
