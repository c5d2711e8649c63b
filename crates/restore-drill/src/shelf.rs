//! The vaults of the settings, and the ices in them.

use std::io::Read;

use cli::{Exit, Failed, Failure, Monitor, shown};
use formats::HostId;
use formats::records::ice::Segment;
use formats::records::ice_id::IceId;
use vault::{Lock, ObjectFolder, ObjectName, ObjectRef, Thawed, Vault, VaultError, Wish};

use crate::ice::{RecordFault, StoredRecord, Which, read_record};
use crate::settings::Settings;

/// One open vault.
pub(crate) struct Shelf {
    /// Its name in the settings.
    pub(crate) name: String,
    vault: Box<dyn Vault>,
}

/// Why a vault did not give what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShelfError {
    #[error("vault {}", shown(.vault.as_bytes()))]
    Vault { vault: String, source: VaultError },
    #[error("the settings name no vault {}", shown(.vault.as_bytes()))]
    Unnamed { vault: String },
    #[error("there is no ice {ice}")]
    Nothing { ice: Which },
    #[error("an object has a name that no vault takes")]
    Name(#[from] vault::object::NameError),
    #[error("an object has a version that no vault gives")]
    Version(#[from] vault::object::VersionError),
    #[error(transparent)]
    Record(#[from] RecordFault),
}

impl Failure for ShelfError {
    fn exit(&self) -> Exit {
        match self {
            ShelfError::Vault { source, .. } => Exit::of(source.exit_code()),
            ShelfError::Unnamed { .. } => Exit::USAGE,
            ShelfError::Nothing { .. } => Exit::NOTHING,
            ShelfError::Name(_) | ShelfError::Version(_) => Exit::DAMAGED,
            ShelfError::Record(fault) => fault.exit(),
        }
    }

    fn advice(&self) -> Option<String> {
        match self {
            ShelfError::Vault { source, .. } => source.advice(),
            ShelfError::Nothing { .. } => Some("restore-drill list shows what there is".to_owned()),
            _ => None,
        }
    }
}

/// The vaults that could be opened, and why the others could not.
pub(crate) struct Shelves {
    /// In the order of the settings.
    pub(crate) open: Vec<Shelf>,
    /// One error for each vault that did not open.
    pub(crate) closed: Vec<ShelfError>,
}

impl Shelves {
    /// Opens the vaults of the settings, or only the one that is named.
    pub(crate) fn open(settings: &Settings, only: Option<&str>) -> Result<Shelves, ShelfError> {
        let mut shelves = Shelves { open: Vec::new(), closed: Vec::new() };
        let chosen = settings.vaults.iter().filter(|vault| only.is_none_or(|name| name == vault.name));
        for setting in chosen {
            match vault::open(setting) {
                Ok(vault) => shelves.open.push(Shelf { name: setting.name.clone(), vault }),
                Err(source) => {
                    shelves.closed.push(ShelfError::Vault { vault: setting.name.clone(), source });
                }
            }
        }
        match only {
            Some(name) if shelves.open.is_empty() && shelves.closed.is_empty() => {
                Err(ShelfError::Unnamed { vault: name.to_owned() })
            }
            _ => Ok(shelves),
        }
    }

    /// Finds an ice. If a vault that might hold it did not open, that is said, and is the error if no other vault has it.
    pub(crate) fn find(
        mut self,
        which: &Which,
        monitor: &dyn Monitor,
    ) -> Result<(Shelf, StoredRecord), Failed> {
        let mut found: Option<(usize, IceId)> = None;
        let mut dated_last: Option<IceId> = None;
        for (place, shelf) in self.open.iter().enumerate() {
            let newest = match which {
                Which::Exactly(id) => shelf.holds(id)?.then(|| id.clone()),
                Which::Latest(host) => {
                    let ids = shelf.ids(Some(host))?;
                    let dated = ids.iter().chain(&dated_last).max_by(|a, b| a.snapshot().cmp(b.snapshot()));
                    dated_last = dated.cloned();
                    ids.into_iter().max()
                }
            };
            if let Some(id) = newest
                && found.as_ref().is_none_or(|(_, best)| *best < id)
            {
                found = Some((place, id));
            }
        }
        let closed = std::mem::take(&mut self.closed);
        match found {
            Some((place, id)) => {
                closed.into_iter().for_each(|error| monitor.warn(&Failed::from(error).chain()));
                if let Some(other) = dated_last.filter(|other| other.snapshot() > id.snapshot()) {
                    monitor.warn(&format!(
                        "the latest is {id} by its number, but {other} has a later date: the server's clock was ahead once, or its history was begun anew; in that case name {other}"
                    ));
                }
                let shelf = self.open.swap_remove(place);
                let record = shelf.record(&id)?;
                Ok((shelf, record))
            }
            None => Err(closed
                .into_iter()
                .next()
                .unwrap_or_else(|| ShelfError::Nothing { ice: which.clone() })
                .into()),
        }
    }
}

impl Shelf {
    /// The ices whose record is there, of one host or of all, oldest first for each host.
    pub(crate) fn ids(&self, host: Option<&HostId>) -> Result<Vec<IceId>, ShelfError> {
        let folder = host.map_or_else(|| "ice/".to_owned(), |host| format!("ice/{host}/"));
        let folder: ObjectFolder = folder.parse()?;
        let mut ids = Vec::new();
        for name in self.vault.list(&folder).map_err(|source| self.failed(source))? {
            let name = name.map_err(|source| self.failed(source))?;
            ids.extend(IceId::of_record_object(name.as_str()));
        }
        ids.sort();
        Ok(ids)
    }

    fn holds(&self, id: &IceId) -> Result<bool, ShelfError> {
        match self.fetch(&id.record_object()) {
            Ok(_) => Ok(true),
            Err(ShelfError::Vault { source: VaultError::Missing { .. }, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The record of an ice, checked.
    pub(crate) fn record(&self, id: &IceId) -> Result<StoredRecord, ShelfError> {
        let from = self.fetch(&id.record_object())?;
        // A copy of the objects alone must be as good for a restore.
        let stored = self.record_lock(id).ok().map(|lock| lock.hash);
        Ok(read_record(id, from, stored)?)
    }

    /// What the vault says about the lock of an ice's record, which was stored last.
    pub(crate) fn record_lock(&self, id: &IceId) -> Result<Lock, ShelfError> {
        let name: ObjectName = id.record_object().parse()?;
        self.vault.lock(&name.into()).map_err(|source| self.failed(source))
    }

    /// The bytes of an object, unchecked.
    pub(crate) fn fetch(&self, object: &str) -> Result<Box<dyn Read + Send>, ShelfError> {
        let name: ObjectName = object.parse()?;
        self.vault.fetch(&name.into()).map_err(|source| self.failed(source))
    }

    /// The bytes of a segment, unchecked.
    pub(crate) fn fetch_segment(&self, segment: &Segment) -> Result<Box<dyn Read + Send>, ShelfError> {
        self.of_segment(segment, |object| self.vault.fetch(object))
    }

    /// Asks for a segment to be made readable.
    pub(crate) fn thaw(&self, segment: &Segment, wish: Wish) -> Result<Thawed, ShelfError> {
        self.of_segment(segment, |object| self.vault.thaw(object, wish))
    }

    /// By the version that the record names. A copy of the objects in another vault has other versions or none, and is as good: its hash is
    /// compared in any case.
    fn of_segment<T>(
        &self,
        segment: &Segment,
        call: impl Fn(&ObjectRef) -> vault::Result<T>,
    ) -> Result<T, ShelfError> {
        let name: ObjectName = segment.object.parse()?;
        let version = segment.version.as_deref().map(str::parse).transpose()?;
        let first = ObjectRef { name: name.clone(), version };
        let answer = match call(&first) {
            Err(VaultError::Missing { .. }) if first.version.is_some() => call(&name.into()),
            answer => answer,
        };
        answer.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: VaultError) -> ShelfError {
        ShelfError::Vault { vault: self.name.clone(), source }
    }
}
