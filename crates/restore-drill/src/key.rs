//! The secret keys, unlocked.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use cli::{Exit, Failed, Failure, Monitor, shown};
use formats::records::ice_id::Fingerprint;
use sequoia_openpgp::cert::{Cert, CertParser};
use sequoia_openpgp::crypto::Password;
use sequoia_openpgp::packet::PKESK;
use sequoia_openpgp::packet::key::{SecretParts, UnspecifiedRole};
use sequoia_openpgp::packet::prelude::Key;
use sequoia_openpgp::parse::Parse;

use crate::args::Source;
use crate::passphrase;
use crate::settings::Settings;

/// Longest key file.
const KEY_FILE_BYTES_MAX: u64 = 16 << 20;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("no secret key was named")]
    Unnamed,
    #[error("{}: failed to read the secret key", shown(.path.as_os_str().as_encoded_bytes()))]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{}: not an OpenPGP key: {text}", shown(.path.as_os_str().as_encoded_bytes()))]
    Malformed { path: PathBuf, text: String },
    #[error("{}: holds no secret key that decrypts", shown(.path.as_os_str().as_encoded_bytes()))]
    NoSecret { path: PathBuf },
    #[error("{}: the passphrase opens none of its keys", shown(.path.as_os_str().as_encoded_bytes()))]
    WrongPassphrase { path: PathBuf },
}

impl Failure for KeyError {
    fn exit(&self) -> Exit {
        match self {
            KeyError::Unnamed | KeyError::Unreadable { .. } => Exit::USAGE,
            KeyError::Malformed { .. } | KeyError::NoSecret { .. } | KeyError::WrongPassphrase { .. } => {
                Exit::WRONG_KEY
            }
        }
    }

    fn advice(&self) -> Option<String> {
        match self {
            KeyError::Unnamed => Some("name a file with --key, or as key in the settings".to_owned()),
            KeyError::NoSecret { .. } => {
                Some("gpg --export-secret-keys FINGERPRINT makes a file that holds it".to_owned())
            }
            _ => None,
        }
    }
}

/// Secret keys that are ready to decrypt. The libraries keep them encrypted in memory, and wipe them when they are dropped.
pub(crate) struct Secrets(Vec<Unlocked>);

struct Unlocked {
    certificate: String,
    key: Key<SecretParts, UnspecifiedRole>,
}

/// A secret key that may open a message.
pub(crate) struct Candidate<'a> {
    /// Of its certificate, if that is of version 4.
    pub(crate) fingerprint: Option<Fingerprint>,
    /// The key itself.
    pub(crate) key: &'a Key<SecretParts, UnspecifiedRole>,
}

impl Secrets {
    /// None at all.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Secrets(Vec::new())
    }

    /// Reads and unlocks the keys that the command line names, or else the settings.
    ///
    /// Neither expiry nor revocation matter here: what was sealed once must be opened years later.
    pub(crate) fn load(source: &Source, settings: &Settings, monitor: &dyn Monitor) -> Result<Self, Failed> {
        let files = match source.key.as_slice() {
            [] => settings.key.as_slice().to_vec(),
            named => named.to_vec(),
        };
        if files.is_empty() {
            return Err(KeyError::Unnamed.into());
        }
        let passphrase_file = source.passphrase_file.as_ref().or(settings.passphrase_file.as_ref());
        let from_file = passphrase_file.map(|path| passphrase::from_file(path, monitor)).transpose()?;
        let mut unlocked = Vec::new();
        for path in &files {
            unlocked.extend(unlock_file(path, from_file.as_ref(), monitor)?);
        }
        Ok(Secrets(unlocked))
    }

    /// The keys that may open `pkesk`: the one it names, or all if it names none.
    pub(crate) fn for_packet(&self, pkesk: &PKESK) -> impl Iterator<Item = Candidate<'_>> {
        let recipient = pkesk.recipient();
        let named = move |unlocked: &&Unlocked| match &recipient {
            Some(handle) => unlocked.key.key_handle().aliases(handle),
            None => true,
        };
        self.0
            .iter()
            .filter(named)
            .map(|unlocked| Candidate { fingerprint: unlocked.certificate.parse().ok(), key: &unlocked.key })
    }
}

fn unlock_file(
    path: &Path,
    passphrase: Option<&Password>,
    monitor: &dyn Monitor,
) -> Result<Vec<Unlocked>, Failed> {
    let mut secret = 0u32;
    let mut unlocked = Vec::new();
    for cert in certificates(path, monitor)? {
        // Asked for once for each certificate, whose keys share it.
        let mut asked = passphrase.cloned();
        for key in cert.keys().secret().filter(|key| key.key().pk_algo().for_encryption()) {
            secret += 1;
            if let Some(key) = unlock(&cert, key.key().clone(), &mut asked)? {
                unlocked.push(Unlocked { certificate: cert.fingerprint().to_hex(), key });
            }
        }
    }
    match unlocked.is_empty() {
        false => Ok(unlocked),
        true if secret == 0 => Err(KeyError::NoSecret { path: path.to_owned() }.into()),
        true => Err(KeyError::WrongPassphrase { path: path.to_owned() }.into()),
    }
}

fn certificates(path: &Path, monitor: &dyn Monitor) -> Result<Vec<Cert>, KeyError> {
    let unreadable = |source| KeyError::Unreadable { path: path.to_owned(), source };
    let malformed = |error: sequoia_openpgp::anyhow::Error| KeyError::Malformed {
        path: path.to_owned(),
        text: error.to_string(),
    };
    let file = File::open(path).map_err(unreadable)?;
    let facts = file.metadata().map_err(unreadable)?;
    if facts.is_dir() {
        return Err(unreadable(std::io::ErrorKind::IsADirectory.into()));
    }
    if facts.mode() & 0o077 != 0 {
        let name = shown(path.as_os_str().as_encoded_bytes());
        monitor.warn(&format!("{name}: others on this machine may read this secret key"));
    }
    let parser = CertParser::from_reader(file.take(KEY_FILE_BYTES_MAX)).map_err(malformed)?;
    parser.collect::<Result<Vec<Cert>, _>>().map_err(malformed)
}

/// The key, ready to use; none if the passphrase does not open it.
fn unlock(
    cert: &Cert,
    key: Key<SecretParts, UnspecifiedRole>,
    passphrase: &mut Option<Password>,
) -> Result<Option<Key<SecretParts, UnspecifiedRole>>, Failed> {
    if key.has_unencrypted_secret() {
        return Ok(Some(key));
    }
    let passphrase = match passphrase {
        Some(known) => known,
        None => passphrase.insert(passphrase::from_terminal(&cert.fingerprint().to_hex())?),
    };
    Ok(key.decrypt_secret(passphrase).ok())
}
