//! The folder of all histories.

use std::path::Path;

use durable::{Dir, FileKind, Name};
use formats::HostId;

use crate::error::{Error, Result};
use crate::host::HostHistory;

/// The folder of all histories, held open.
#[derive(Debug)]
pub struct History {
    dir: Dir,
}

impl History {
    /// Opens the folder that the settings name.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { dir: Dir::open_root(path)? })
    }

    /// The hosts that have a history, sorted. Names that are no host ids are passed over.
    pub fn hosts(&self) -> Result<Vec<HostId>> {
        let mut hosts = Vec::new();
        for name in self.dir.names()? {
            let Some(host) = std::str::from_utf8(&name).ok().and_then(|text| HostId::parse(text).ok()) else {
                continue;
            };
            if self.dir.stat(Name::new(&name)?)?.kind == FileKind::Folder {
                hosts.push(host);
            }
        }
        Ok(hosts)
    }

    /// Opens the history of one host, which must be there.
    pub fn host(&self, host: &HostId) -> Result<HostHistory> {
        match self.dir.open_dir(Name::new(host.as_str().as_bytes())?) {
            Ok(dir) => Ok(HostHistory::new(host.clone(), dir)),
            Err(error) if error.is_not_found() => Err(Error::NoHost { host: host.to_string() }),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the history of one host; makes an empty one if there is none. Only for who writes histories.
    pub fn host_or_new(&self, host: &HostId) -> Result<HostHistory> {
        let dir = self.dir.make_dir_or_open(Name::new(host.as_str().as_bytes())?, 0o750)?;
        Ok(HostHistory::new(host.clone(), dir))
    }
}
