//! Why a proof failed.

use cli::{Exit, Failure};
use vault::VaultError;

/// Why a vault's locks are not proved.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// Attempts were not refused.
    #[error("vault {vault}: the credentials of this server can break its locks: {calls}")]
    Broken {
        /// The vault.
        vault: String,
        /// The calls, by name.
        calls: String,
    },
    /// The vault failed, or has no lock.
    #[error("vault {vault}: its locks could not be proved")]
    Vault {
        /// The vault.
        vault: String,
        /// Why.
        source: VaultError,
    },
    /// The settings name no such vault.
    #[error("no vault is called {name:?}")]
    NoSuchVault {
        /// What was asked for.
        name: String,
    },
}

impl Failure for ProveError {
    fn exit(&self) -> Exit {
        match self {
            ProveError::Broken { .. } => Exit::LOCK_MISSING,
            ProveError::Vault { source, .. } => Exit::of(source.exit_code()),
            ProveError::NoSuchVault { .. } => Exit::USAGE,
        }
    }

    fn advice(&self) -> Option<String> {
        match self {
            ProveError::Broken { .. } => Some(
                "take these rights away from the credentials; iceboxer setup prints all they need, and iceboxer prove-lock shows each call"
                    .to_owned(),
            ),
            ProveError::Vault { source, .. } => source.advice(),
            ProveError::NoSuchVault { .. } => Some("the names are those of [[vaults]] in the settings".to_owned()),
        }
    }
}
