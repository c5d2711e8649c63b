//! One sealed message, decrypted. Its bytes may come from an enemy who knows the public key: it is read with limits, and only the two shapes
//! that iceboxer writes are taken: a segment, which is not signed, and a catalogue, which is.

use std::io::{self, Read, Seek, Write};

use cli::{Exit, Failure};
use formats::ContentHash;
use formats::records::ice_id::Fingerprint;
use sequoia_openpgp::cert::Cert;
use sequoia_openpgp::crypto::SessionKey;
use sequoia_openpgp::packet::{PKESK, Packet, SEIP, SKESK};
use sequoia_openpgp::parse::stream::{
    DecryptionHelper, DecryptorBuilder, MessageLayer, MessageStructure, VerificationHelper,
};
use sequoia_openpgp::parse::{PacketParser, Parse};
use sequoia_openpgp::policy::StandardPolicy;
use sequoia_openpgp::types::SymmetricAlgorithm;
use sequoia_openpgp::{Error as OpenPgpError, KeyHandle, Result as OpenPgpResult};

use crate::key::Secrets;
use crate::noting::Noting;
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
    /// Fingerprint of the certificate that signed it; none if nobody's was asked for.
    pub(crate) signer: Option<Fingerprint>,
}

/// What a message must be.
#[derive(Clone, Copy)]
pub(crate) enum Wanted<'c> {
    /// A segment.
    Segment,
    /// A catalogue, signed by one of these, if there are any.
    Catalogue(&'c [Cert]),
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
    #[error("no server that the settings name has signed it: {why}")]
    Unsigned { why: String },
    #[error("writing the image to the quarantine")]
    Write(#[source] io::Error),
    #[error("reading it in the quarantine")]
    Read(#[source] io::Error),
}

impl Failure for UnsealError {
    fn exit(&self) -> Exit {
        match self {
            UnsealError::OtherKey { .. } => Exit::WRONG_KEY,
            UnsealError::Unsigned { .. } => Exit::UNSIGNED,
            UnsealError::Write(_) | UnsealError::Read(_) => Exit::MACHINE,
            _ => Exit::DECRYPTION,
        }
    }
}

/// Decrypts one message to `to`. What was written counts only if this returns without an error: the message ends with a check of itself.
pub(crate) fn unseal(
    sealed: impl Read + Seek + Send + Sync,
    sealed_bytes: u64,
    plain_bytes: u64,
    with: (&Secrets, Wanted<'_>),
    to: &mut dyn Write,
) -> Result<Unsealed, UnsealError> {
    let (sealed, trouble) = Noting::new(sealed);
    let outcome = checked(sealed, sealed_bytes, plain_bytes, with, to);
    match trouble.take() {
        Some(error) => Err(UnsealError::Read(error)),
        None => outcome,
    }
}

fn checked(
    mut sealed: impl Read + Seek + Send + Sync,
    sealed_bytes: u64,
    plain_bytes: u64,
    (secrets, wanted): (&Secrets, Wanted<'_>),
    to: &mut dyn Write,
) -> Result<Unsealed, UnsealError> {
    let policy = StandardPolicy::new();
    outline::walk(&mut sealed, sealed_bytes).map_err(|error| match error {
        OutlineError::Shape(what) => UnsealError::Shape { what },
        OutlineError::Read(error) => UnsealError::Broken { text: error.to_string() },
    })?;
    sealed.rewind().map_err(UnsealError::Read)?;
    let opener = Opener { secrets, wanted, shape: Shape::default(), opened: None, signer: None };
    let mut refused = Refusal::default();
    let opener = Watched { opener, refusal: &mut refused };
    let outcome = decrypt(sealed, plain_bytes, &policy, opener, to);
    match (outcome, refused) {
        (_, Refusal::Shape(what)) => Err(UnsealError::Shape { what }),
        (Err(_), Refusal::OtherKey(recipients)) => Err(UnsealError::OtherKey { recipients }),
        (Err(_), Refusal::Unsigned(why)) => Err(UnsealError::Unsigned { why }),
        (outcome, _) => outcome,
    }
}

fn decrypt(
    sealed: impl Read + Send + Sync,
    plain_bytes: u64,
    policy: &StandardPolicy<'_>,
    opener: Watched<'_, '_, '_>,
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
    if !opener.shape.is_end(opener.wanted) {
        return Err(UnsealError::Shape { what: "it ends too early" });
    }
    let hash = ContentHash::from_bytes(*hasher.finalize().as_bytes());
    Ok(Unsealed { hash, key: opener.opened, signer: opener.signer })
}

/// Why we, and not the library, stopped.
#[derive(Debug, Default)]
enum Refusal {
    #[default]
    None,
    Shape(&'static str),
    OtherKey(String),
    Unsigned(String),
}

/// The two containers that iceboxer writes: the first ends with a packet that checks it, the second checks itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Seipd1,
    Seipd2,
}

/// How far into an allowed sequence of packets the message is: recipients; container; in it, for a catalogue, the announcement of a signature;
/// literal data; the signature; the check.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Shape {
    #[default]
    Empty,
    Recipients,
    Inside(Container),
    Announced(Container),
    Content(Container),
    AnnouncedContent(Container),
    Signed(Container),
    /// Checked, and signed or not.
    Checked {
        signed: bool,
    },
}

impl Shape {
    #[allow(
        deprecated,
        reason = "deprecated for writers; the message that GnuPG opens ends with this packet"
    )]
    fn next(self, packet: &Packet, depth: isize, wanted: Wanted<'_>) -> Result<Shape, &'static str> {
        use Container::{Seipd1, Seipd2};
        let is_catalogue = matches!(wanted, Wanted::Catalogue(_));
        match (self, packet, depth) {
            (Shape::Empty | Shape::Recipients, Packet::PKESK(_), 0) => Ok(Shape::Recipients),
            (Shape::Recipients, Packet::SEIP(SEIP::V1(_)), 0) => Ok(Shape::Inside(Seipd1)),
            (Shape::Recipients, Packet::SEIP(SEIP::V2(_)), 0) => Ok(Shape::Inside(Seipd2)),
            (Shape::Inside(container), Packet::OnePassSig(_), 1) if is_catalogue => {
                Ok(Shape::Announced(container))
            }
            (Shape::Inside(container), Packet::Literal(_), 1) => Ok(Shape::Content(container)),
            (Shape::Announced(container), Packet::Literal(_), 1) => Ok(Shape::AnnouncedContent(container)),
            (Shape::AnnouncedContent(container), Packet::Signature(_), 1) => Ok(Shape::Signed(container)),
            (Shape::Content(Seipd1), Packet::MDC(_), 1) => Ok(Shape::Checked { signed: false }),
            (Shape::Signed(Seipd1), Packet::MDC(_), 1) => Ok(Shape::Checked { signed: true }),
            (_, Packet::CompressedData(_), _) => Err("it holds compressed data"),
            (_, Packet::OnePassSig(_) | Packet::Signature(_), _) => Err("it holds a signature"),
            (_, Packet::PKESK(_) | Packet::SEIP(_), 1..) => Err("it holds a message within a message"),
            (_, Packet::SEIP(_), _) => Err("it is encrypted in another way"),
            _ => Err("it holds a packet that has no place in it"),
        }
    }

    fn is_end(self, wanted: Wanted<'_>) -> bool {
        let is_catalogue = matches!(wanted, Wanted::Catalogue(_));
        match self {
            Shape::Checked { signed } => signed == is_catalogue,
            Shape::Content(Container::Seipd2) => !is_catalogue,
            Shape::Signed(Container::Seipd2) => is_catalogue,
            _ => false,
        }
    }
}

struct Opener<'s, 'c> {
    secrets: &'s Secrets,
    wanted: Wanted<'c>,
    shape: Shape,
    opened: Option<Fingerprint>,
    signer: Option<Fingerprint>,
}

/// The opener, and where its reason to stop survives the library's own error.
struct Watched<'s, 'c, 'r> {
    opener: Opener<'s, 'c>,
    refusal: &'r mut Refusal,
}

fn stop<T>() -> OpenPgpResult<T> {
    Err(OpenPgpError::MalformedMessage("refused".to_owned()).into())
}

impl VerificationHelper for Watched<'_, '_, '_> {
    fn inspect(&mut self, parser: &PacketParser<'_>) -> OpenPgpResult<()> {
        match self.opener.shape.next(&parser.packet, parser.recursion_depth(), self.opener.wanted) {
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
        Ok(match self.opener.wanted {
            Wanted::Segment => Vec::new(),
            Wanted::Catalogue(certificates) => certificates.to_vec(),
        })
    }

    fn check(&mut self, structure: MessageStructure<'_>) -> OpenPgpResult<()> {
        let Wanted::Catalogue([_, ..]) = self.opener.wanted else { return Ok(()) };
        let mut why = "it has no signature".to_owned();
        for layer in structure {
            let MessageLayer::SignatureGroup { results } = layer else { continue };
            for result in results {
                match result {
                    Ok(good) => self.opener.signer = good.ka.cert().fingerprint().to_hex().parse().ok(),
                    Err(error) => why = error.to_string(),
                }
            }
        }
        if self.opener.signer.is_some() {
            return Ok(());
        }
        *self.refusal = Refusal::Unsigned(why);
        stop()
    }
}

impl DecryptionHelper for Watched<'_, '_, '_> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that fails when so many bytes were read.
    struct Failing(io::Cursor<Vec<u8>>, u64);

    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.position() >= self.1 {
                true => Err(rustix::io::Errno::IO.into()),
                false => self.0.read(buffer.get_mut(..1).unwrap_or_default()),
            }
        }
    }

    impl Seek for Failing {
        fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }

    #[test]
    fn a_disk_that_fails_is_not_a_damaged_message() {
        // One recipient, and a container that nobody can open.
        let message = [&[0x84, 2, 9, 9][..], &[0xd2, 40, 1], &[7; 39]].concat();
        let unsealed = |fails_at| {
            let sealed = Failing(io::Cursor::new(message.clone()), fails_at);
            let with = (&Secrets::none(), Wanted::Segment);
            unseal(sealed, message.len() as u64, 10, with, &mut io::sink()).unwrap_err().exit()
        };
        assert_eq!(unsealed(u64::MAX), Exit::DECRYPTION);
        for fails_at in 0..4 {
            assert_eq!(unsealed(fails_at), Exit::MACHINE, "{fails_at}");
        }
    }
}
