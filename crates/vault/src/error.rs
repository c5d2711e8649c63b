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
    #[error(
        "{url:?} is no vault: expected file:/srv/vault, s3:bucket, gs:bucket, s3:bucket/prefix/, gs:bucket/prefix/ or glacier:vault"
    )]
    Url {
        /// What the setting says, at most 256 characters of it.
        url: String,
    },
    /// Another setting of the vault cannot be used.
    #[error("`{key}` {what}")]
    Setting {
        /// Which.
        key: &'static str,
        /// What is wrong and what was expected, as the end of a sentence that begins with the key.
        what: String,
    },
    /// The credentials could not be had. What they say is never part of this.
    #[error("the credentials of the vault cannot be read: {from}: {what}")]
    Credentials {
        /// The file or the command.
        from: String,
        /// What is wrong.
        what: &'static str,
        /// What the system said, if that was it.
        source: Option<io::Error>,
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
    /// The provider refused the credentials, or what they may do.
    #[error("the vault refused to {step}")]
    Denied {
        /// What was being done, with the name it was done to.
        step: String,
        /// The permission that is needed, if the credentials are known but may not do this.
        permission: Option<&'static str>,
        /// What the provider said.
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
    /// It is archived, and cannot be read before it is thawed.
    #[error("{object} is archived, and must be thawed first")]
    Frozen {
        /// The name.
        object: ObjectName,
    },
    /// The vault does not say at once what it holds, and has been asked to.
    #[error("what the vault holds is not known here, and its inventory takes hours: {why}")]
    Inventory {
        /// How far that is.
        why: &'static str,
    },
    /// It is archived in a class that does not thaw that way.
    #[error("{object} cannot be thawed like that: {why}")]
    Tier {
        /// The name.
        object: ObjectName,
        /// Why not.
        why: &'static str,
    },
    /// What the vault holds is not what was put there.
    #[error("{object} was altered in the vault: {why}")]
    Altered {
        /// The object.
        object: ObjectName,
        /// In which way.
        why: &'static str,
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
            VaultError::Url { .. } | VaultError::Setting { .. } | VaultError::Tier { .. } => 2,
            VaultError::Content { .. } => 28,
            VaultError::Unreachable { .. } => 30,
            VaultError::Missing { .. } => 31,
            VaultError::Exists { .. } | VaultError::LockMissing { .. } | VaultError::LockRefused { .. } => 32,
            VaultError::Frozen { .. } | VaultError::Inventory { .. } => 35,
            VaultError::Credentials { .. } | VaultError::Denied { .. } => 36,
            VaultError::Altered { .. } => 37,
        }
    }

    /// True for mistakes in the settings, which another run would make again.
    #[must_use]
    pub fn is_setting(&self) -> bool {
        matches!(self, VaultError::Url { .. } | VaultError::Setting { .. })
    }

    /// What a person can do about it, where that is known.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        match self {
            VaultError::Denied { permission: Some(permission), .. } => {
                Some(format!("the vault's credentials need {permission}; iceboxer setup prints all they need, and no more"))
            }
            VaultError::Denied { permission: None, .. } => {
                Some("check the vault's credentials, and the clock of this machine".to_owned())
            }
            VaultError::Credentials { .. } => Some(
                "it must be for its owner only (chmod 600); for s3: it says access_key_id = \"...\" and secret_access_key = \"...\", for gs: it is the JSON key of a service account".to_owned(),
            ),
            VaultError::Frozen { .. } => Some("ask for it with restore-drill thaw, and come back when it is there".to_owned()),
            VaultError::Inventory { .. } => Some("do the same again in some hours; nothing else is needed".to_owned()),
            VaultError::LockMissing { .. } => {
                Some("the vault keeps no promise it cannot show: see whether its bucket has object lock (s3: with versioning; gs: a locked retention policy, or object retention)".to_owned())
            }
            _ => None,
        }
    }

    pub(crate) fn failed<E: Into<io::Error>>(step: &str, on: &str) -> impl FnOnce(E) -> VaultError {
        let step = format!("{step} {on}");
        move |source| VaultError::Unreachable { step, source: source.into() }
    }
}
