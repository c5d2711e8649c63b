//! A key. It says which server wrote something, and nothing more: it opens nothing.
//!
//! It is made here, once, and never leaves: `signing-key.pgp`, for its owner only. Beside it lies the certificate, `signing-key.asc`, which
//! other machines are given.

use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cli::{Exit, Failure, shown};
use durable::{Dir, Name};
use formats::records::ice_id::Fingerprint;
use openpgp::Cert;
use openpgp::cert::{CertBuilder, CipherSuite};
use openpgp::crypto::KeyPair;
use openpgp::parse::Parse;
use openpgp::serialize::SerializeInto;
use openpgp::serialize::stream;
use openpgp::types::KeyFlags;
use sequoia_openpgp as openpgp;
use zeroize::Zeroizing;

/// The key, for its owner only.
const KEY: Name<'static> = Name::literal("signing-key.pgp");
/// Its certificate, for everybody.
pub const CERTIFICATE: Name<'static> = Name::literal("signing-key.asc");
/// Longest file of a key.
const KEY_BYTES_MAX: u64 = 64 * 1024;
/// 2020-01-01: a clock that is wrong on the first day must not make a key from the future.
const CREATED: Duration = Duration::from_secs(1_577_836_800);

/// Why nothing can be signed.
#[derive(Debug, thiserror::Error)]
#[error("the server's signing key in {}", shown(.folder.as_os_str().as_encoded_bytes()))]
pub struct SignerError {
    folder: PathBuf,
    source: Fault,
}

/// What is wrong with the key.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The folder or a file in it cannot be used.
    #[error(transparent)]
    Folder(#[from] durable::Error),
    /// The file cannot be read.
    #[error("its file cannot be read")]
    Read(#[from] std::io::Error),
    /// Others may read it.
    #[error("others than its owner may read it (mode {mode:04o})")]
    Open {
        /// Its mode.
        mode: u32,
    },
    /// It is not what was written there.
    #[error("its file holds no secret key that signs")]
    Malformed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It could not be made.
    #[error("it could not be made")]
    Make(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It did not sign.
    #[error("it did not sign")]
    Sign(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Failure for SignerError {
    fn exit(&self) -> Exit {
        match self.source {
            Fault::Folder(_) | Fault::Read(_) | Fault::Make(_) | Fault::Sign(_) => Exit::MACHINE,
            Fault::Open { .. } => Exit::USAGE,
            Fault::Malformed(_) => Exit::DAMAGED,
        }
    }

    fn advice(&self) -> Option<String> {
        match self.source {
            Fault::Open { .. } => Some("chmod 600 it, and think of who may have copied it".to_owned()),
            Fault::Malformed(_) => Some(
                "bring it back from a copy; without one, remove it: a new one is made, and its certificate must go wherever the old one was given".to_owned(),
            ),
            _ => None,
        }
    }
}

/// A key that is ready to sign.
pub struct Signer {
    folder: PathBuf,
    pair: KeyPair,
    fingerprint: Fingerprint,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl Signer {
    /// Reads the key in `folder`; makes one, and its certificate beside it, if there is none.
    ///
    /// # Errors
    /// [`SignerError`].
    pub fn open(folder: &Path) -> Result<Self, SignerError> {
        let failed = |source| SignerError { folder: folder.to_owned(), source };
        let dir = Dir::open_root(folder).map_err(|error| failed(error.into()))?;
        read(&dir).and_then(|cert| Self::of(folder, &cert)).map_err(failed)
    }

    /// The text - UTF-8, whole lines, none of which begins with a dash - as a clear-signed message of this time.
    ///
    /// # Errors
    /// [`SignerError`].
    pub fn sign(&self, text: &[u8], at: SystemTime) -> Result<Vec<u8>, SignerError> {
        let failed = |error: openpgp::anyhow::Error| SignerError {
            folder: self.folder.clone(),
            source: Fault::Sign(error.into()),
        };
        let mut signed = Vec::new();
        let message = stream::Message::new(&mut signed);
        let signer = stream::Signer::new(message, self.pair());
        let mut message =
            signer.and_then(|signer| signer.cleartext().creation_time(at).build()).map_err(failed)?;
        message.write_all(text).map_err(|error| failed(error.into()))?;
        message.finalize().map_err(failed)?;
        Ok(signed)
    }

    /// Fingerprint of its certificate.
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The key itself, for whoever signs something else than a text.
    #[must_use]
    pub fn pair(&self) -> KeyPair {
        self.pair.clone()
    }

    fn of(folder: &Path, cert: &Cert) -> Result<Self, Fault> {
        let malformed = |error: openpgp::anyhow::Error| Fault::Malformed(error.into());
        let key = cert.primary_key().key().clone().parts_into_secret().map_err(malformed)?;
        let fingerprint = cert.fingerprint().to_hex().parse();
        Ok(Self {
            folder: folder.to_owned(),
            pair: key.into_keypair().map_err(malformed)?,
            fingerprint: fingerprint.map_err(|_| Fault::Malformed("it is of another version".into()))?,
        })
    }
}

fn read(dir: &Dir) -> Result<Cert, Fault> {
    let file = match dir.open_read(KEY) {
        Err(error) if error.is_not_found() => return make(dir),
        answer => answer?,
    };
    let mode = file.metadata()?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(Fault::Open { mode });
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(KEY_BYTES_MAX).read_to_end(&mut bytes)?;
    Cert::from_bytes(bytes.as_slice()).map_err(|error| Fault::Malformed(error.into()))
}

/// The certificate is written first: a key whose certificate nobody has signs for nobody.
fn make(dir: &Dir) -> Result<Cert, Fault> {
    let failed = |error: openpgp::anyhow::Error| Fault::Make(error.into());
    let (cert, _) = CertBuilder::new()
        .add_userid("firn backup server")
        .set_cipher_suite(CipherSuite::Cv25519)
        .set_primary_key_flags(KeyFlags::empty().set_certification().set_signing())
        .set_creation_time(SystemTime::UNIX_EPOCH + CREATED)
        .generate()
        .map_err(failed)?;
    let key = Zeroizing::new(cert.as_tsk().armored().to_vec().map_err(failed)?);
    dir.write_whole(CERTIFICATE, &cert.armored().to_vec().map_err(failed)?, 0o644)?;
    dir.write_whole(KEY, &key, 0o600)?;
    Ok(cert)
}
