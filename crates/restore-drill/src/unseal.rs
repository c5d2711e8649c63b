//! One sealed segment, decrypted. Its bytes may come from an enemy who knows the public key: it is read with limits, and only the one shape
//! that iceboxer writes is taken.

use std::io::{self, Read, Seek, Write};

use cli::{Exit, Failure};
use formats::ContentHash;
use formats::records::ice_id::Fingerprint;
use sequoia_openpgp::cert::Cert;
use sequoia_openpgp::crypto::SessionKey;
use sequoia_openpgp::packet::{PKESK, Packet, SEIP, SKESK};
use sequoia_openpgp::parse::stream::{
    DecryptionHelper, DecryptorBuilder, MessageStructure, VerificationHelper,
};
use sequoia_openpgp::parse::{PacketParser, Parse};
use sequoia_openpgp::policy::StandardPolicy;
use sequoia_openpgp::types::SymmetricAlgorithm;
use sequoia_openpgp::{Error as OpenPgpError, KeyHandle, Result as OpenPgpResult};

use crate::key::Secrets;
use crate::outline::{self, OutlineError};

/// Bytes moved at a time, and bytes that sequoia holds back until the end is checked.
const BUFFER_BYTES: usize = 1 << 20;

/// What came out of a segment.
#[derive(Debug)]
pub(crate) struct Unsealed {
    /// BLAKE3 of the content.
    pub(crate) hash: ContentHash,
    /// Fingerprint of the certificate whose key opened it.
    pub(crate) key: Option<Fingerprint>,
}

/// Why a segment gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnsealError {
    #[error("it is sealed to other keys: {recipients}")]
    OtherKey { recipients: String },
    #[error("it is not the one kind of OpenPGP message that ice is made of: {what}")]
    Shape { what: &'static str },
    #[error("decryption failed: {text}")]
    Broken { text: String },
    #[error("its content is not {expected} bytes long")]
    Length { expected: u64 },
    #[error("writing the image to the quarantine")]
    Write(#[source] io::Error),
}

impl Failure for UnsealError {
    fn exit(&self) -> Exit {
        match self {
            UnsealError::OtherKey { .. } => Exit::WRONG_KEY,
            UnsealError::Write(_) => Exit::MACHINE,
            _ => Exit::DECRYPTION,
        }
    }
}

/// Decrypts one segment to `to`. What was written counts only if this returns without an error: the message ends with a check of itself.
pub(crate) fn unseal(
    mut sealed: impl Read + Seek + Send + Sync,
    sealed_bytes: u64,
    plain_bytes: u64,
    secrets: &Secrets,
    to: &mut dyn Write,
) -> Result<Unsealed, UnsealError> {
    let policy = StandardPolicy::new();
    outline::walk(&mut sealed, sealed_bytes).map_err(|error| match error {
        OutlineError::Shape(what) => UnsealError::Shape { what },
        OutlineError::Read(error) => UnsealError::Broken { text: error.to_string() },
    })?;
    sealed.rewind().map_err(UnsealError::Write)?;
    let opener = Opener { secrets, shape: Shape::default(), opened: None };
    let mut refused = Refusal::default();
    let opener = Watched { opener, refusal: &mut refused };
    let outcome = decrypt(sealed, plain_bytes, &policy, opener, to);
    match (outcome, refused) {
        (_, Refusal::Shape(what)) => Err(UnsealError::Shape { what }),
        (Err(_), Refusal::OtherKey(recipients)) => Err(UnsealError::OtherKey { recipients }),
        (outcome, _) => outcome,
    }
}

fn decrypt(
    sealed: impl Read + Send + Sync,
    plain_bytes: u64,
    policy: &StandardPolicy<'_>,
    opener: Watched<'_, '_>,
    to: &mut dyn Write,
) -> Result<Unsealed, UnsealError> {
    let broken = |error: sequoia_openpgp::anyhow::Error| UnsealError::Broken { text: error.to_string() };
    let mut decryptor = DecryptorBuilder::from_reader(sealed)
        .map_err(broken)?
        .buffer_size(BUFFER_BYTES)
        .with_policy(policy, None, opener)
        .map_err(broken)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut left = plain_bytes;
    loop {
        let read =
            decryptor.read(&mut buffer).map_err(|error| UnsealError::Broken { text: error.to_string() })?;
        let bytes = buffer.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        left = left.checked_sub(read as u64).ok_or(UnsealError::Length { expected: plain_bytes })?;
        hasher.update(bytes);
        to.write_all(bytes).map_err(UnsealError::Write)?;
    }
    if left != 0 {
        return Err(UnsealError::Length { expected: plain_bytes });
    }
    if !decryptor.message_processed() {
        return Err(UnsealError::Broken { text: "the message has no end".to_owned() });
    }
    let opener = decryptor.into_helper().opener;
    if opener.shape != Shape::Whole {
        return Err(UnsealError::Shape { what: "it ends too early" });
    }
    Ok(Unsealed { hash: ContentHash::from_bytes(*hasher.finalize().as_bytes()), key: opener.opened })
}

/// Why we, and not the library, stopped.
#[derive(Debug, Default)]
enum Refusal {
    #[default]
    None,
    Shape(&'static str),
    OtherKey(String),
}

/// How far into the one allowed sequence of packets the message is: recipients, container; in it literal data, then the check.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Shape {
    #[default]
    Empty,
    Recipients,
    Container,
    Content,
    Whole,
}

impl Shape {
    #[allow(
        deprecated,
        reason = "deprecated for writers; the message that GnuPG opens ends with this packet"
    )]
    fn next(self, packet: &Packet, depth: isize) -> Result<Shape, &'static str> {
        match (self, packet, depth) {
            (Shape::Empty | Shape::Recipients, Packet::PKESK(_), 0) => Ok(Shape::Recipients),
            (Shape::Recipients, Packet::SEIP(SEIP::V1(_)), 0) => Ok(Shape::Container),
            (Shape::Container, Packet::Literal(_), 1) => Ok(Shape::Content),
            (Shape::Content, Packet::MDC(_), 1) => Ok(Shape::Whole),
            (_, Packet::CompressedData(_), _) => Err("it holds compressed data"),
            (_, Packet::OnePassSig(_) | Packet::Signature(_), _) => Err("it holds a signature"),
            (_, Packet::PKESK(_) | Packet::SEIP(_), 1..) => Err("it holds a message within a message"),
            (_, Packet::SEIP(_), _) => Err("it is encrypted in another way"),
            _ => Err("it holds a packet that has no place in it"),
        }
    }
}

struct Opener<'s> {
    secrets: &'s Secrets,
    shape: Shape,
    opened: Option<Fingerprint>,
}

/// The opener, and where its reason to stop survives the library's own error.
struct Watched<'s, 'r> {
    opener: Opener<'s>,
    refusal: &'r mut Refusal,
}

fn stop<T>() -> OpenPgpResult<T> {
    Err(OpenPgpError::MalformedMessage("refused".to_owned()).into())
}

impl VerificationHelper for Watched<'_, '_> {
    fn inspect(&mut self, parser: &PacketParser<'_>) -> OpenPgpResult<()> {
        match self.opener.shape.next(&parser.packet, parser.recursion_depth()) {
            Ok(shape) => {
                self.opener.shape = shape;
                Ok(())
            }
            Err(what) => {
                *self.refusal = Refusal::Shape(what);
                stop()
            }
        }
    }

    fn get_certs(&mut self, _ids: &[KeyHandle]) -> OpenPgpResult<Vec<Cert>> {
        Ok(Vec::new())
    }

    fn check(&mut self, _structure: MessageStructure<'_>) -> OpenPgpResult<()> {
        Ok(())
    }
}

impl DecryptionHelper for Watched<'_, '_> {
    fn decrypt(
        &mut self,
        pkesks: &[PKESK],
        _skesks: &[SKESK],
        algorithm: Option<SymmetricAlgorithm>,
        decrypt: &mut dyn FnMut(Option<SymmetricAlgorithm>, &SessionKey) -> bool,
    ) -> OpenPgpResult<Option<Cert>> {
        let mut tried = false;
        for pkesk in pkesks {
            for candidate in self.opener.secrets.for_packet(pkesk) {
                tried = true;
                let mut pair = candidate.key.clone().into_keypair()?;
                let opened = pkesk
                    .decrypt(&mut pair, algorithm)
                    .is_some_and(|(algorithm, session)| decrypt(algorithm, &session));
                if opened {
                    self.opener.opened = candidate.fingerprint;
                    return Ok(None);
                }
            }
        }
        if !tried {
            let name = |pkesk: &PKESK| pkesk.recipient().map_or("anyone".to_owned(), |id| id.to_hex());
            let names: Vec<String> = pkesks.iter().map(name).collect();
            *self.refusal = Refusal::OtherKey(names.join(", "));
        }
        stop()
    }
}
