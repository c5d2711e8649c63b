//! The certificates that ice is sealed to: read, held against what the settings pin, and refused for any doubt. All of this happens before a
//! byte of any history is read.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{DateTime, TimeDelta, Utc};
use cli::{Exit, Failure, shown};
use formats::HostId;
use formats::records::ice_id::Fingerprint;
use sequoia_openpgp as openpgp;

use openpgp::Cert;
use openpgp::cert::CertParser;
use openpgp::cert::Preferences;
use openpgp::cert::prelude::ValidCert;
use openpgp::packet::Key;
use openpgp::packet::key::{PublicParts, SubordinateRole};
use openpgp::parse::Parse;
use openpgp::policy::StandardPolicy;
use openpgp::types::{KeyFlags, RevocationStatus};

/// Longest certificate file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Days before the end at which a person is told, the last one with the most urgency.
const WARN_DAYS: [i64; 3] = [180, 90, 30];

/// A key made so soon after its certificate was made with it: slow machines take minutes.
const WITH_ITS_CERTIFICATE: TimeDelta = TimeDelta::hours(1);

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("certificate {}", shown(.path.as_os_str().as_encoded_bytes()))]
pub struct CertificateError {
    path: PathBuf,
    source: Fault,
}

/// What is wrong with a certificate.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file cannot be read.
    #[error("its file cannot be read")]
    Unreadable(#[source] io::Error),
    /// It is longer than any certificate file.
    #[error("its file is longer than {FILE_BYTES_MAX} bytes")]
    TooLong,
    /// It holds secret key material.
    #[error("its file holds a secret key, which must never lie on this machine")]
    Secret,
    /// It is no certificate.
    #[error("its file is no OpenPGP certificate")]
    Malformed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// There is more than one.
    #[error("its file holds more than one certificate or other things beside it")]
    Several,
    /// It is not the pinned one.
    #[error("its fingerprint is {found}, and the settings pin {pinned}")]
    OtherFingerprint {
        /// What the file holds.
        found: String,
        /// What the settings say.
        pinned: Fingerprint,
    },
    /// It has expired, or begins in the future.
    #[error("it is not valid today")]
    NotAlive(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Somebody has revoked it.
    #[error("it is revoked")]
    Revoked,
    /// Nothing vouches for it but signatures that can be forged (SHA-1), or nothing at all.
    #[error("its own signatures are too weak or missing")]
    Weak(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It cannot be encrypted to.
    #[error("it has no encryption key that is valid today")]
    NoEncryptionKey,
}

impl CertificateError {
    /// What is wrong with it.
    #[must_use]
    pub fn fault(&self) -> &Fault {
        &self.source
    }
}

impl Failure for CertificateError {
    fn exit(&self) -> Exit {
        Exit::CERTIFICATE
    }

    fn advice(&self) -> Option<String> {
        let advice = match self.source {
            Fault::Secret => {
                "move the secret key to a machine that never touches this network, and export only the public part: gpg --export FINGERPRINT"
            }
            Fault::Several => "export one certificate into each file: gpg --export FINGERPRINT",
            Fault::NotAlive(_) | Fault::NoEncryptionKey => {
                "extend its life where the secret key is kept, and export it again: gpg --quick-set-expire FINGERPRINT 3y '*'"
            }
            Fault::OtherFingerprint { .. } => {
                "find out who changed the file; change the settings only if it was you"
            }
            Fault::Weak(_) => {
                "sign it again with SHA-256: gpg --cert-digest-algo SHA256 --quick-set-expire FINGERPRINT 3y"
            }
            _ => return None,
        };
        Some(advice.to_owned())
    }
}

/// A certificate that was found good, and the one key of it that everything is encrypted to.
#[derive(Debug, Clone)]
pub struct Recipient {
    fingerprint: Fingerprint,
    key: Key<PublicParts, SubordinateRole>,
    key_since: DateTime<Utc>,
    container: Container,
    ends: Option<DateTime<Utc>>,
    hosts: Vec<HostId>,
}

/// How a message is encrypted, weaker first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Container {
    /// SEIPD version 1: what GnuPG reads.
    Seipd1,
    /// SEIPD version 2, with AEAD: what a certificate must say that its owner's program reads.
    Seipd2,
}

impl Recipient {
    /// Reads the certificate in `path` and refuses it unless it can be used today and is the pinned one.
    ///
    /// # Errors
    /// [`CertificateError`] (exit 33).
    pub fn load(path: &Path, pinned: &Fingerprint, now: SystemTime) -> Result<Self, CertificateError> {
        read(path)
            .and_then(|(bytes, changed)| Self::vet(&bytes, changed, pinned, now))
            .map_err(|source| CertificateError { path: path.to_owned(), source })
    }

    fn vet(
        bytes: &[u8],
        changed: DateTime<Utc>,
        pinned: &Fingerprint,
        now: SystemTime,
    ) -> Result<Self, Fault> {
        let cert = single(bytes)?;
        let found = cert.fingerprint().to_hex();
        if found != pinned.as_str() {
            return Err(Fault::OtherFingerprint { found, pinned: pinned.clone() });
        }
        let policy = StandardPolicy::new();
        if !matches!(cert.revocation_status(&policy, now), RevocationStatus::NotAsFarAsWeKnow) {
            return Err(Fault::Revoked);
        }
        let valid = cert.with_policy(&policy, now).map_err(|error| Fault::Weak(error.into()))?;
        valid.alive().map_err(|error| Fault::NotAlive(error.into()))?;
        let (key, key_ends) = encryption_key(&valid).ok_or(Fault::NoEncryptionKey)?;
        let ends = [key_ends, valid.primary_key().key_expiration_time()].into_iter().flatten().min();
        let aead = valid.features().is_some_and(|features| features.supports_seipdv2());
        let container = if aead { Container::Seipd2 } else { Container::Seipd1 };
        let key_since = key_since(&key, valid.cert(), changed);
        Ok(Self {
            fingerprint: pinned.clone(),
            key,
            key_since,
            container,
            ends: ends.map(DateTime::from),
            hosts: Vec::new(),
        })
    }

    /// The same, for the ice of these hosts and no others.
    #[must_use]
    pub fn only_for(self, hosts: Vec<HostId>) -> Self {
        Self { hosts, ..self }
    }

    /// Those that the ice of `host` is sealed to: the ones that name it, or else the ones that name no host.
    #[must_use]
    pub fn of_host(all: &[Recipient], host: &HostId) -> Vec<Recipient> {
        let naming: Vec<Recipient> = all.iter().filter(|one| one.hosts.contains(host)).cloned().collect();
        match naming.is_empty() {
            true => all.iter().filter(|one| one.hosts.is_empty()).cloned().collect(),
            false => naming,
        }
    }

    /// Fingerprint of the certificate.
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The key to encrypt to.
    pub(crate) fn key(&self) -> &Key<PublicParts, SubordinateRole> {
        &self.key
    }

    /// What is older than this was sealed to another key of the certificate, or may have been: it is as good as sealed to somebody else.
    pub(crate) fn key_since(&self) -> DateTime<Utc> {
        self.key_since
    }

    /// The best that its owner can read.
    pub(crate) fn container(&self) -> Container {
        self.container
    }

    /// When it ends, if ever.
    #[must_use]
    pub fn ends(&self) -> Option<DateTime<Utc>> {
        self.ends
    }

    /// What a person should hear about the end of this certificate, from 180 days before it.
    #[must_use]
    pub fn warning(&self, now: DateTime<Utc>) -> Option<String> {
        let ends = self.ends?;
        let days = (ends - now).num_days();
        let urgency = match WARN_DAYS.iter().filter(|limit| days < **limit).count() {
            0 => return None,
            1 => "extend it within the next months",
            2 => "extend it soon",
            _ => "extend it now, or no more ice can be made",
        };
        let date = ends.format("%Y-%m-%d");
        Some(format!("certificate {} ends in {days} days, on {date}: {urgency}", self.fingerprint))
    }
}

/// What is in the file, and when it came to be so. Not when it was last written: a copy can bring that along from elsewhere.
fn read(path: &Path) -> Result<(Vec<u8>, DateTime<Utc>), Fault> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Fault::Unreadable)?;
    let changed = file.metadata().map_err(Fault::Unreadable)?.ctime();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(Fault::Unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(Fault::TooLong);
    }
    Ok((bytes, DateTime::from_timestamp(changed, 0).unwrap_or(DateTime::<Utc>::MAX_UTC)))
}

/// From when on what is sealed here is sealed to this key, of this certificate. Where all keys were made with the certificate, from the day it was
/// made. Where one came later, this key may have taken the place of another, or another that of this one for a while: that ended when the
/// certificate was brought here, which may be long after its keys were made.
fn key_since(key: &Key<PublicParts, SubordinateRole>, cert: &Cert, changed: DateTime<Utc>) -> DateTime<Utc> {
    let made = DateTime::<Utc>::from(key.creation_time());
    let first = DateTime::<Utc>::from(cert.primary_key().key().creation_time());
    let came_later = |made: SystemTime| DateTime::<Utc>::from(made) - first > WITH_ITS_CERTIFICATE;
    let is_rotated = cert.keys().subkeys().any(|other| came_later(other.key().creation_time()));
    if is_rotated { made.max(changed) } else { made }
}

/// The one certificate in a file, armoured or binary. The parser stops after the first armoured block, so blocks are counted by their headers.
fn single(bytes: &[u8]) -> Result<Cert, Fault> {
    let blocks = |header: &[u8]| bytes.windows(header.len()).filter(|window| *window == header).count();
    if blocks(b"-----BEGIN PGP PRIVATE KEY BLOCK") > 0 {
        return Err(Fault::Secret);
    }
    if blocks(b"-----BEGIN PGP ") > 1 {
        return Err(Fault::Several);
    }
    let certs = CertParser::from_bytes(bytes).map_err(|error| Fault::Malformed(error.into()))?;
    let mut first = None;
    let mut broken = None;
    let mut number = 0;
    for cert in certs {
        number += 1;
        match cert {
            Ok(cert) if cert.is_tsk() => return Err(Fault::Secret),
            Ok(cert) => first = first.or(Some(cert)),
            Err(error) => broken = broken.or(Some(error)),
        }
    }
    match (first, broken, number) {
        (Some(cert), None, 1) => Ok(cert),
        (None, Some(error), _) => Err(Fault::Malformed(error.into())),
        (None, None, _) => Err(Fault::Malformed("it is empty".into())),
        _ => Err(Fault::Several),
    }
}

/// The newest subkey for encryption that is valid now, as GnuPG chooses it, and its end.
fn encryption_key(valid: &ValidCert<'_>) -> Option<(Key<PublicParts, SubordinateRole>, Option<SystemTime>)> {
    let flags = KeyFlags::empty().set_storage_encryption().set_transport_encryption();
    valid
        .keys()
        .subkeys()
        .supported()
        .alive()
        .revoked(false)
        .key_flags(flags)
        .max_by_key(|key| key.key().creation_time())
        .map(|key| (key.key().clone(), key.key_expiration_time()))
}
