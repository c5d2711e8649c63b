//! Sealing: one piece of an image becomes one OpenPGP message that GnuPG 2.2 and later open.
//!
//! This is encryption only. Nothing in this program can open what it sealed.

use std::io::{self, Read, Write};

use formats::ContentHash;
use sequoia_openpgp as openpgp;

use openpgp::KeyHandle;
use openpgp::serialize::stream::{Encryptor, LiteralWriter, Message, Recipient as To};
use openpgp::types::{Features, SymmetricAlgorithm};

use crate::certificate::Recipient;

/// Bytes that are read at a time.
pub(crate) const BUFFER_BYTES: usize = 1024 * 1024;

/// What went in and what came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    /// Length before.
    pub plain_bytes: u64,
    /// BLAKE3 before.
    pub plain_hash: ContentHash,
    /// Length after.
    pub bytes: u64,
    /// BLAKE3 after.
    pub hash: ContentHash,
}

/// Why a segment could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The piece of the image could not be read.
    #[error("read a piece of the image")]
    Read(#[source] io::Error),
    /// The sealed piece could not be written.
    #[error("write a sealed piece of the image")]
    Write(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Encrypts all of `plain` into `sealed`, for every recipient. `advance` hears of each piece.
///
/// The message has integrity protection as of 2007 (SEIPD version 1), because GnuPG reads no other; no compression, as the image is compressed;
/// and no signature, as the record carries the hashes.
///
/// # Errors
/// [`SealError`]; what was written by then is worthless.
pub fn seal(
    plain: &mut dyn Read,
    sealed: &mut (dyn Write + Send + Sync),
    recipients: &[Recipient],
    advance: &dyn Fn(u64),
) -> Result<Sealed, SealError> {
    let mut counted = Counted { to: sealed, hasher: blake3::Hasher::new(), bytes: 0 };
    let mut hasher = blake3::Hasher::new();
    let mut plain_bytes = 0u64;
    let failed = |error: openpgp::anyhow::Error| SealError::Write(error.into());
    {
        let to = recipients.iter().map(|recipient| {
            let key = recipient.key();
            To::new(Features::empty().set_seipdv1(), KeyHandle::from(key.keyid()), key)
        });
        let message = Encryptor::for_recipients(Message::new(&mut counted), to)
            .symmetric_algo(SymmetricAlgorithm::AES256)
            .build()
            .map_err(failed)?;
        let mut message = LiteralWriter::new(message).build().map_err(failed)?;
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let read = match plain.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(SealError::Read(error)),
            };
            let piece = buffer.get(..read).unwrap_or_default();
            hasher.update(piece);
            plain_bytes += read as u64;
            message.write_all(piece).map_err(|error| SealError::Write(error.into()))?;
            advance(read as u64);
        }
        message.finalize().map_err(failed)?;
    }
    Ok(Sealed {
        plain_bytes,
        plain_hash: hash_of(&hasher),
        bytes: counted.bytes,
        hash: hash_of(&counted.hasher),
    })
}

pub(crate) fn hash_of(hasher: &blake3::Hasher) -> ContentHash {
    ContentHash::from_bytes(*hasher.finalize().as_bytes())
}

/// Counts and hashes what passes.
struct Counted<'a> {
    to: &'a mut (dyn Write + Send + Sync),
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
