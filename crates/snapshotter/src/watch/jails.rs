//! The jails, and whether something waits in them. What is in a jail is the host's: only names are read, and few.

use std::collections::BTreeSet;

use cli::{Console, Monitor};
use durable::{Dir, Name};
use formats::HostId;

use crate::ingest;
use crate::settings::Settings;
use crate::trouble::Trouble;

/// So many names that are to be passed over are read; beyond them the process of the host may look.
const NAMES_MAX: usize = 1_000;

/// The folder of all jails, and the hosts in it.
#[derive(Debug)]
pub(crate) struct Jails {
    settings: Settings,
    folder: Dir,
    only: BTreeSet<HostId>,
    known: Vec<HostId>,
    /// Never reached so far: their jails may be in the making.
    new: BTreeSet<HostId>,
    /// Not reached, and said so.
    missed: BTreeSet<HostId>,
}

impl Jails {
    /// Reads which hosts there are. Those of `only` must be there; empty means all.
    pub(crate) fn new(settings: &Settings, only: &[HostId]) -> Result<Self, Trouble> {
        let known = ingest::hosts(settings)?;
        if let Some(host) = only.iter().find(|host| !known.contains(host)) {
            return Err(Trouble::NoHost { host: host.to_string() });
        }
        let mut jails = Self {
            folder: open(settings)?,
            settings: settings.clone(),
            only: only.iter().cloned().collect(),
            known: Vec::new(),
            new: BTreeSet::new(),
            missed: BTreeSet::new(),
        };
        jails.read()?;
        Ok(jails)
    }

    /// Reads which hosts there are now, and answers with those that are new.
    pub(crate) fn read(&mut self) -> Result<Vec<HostId>, Trouble> {
        let folder = open(&self.settings)?;
        let mut hosts = ingest::hosts(&self.settings)?;
        hosts.retain(|host| self.only.is_empty() || self.only.contains(host));
        let known: BTreeSet<&HostId> = self.known.iter().collect();
        let new: Vec<HostId> = hosts.iter().filter(|host| !known.contains(host)).cloned().collect();
        self.new.extend(new.iter().cloned());
        let there: BTreeSet<&HostId> = hosts.iter().collect();
        self.new.retain(|host| there.contains(host));
        self.missed.retain(|host| there.contains(host));
        self.folder = folder;
        self.known = hosts;
        Ok(new)
    }

    /// The folder itself.
    pub(crate) fn folder(&self) -> &Dir {
        &self.folder
    }

    /// The hosts.
    pub(crate) fn known(&self) -> &[HostId] {
        &self.known
    }

    /// Opens the folder where the sealed pushes of a host wait. The published state is made after it: without, nobody can push yet.
    pub(crate) fn sealed(&self, host: &HostId) -> durable::Result<Dir> {
        let jail = self.folder.open_dir(Name::new(host.as_str().as_bytes())?)?;
        jail.open_beneath(b"state")?;
        jail.open_beneath(b"spool/sealed")
    }

    /// True if anything waits there. A name that begins with a dot is still being written by somebody.
    pub(crate) fn waits(&self, sealed: &Dir) -> bool {
        sealed.names_at_most(NAMES_MAX).map_or(true, |names| names.iter().any(|name| !name.starts_with(b".")))
    }

    /// True until the first time that its folder was reached.
    pub(crate) fn is_new(&self, host: &HostId) -> bool {
        self.new.contains(host)
    }

    /// Its folder was reached, or given up on for now.
    pub(crate) fn reached(&mut self, host: &HostId) {
        self.new.remove(host);
        self.missed.remove(host);
    }

    /// Says once that a folder cannot be reached.
    pub(crate) fn missed(&mut self, host: &HostId, error: &durable::Error, console: &Console) {
        if self.missed.insert(host.clone()) {
            console.warn(&format!(
                "{host}: its jail cannot be looked at, and is tried again at each sweep: {error}"
            ));
        }
    }
}

fn open(settings: &Settings) -> Result<Dir, Trouble> {
    Dir::open_root(&settings.jails).map_err(Trouble::folder("opening the jails"))
}
