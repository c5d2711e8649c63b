//! What can go wrong between the staging folder and a vault.

use std::io;

use cli::{Exit, Failure};
use formats::HostId;
use formats::records::ice::IceError;
use formats::records::ice_id::IceIdError;
use vault::VaultError;

use crate::seal::SealError;
use crate::staging::StagingError;

/// Why an image could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The vault failed or refused.
    #[error("vault {vault}")]
    Vault {
        /// Its name.
        vault: String,
        /// Why.
        source: VaultError,
    },
    /// The vault says that an object is not the one that was put there, or locked for less than asked.
    #[error("vault {vault}: {object}: {what}")]
    Lock {
        /// Its name.
        vault: String,
        /// The object.
        object: String,
        /// What is wrong.
        what: &'static str,
    },
    /// Locks of an ice are not as long as they should be; those of its other objects are.
    #[error("vault {vault}: {number} objects of {ice} do not stay locked: {objects}")]
    Unextended {
        /// Its name.
        vault: String,
        /// Which ice.
        ice: String,
        /// How many objects.
        number: usize,
        /// Their names, or those of the first.
        objects: String,
        /// Why the first of them.
        source: Box<StoreError>,
    },
    /// The staging folder failed.
    #[error(transparent)]
    Staging(#[from] StagingError),
    /// A segment could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The image has changed since it was proved.
    #[error("the image in the staging folder is not the one that was proved")]
    ImageChanged,
    /// The image has what was redacted from the history since it was made.
    #[error("something was redacted from {host} while its image was put, and the image still has it")]
    Redacted {
        /// Whose it is.
        host: HostId,
    },
    /// The log that would tell cannot be read.
    #[error(transparent)]
    History(#[from] history::Error),
    /// The record that was put together would be refused by whoever reads it.
    #[error("no record can be made of this ice, and nothing of it counts")]
    Record(#[source] IceError),
    /// A worker panicked.
    #[error("a worker ended before its segment was stored")]
    Worker,
    /// The snapshot has been sealed too often, or is misnamed.
    #[error("no id for this ice")]
    Id(#[source] IceIdError),
}

impl Failure for StoreError {
    fn exit(&self) -> Exit {
        match self {
            StoreError::Vault { source, .. } => Exit::of(source.exit_code()),
            StoreError::Lock { .. } => Exit::LOCK_MISSING,
            StoreError::Redacted { .. } => Exit::BUSY,
            StoreError::History(error) if error.is_damage() => Exit::DAMAGED,
            StoreError::History(_) => Exit::MACHINE,
            StoreError::Unextended { source, .. } => source.exit(),
            StoreError::Staging(error) => error.exit(),
            StoreError::Seal(SealError::Write(error)) if is_full(error.as_ref()) => Exit::NO_STAGING,
            StoreError::Seal(SealError::Recipients) | StoreError::Worker | StoreError::Id(_) => Exit::BUG,
            StoreError::Seal(_) => Exit::MACHINE,
            StoreError::ImageChanged | StoreError::Record(_) => Exit::DAMAGED,
        }
    }

    fn advice(&self) -> Option<String> {
        match self {
            StoreError::Vault { source: VaultError::Unreachable { .. }, .. } => {
                Some("the image is kept: the next run goes on where this one stopped".to_owned())
            }
            StoreError::Vault { source, .. } => source.advice(),
            StoreError::Redacted { .. } => Some(
                "the image is dropped, and the next run makes another; what the vault has of it stays there until its locks end, and makes no ice".to_owned(),
            ),
            StoreError::Unextended { .. } => Some(
                "see what became of them: restore-drill verify; iceboxer run --again seals the newest snapshot anew".to_owned(),
            ),
            StoreError::Staging(error) => error.advice(),
            StoreError::ImageChanged => {
                Some("check the disk of the staging folder; the image is dropped, and made anew".to_owned())
            }
            StoreError::Record(_) => Some(
                "empty this host's staging folder, so that the next run makes a new image; if it fails again, report it: iceboxer run --again seals without what the vault has already".to_owned(),
            ),
            _ => None,
        }
    }
}

fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::StorageFull) {
            return true;
        }
        next = error.source();
    }
    false
}

/// Said of an object that is there, but is another one.
pub(super) const OTHER_OBJECT: &str = "it is not the object that was put there";

/// Said of a lock that a vault did not make as long as it said it would.
pub(super) const SHORT: &str = "it is locked for less than was asked";

/// Said of an object of an unfinished ice whose lock nobody can make longer.
pub(super) const TOO_SHORT: &str = "its lock is too short, and cannot be made longer";

/// Said of an object that was stored before a certificate had the key that it has now.
pub(super) const OTHER_KEY: &str = "a certificate had another key when it was sealed";

/// Said of an ice that was all but whole when an earlier run was cut short.
pub(super) const LOST: &str = "a segment that was there before is not there any more";

impl StoreError {
    /// What was in the vault before is not there any more.
    pub(super) fn is_lost(&self) -> bool {
        matches!(
            self,
            StoreError::Vault { source: VaultError::Missing { .. } | VaultError::LockMissing { .. }, .. }
        )
    }

    /// What the folder holds is of no use for the ice under way.
    pub(super) fn is_spoiled(&self) -> bool {
        match self {
            StoreError::Vault { source: VaultError::Exists { .. } | VaultError::Altered { .. }, .. } => true,
            StoreError::Lock { what, .. } => [OTHER_OBJECT, OTHER_KEY, LOST, TOO_SHORT].contains(what),
            _ => false,
        }
    }
}
