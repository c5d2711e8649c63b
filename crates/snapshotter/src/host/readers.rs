//! A group of this machine that may read the history of one host, and no other's.
//!
//! Two things are needed to read a file: the right to pass the folder of the host's history, the gate, and the right to read the file. Both come from
//! access lists, beside owner, group and mode, which stay as they are. What is made in the history has its list from the folder it is made in, so no
//! ingest knows of it; what was there before gets its list here. The gate comes last, and goes first: while it is closed nothing behind it counts.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use durable::{Acl, Dir, FileKind, Name};
use formats::HostId;
use history::{History, Writing, layout};

use super::access_list::{AccessList, ENTER, READ};
use crate::account;
use crate::settings::Settings;
use crate::trouble::Trouble;

/// As everything in a history is.
const FOLDER_MODE: u32 = 0o750;
const FILE_MODE: u32 = 0o640;
/// Whoever could open the writer's lock could keep the host's pushes from being judged.
const LOCK_MODE: u32 = 0o600;
const PATIENCE: Duration = Duration::from_secs(60);
const NAP: Duration = Duration::from_millis(200);

/// Who may read the history of one host besides those who may read all.
#[derive(Debug, Clone)]
pub(crate) struct Readers {
    host: HostId,
    group: Option<String>,
    owner: String,
    history: PathBuf,
    views: Option<PathBuf>,
}

impl Readers {
    /// As the settings and the host's record have it.
    pub(super) fn new(settings: &Settings, host: &HostId, group: Option<&String>) -> Self {
        Self {
            host: host.clone(),
            group: group.cloned(),
            owner: settings.owner.clone(),
            history: settings.history.clone(),
            views: settings.views.clone(),
        }
    }

    /// In words that fit after "make".
    pub(super) fn describe(&self) -> String {
        match &self.group {
            Some(group) => format!("the history of {} readable by the group {group}", self.host),
            None => format!("the history of {} readable by no group of its own", self.host),
        }
    }

    /// Whether the gate is as it should be: it is what is set last.
    pub(super) fn are_right(&self) -> Result<bool, Trouble> {
        let Some(number) = self.number()? else {
            return Ok(self.gates()?.iter().all(|(_, gate)| gate.is_none()));
        };
        let expected = inside(FOLDER_MODE, number);
        let is_open = |gate: &Option<AccessList>| gate.as_ref() == Some(&expected);
        Ok(self.gates()?.iter().all(|(top, gate)| top.rights(number) == ENTER && is_open(gate)))
    }

    /// Makes it so; the folder of the history is there.
    pub(super) fn make(&self) -> Result<(), Trouble> {
        let Some(number) = self.number()? else { return self.close() };
        let (top, gate) = self.folders(&self.history)?;
        let gate = gate.ok_or_else(|| Trouble::NoHost { host: self.host.to_string() })?;
        let owner = account::account(&self.owner)?
            .ok_or_else(|| Trouble::Machine { what: format!("there is no account {}", self.owner) })?;
        let alone = self.alone()?;
        self.own_lock(&gate, owner.user)?;
        let list = inside(FOLDER_MODE, number);
        // From now on what is made has it; then what is there.
        let set = Acl::Inherited.write(&gate, &list.encode()).and_then(|()| give(&gate, number));
        set.map_err(self.at("giving a group the right to read"))?;
        open(&top, &gate, number).map_err(self.at("opening the history"))?;
        drop(alone);
        let Some(views) = &self.views else { return Ok(()) };
        let made = Dir::open_root(views).and_then(|top| {
            Ok((top.make_dir_or_open(Name::new(self.host.as_str().as_bytes())?, FOLDER_MODE)?, top))
        });
        let (folder, top) = made.map_err(self.at("opening the views"))?;
        let given = std::os::unix::fs::fchown(&folder, Some(owner.user), None);
        given.map_err(Trouble::stream(format!("giving the views of {} to their owner", self.host)))?;
        folder
            .set_mode(FOLDER_MODE)
            .and_then(|()| open(&top, &folder, number))
            .map_err(self.at("opening the views"))
    }

    /// Nobody passes any more; what lies behind keeps its lists.
    fn close(&self) -> Result<(), Trouble> {
        for path in self.tops().filter(|path| path.exists()) {
            let (_, Some(gate)) = self.folders(path)? else { continue };
            let closed = Acl::Access.remove(&gate).and_then(|()| Acl::Inherited.remove(&gate));
            closed.and_then(|()| gate.sync()).map_err(self.at("closing the history"))?;
        }
        Ok(())
    }

    /// The number of the group, which must be there.
    fn number(&self) -> Result<Option<u32>, Trouble> {
        let Some(group) = &self.group else { return Ok(None) };
        account::group(group)?.map(Some).ok_or_else(|| unknown(group))
    }

    fn tops(&self) -> impl Iterator<Item = &Path> {
        [Some(self.history.as_path()), self.views.as_deref()].into_iter().flatten()
    }

    /// The lists of the folders above the gates, and of the gates.
    fn gates(&self) -> Result<Vec<(AccessList, Option<AccessList>)>, Trouble> {
        let mut gates = Vec::new();
        for path in self.tops().filter(|path| path.exists()) {
            let (top, gate) = self.folders(path)?;
            let at = || self.at("looking at who may read");
            let top = list_of(&top).map_err(at())?.unwrap_or_else(|| AccessList::of_mode(0));
            let gate = gate.as_ref().map_or(Ok(None), list_of).map_err(at())?;
            gates.push((top, gate));
        }
        Ok(gates)
    }

    /// The folder of all, and the host's in it, if it is there.
    fn folders(&self, path: &Path) -> Result<(Dir, Option<Dir>), Trouble> {
        let at = || self.at("opening the folder");
        let top = Dir::open_root(path).map_err(at())?;
        match Name::new(self.host.as_str().as_bytes()).and_then(|name| top.open_dir(name)) {
            Err(error) if error.is_not_found() => Ok((top, None)),
            gate => gate.map(|gate| (top, Some(gate))).map_err(at()),
        }
    }

    /// Nothing is moved while lists are given: what is moved could be missed.
    fn alone(&self) -> Result<Writing, Trouble> {
        let at = || Trouble::history(&self.host);
        let place = History::open(&self.history).and_then(|history| history.host(&self.host)).map_err(at())?;
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(alone) = place.write_lock().map_err(at())? {
                return Ok(alone);
            }
            if Instant::now() >= until {
                return Err(Trouble::Busy { host: self.host.clone() });
            }
            std::thread::sleep(NAP);
        }
    }

    /// The lock may have been made just now, by root.
    fn own_lock(&self, gate: &Dir, owner: u32) -> Result<(), Trouble> {
        let lock = gate.open_read(layout::WRITER).map_err(self.at("opening the lock"))?;
        let owned = std::os::unix::fs::fchown(&lock, Some(owner), None);
        let owned = owned.and_then(|()| lock.set_permissions(Permissions::from_mode(LOCK_MODE)));
        owned.map_err(Trouble::stream(format!("closing the lock of {} to readers", self.host)))
    }

    fn at(&self, doing: &str) -> impl FnOnce(durable::Error) -> Trouble + use<> {
        Trouble::folder(format!("{doing} of {}", self.host))
    }
}

/// What a group may with a file or folder of this mode behind the gate: read.
fn inside(mode: u32, group: u32) -> AccessList {
    AccessList::of_mode(mode).with(group, if mode == FOLDER_MODE { READ | ENTER } else { READ })
}

fn list_of(folder: &Dir) -> durable::Result<Option<AccessList>> {
    Ok(Acl::Access.read(folder)?.and_then(|bytes| AccessList::decode(&bytes)))
}

/// Lets the group pass, at last.
fn open(top: &Dir, gate: &Dir, group: u32) -> durable::Result<()> {
    let through = match list_of(top)? {
        Some(list) => list,
        None => AccessList::of_mode(durable::Stat::of(top)?.mode),
    };
    if through.rights(group) != ENTER {
        Acl::Access.write(top, &through.with(group, ENTER).encode())?;
    }
    Acl::Access.write(gate, &inside(FOLDER_MODE, group).encode())?;
    gate.sync()?;
    top.sync()
}

/// Gives the group the right to read everything below, however deep. An inode with many names is written once.
fn give(gate: &Dir, group: u32) -> durable::Result<()> {
    let (folder, file) = (inside(FOLDER_MODE, group).encode(), inside(FILE_MODE, group).encode());
    let mut waiting = vec![Vec::new()];
    while let Some(path) = waiting.pop() {
        let dir = if path.is_empty() { gate.try_clone()? } else { gate.open_beneath(&path)? };
        if !path.is_empty() {
            Acl::Inherited.write(&dir, &folder)?;
            put(&dir, &folder)?;
        }
        for name in dir.names()? {
            // Whoever can open a lock file can hold it: those of who writes and who prunes.
            let is_above = path.is_empty() || path == layout::PRUNE.as_bytes();
            if is_above && name == layout::WRITER.as_bytes() {
                continue;
            }
            let known = Name::new(&name)?;
            match dir.stat(known)?.kind {
                FileKind::Folder if path.is_empty() => waiting.push(name),
                FileKind::Folder => waiting.push([&path, &b"/"[..], &name].concat()),
                FileKind::File => put(&dir.open_read(known)?, &file)?,
                _ => {}
            }
        }
    }
    gate.sync_file_system()
}

fn put(file: &impl std::os::fd::AsFd, list: &[u8]) -> durable::Result<()> {
    if Acl::Access.read(file)?.as_deref() == Some(list) { Ok(()) } else { Acl::Access.write(file, list) }
}

/// Refuses a group that there is not, that may do more already, or through which a host could come to its own history.
pub(super) fn check(settings: &Settings, group: &str) -> Result<(), Trouble> {
    let refused =
        |what: String| Err(Trouble::Usage { what, advice: Some(format!("see `getent group {group}`")) });
    let Some(number) = account::group(group)? else { return Err(unknown(group)) };
    if number == 0 {
        return refused(format!("the group {group} has number 0, which is root's"));
    }
    for (key, taken) in [("readers", &settings.readers), ("owner", &settings.owner)] {
        if account::group(taken)? == Some(number) {
            return refused(format!("the group {group} is the server's own (`{key}` in the settings)"));
        }
    }
    let line = account::getent("group", &[group])?;
    let members = line.trim_end().rsplit(':').next().unwrap_or_default();
    for name in members.split(',').chain([group]).filter(|name| !name.is_empty()) {
        if account::account(name)?.is_some_and(|account| account.comment.starts_with("firn host ")) {
            return refused(format!(
                "the group {group} has the account {name} in it, which is a host's: no host may read a history"
            ));
        }
    }
    Ok(())
}

fn unknown(group: &str) -> Trouble {
    Trouble::Usage {
        what: format!("there is no group {group} on this machine"),
        advice: Some(format!(
            "make it (`groupadd {group}`) and put those in it who may read all of the host's files"
        )),
    }
}
