//! The vaults of the settings, and the ices in them.

use std::io::{self, Read};

use cli::{Exit, Failure, shown};
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

/// Whose fault it is that the body of an object cannot be read on. A vault asks for the rest where a line breaks, and may then be refused.
pub(crate) fn while_reading(error: &io::Error) -> Option<&VaultError> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// With which code a run ends that cannot read the body of an object on.
pub(crate) fn exit_while_reading(error: &io::Error) -> Exit {
    while_reading(error).map_or(Exit::VAULT_UNREACHABLE, |fault| Exit::of(fault.exit_code()))
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

    /// Whether the record of an ice is there.
    pub(crate) fn holds(&self, id: &IceId) -> Result<bool, ShelfError> {
        match self.fetch(&id.record_object()) {
            Ok(_) | Err(ShelfError::Vault { source: VaultError::Frozen { .. }, .. }) => Ok(true),
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

    /// Asks for an object without a version to be made readable; none if it is not there.
    pub(crate) fn thaw_object(&self, object: &str, wish: Wish) -> Result<Option<Thawed>, ShelfError> {
        let name: ObjectName = object.parse()?;
        match self.vault.thaw(&name.into(), wish) {
            Ok(thawed) => Ok(Some(thawed)),
            Err(VaultError::Missing { .. }) => Ok(None),
            Err(source) => Err(self.failed(source)),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vault_that_refuses_or_has_frozen_the_rest_of_a_body_is_told_as_such() {
        let said = || io::Error::other("said");
        let denied = VaultError::Denied { step: "fetch it".to_owned(), permission: None, source: said() };
        let frozen = VaultError::Frozen { object: "ice/web01/x".parse().unwrap() };
        let away = VaultError::Unreachable { step: "fetch it".to_owned(), source: said() };
        for (error, exit) in [
            (io::Error::other(denied), Exit::VAULT_DENIED),
            (io::Error::other(frozen), Exit::FROZEN),
            (io::Error::other(away), Exit::VAULT_UNREACHABLE),
            (said(), Exit::VAULT_UNREACHABLE),
            (io::ErrorKind::TimedOut.into(), Exit::VAULT_UNREACHABLE),
        ] {
            assert_eq!(exit_while_reading(&error), exit, "{error:?}");
        }
    }
}
