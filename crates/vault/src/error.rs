//! What can go wrong with a vault, and the exit code of each.

use std::io;

use chrono::{DateTime, Utc};

use crate::ObjectName;
use crate::stamp::utc_text;

/// The result of every call here.
pub type Result<T> = std::result::Result<T, VaultError>;

/// Why a vault did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The setting names no vault.
    #[error("{url:?} is no vault: expected file:/ and a path, as file:/srv/vault")]
    Url {
        /// What the setting says, at most 256 characters of it.
        url: String,
    },
    /// The bytes to be stored were not those announced; nothing was stored.
    #[error("{object}: {what}")]
    Content {
        /// Under which name they were to be stored.
        object: ObjectName,
        /// What is wrong with them.
        what: &'static str,
        /// Why they could not be read, if that was it.
        source: Option<io::Error>,
    },
    /// The vault could not be reached, or failed; the answer is not known.
    #[error("the vault failed to {step}")]
    Unreachable {
        /// What was being done, with the name it was done to.
        step: String,
        /// What the system or the store said.
        source: io::Error,
    },
    /// There is no object under this name.
    #[error("{object} is not in the vault")]
    Missing {
        /// The name.
        object: ObjectName,
    },
    /// There is an object under this name already; objects are never written again.
    #[error("{object} is in the vault already")]
    Exists {
        /// The name.
        object: ObjectName,
    },
    /// An object is there, but its lock is not, or is not its own.
    #[error("{object} has no lock: {why}")]
    LockMissing {
        /// The object.
        object: ObjectName,
        /// In which way.
        why: &'static str,
    },
    /// The date asked for cannot be promised.
    #[error("{object} cannot be locked until {}: {why}", utc_text(.asked))]
    LockRefused {
        /// The object.
        object: ObjectName,
        /// The date that was asked for.
        asked: DateTime<Utc>,
        /// Why not.
        why: &'static str,
    },
}

impl VaultError {
    /// The exit code of a program that ends for this reason (docs/exit-codes.md).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            VaultError::Url { .. } => 2,
            VaultError::Content { .. } => 28,
            VaultError::Unreachable { .. } => 30,
            VaultError::Missing { .. } => 31,
            VaultError::Exists { .. } | VaultError::LockMissing { .. } | VaultError::LockRefused { .. } => 32,
        }
    }

    pub(crate) fn failed<E: Into<io::Error>>(step: &str, on: &str) -> impl FnOnce(E) -> VaultError {
        let step = format!("{step} {on}");
        move |source| VaultError::Unreachable { step, source: source.into() }
    }
}
