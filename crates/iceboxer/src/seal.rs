//! Sealing: one piece of an image becomes one OpenPGP message that its recipients open with stock tools.
//!
//! This is encryption only. Nothing in this program can open what it sealed.

use std::io::{self, Read, Write};
use std::time::SystemTime;

use formats::ContentHash;
use sequoia_openpgp as openpgp;

use openpgp::KeyHandle;
use openpgp::crypto::KeyPair;
use openpgp::packet::Packet;
use openpgp::parse::{PacketParser, PacketParserResult, Parse};
use openpgp::serialize::stream::{Encryptor, LiteralWriter, Message, Recipient as To, Signer};
use openpgp::types::{Features, SymmetricAlgorithm};

use crate::certificate::{Container, Recipient};
use crate::seipd1::Seipd1;

/// What messages are encrypted with, in either container.
pub(crate) const CIPHER: SymmetricAlgorithm = SymmetricAlgorithm::AES256;
/// Bytes that are read at a time.
pub(crate) const BUFFER_BYTES: usize = 262144;

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

/// Why something could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The piece of the image could not be read.
    #[error("read a piece of the image")]
    Read(#[source] io::Error),
    /// The sealed piece could not be written.
    #[error("write a sealed piece of the image")]
    Write(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What was written, read again, is no message.
    #[error("read the recipients of a sealed piece of the image")]
    Parse(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What was written, read again, is sealed to other keys.
    #[error("a sealed piece of the image names other keys than those it was to be sealed to")]
    Recipients,
}

/// Encrypts all of `plain` into `sealed`, for every recipient. `advance` hears of each piece.
///
/// The message is integrity-protected as GnuPG reads it (SEIPD version 1), unless every recipient's certificate says that its owner reads
/// AEAD (SEIPD version 2). It is not compressed, as the image is; and not signed, as the signed catalogue carries the hashes.
///
/// # Errors
/// [`SealError`]; what was written by then is worthless.
pub fn seal(
    plain: &mut dyn Read,
    sealed: &mut (dyn Write + Send + Sync),
    recipients: &[Recipient],
    advance: &dyn Fn(u64),
) -> Result<Sealed, SealError> {
    write(plain, sealed, recipients, None, advance)
}

/// As [`seal`], and signed by `key` at the time `signed`.
pub(crate) fn seal_signed(
    mut plain: &[u8],
    sealed: &mut (dyn Write + Send + Sync),
    recipients: &[Recipient],
    key: KeyPair,
    signed: SystemTime,
) -> Result<Sealed, SealError> {
    write(&mut plain, sealed, recipients, Some((key, signed)), &|_| ())
}

fn write(
    plain: &mut dyn Read,
    sealed: &mut (dyn Write + Send + Sync),
    recipients: &[Recipient],
    signature: Option<(KeyPair, SystemTime)>,
    advance: &dyn Fn(u64),
) -> Result<Sealed, SealError> {
    let mut counted = Counted { to: sealed, hasher: blake3::Hasher::new(), bytes: 0 };
    let failed = |error: openpgp::anyhow::Error| SealError::Write(error.into());
    let (plain_bytes, plain_hash) = match container(recipients) {
        Container::Seipd1 => {
            let mut outer = Seipd1::begin(&mut counted, recipients).map_err(failed)?;
            let plain = literal(Message::new(&mut outer), plain, signature, advance)?;
            outer.end().map_err(failed)?;
            plain
        }
        Container::Seipd2 => {
            let outer = seipd2(&mut counted, recipients).map_err(failed)?;
            literal(outer, plain, signature, advance)?
        }
    };
    Ok(Sealed { plain_bytes, plain_hash, bytes: counted.bytes, hash: hash_of(&counted.hasher) })
}

/// Writes all of `plain` into the container as one literal packet, signed if asked, and ends it: its length and hash.
fn literal(
    mut outer: Message<'_>,
    plain: &mut dyn Read,
    signature: Option<(KeyPair, SystemTime)>,
    advance: &dyn Fn(u64),
) -> Result<(u64, ContentHash), SealError> {
    let failed = |error: openpgp::anyhow::Error| SealError::Write(error.into());
    if let Some((key, at)) = signature {
        outer =
            Signer::new(outer, key).and_then(|signer| signer.creation_time(at).build()).map_err(failed)?;
    }
    let mut message = LiteralWriter::new(outer).build().map_err(failed)?;
    let mut hasher = blake3::Hasher::new();
    let mut plain_bytes = 0u64;
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
    Ok((plain_bytes, hash_of(&hasher)))
}

/// The best container that all can open.
fn container(recipients: &[Recipient]) -> Container {
    recipients.iter().map(Recipient::container).min().unwrap_or(Container::Seipd1)
}

/// The container with AEAD, as the library writes it.
fn seipd2<'a>(
    to: &'a mut (dyn Write + Send + Sync),
    recipients: &'a [Recipient],
) -> openpgp::Result<Message<'a>> {
    let keys = recipients.iter().map(|recipient| {
        let key = recipient.key();
        To::new(Features::empty().set_seipdv2(), KeyHandle::from(key.fingerprint()), key)
    });
    Encryptor::for_recipients(Message::new(to), keys).symmetric_algo(CIPHER).build()
}

/// Reads the head of a sealed message and compares the keys it names with those it was to be sealed to.
///
/// # Errors
/// [`SealError::Parse`], [`SealError::Recipients`].
pub fn check_recipients(
    sealed: &mut (dyn Read + Send + Sync),
    recipients: &[Recipient],
) -> Result<(), SealError> {
    let failed = |error: openpgp::anyhow::Error| SealError::Parse(error.into());
    let mut expected: Vec<KeyHandle> = recipients.iter().map(|to| to.key().fingerprint().into()).collect();
    let mut parser = PacketParser::from_reader(sealed).map_err(failed)?;
    while let PacketParserResult::Some(packet) = parser {
        let Packet::PKESK(session) = &packet.packet else { break };
        let named = session.recipient().ok_or(SealError::Recipients)?;
        let place = expected.iter().position(|key| key.aliases(&named)).ok_or(SealError::Recipients)?;
        expected.swap_remove(place);
        parser = packet.next().map_err(failed)?.1;
    }
    if expected.is_empty() { Ok(()) } else { Err(SealError::Recipients) }
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
