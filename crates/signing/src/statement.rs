//! What was signed, read again: only the text that the signature covers, or why there is none.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cli::shown;
use durable::Dir;
use openpgp::Cert;
use openpgp::cert::CertParser;
use openpgp::parse::Parse;
use openpgp::parse::stream::{MessageLayer, MessageStructure, VerificationHelper, VerifierBuilder};
use openpgp::policy::StandardPolicy;
use sequoia_openpgp as openpgp;

use crate::key::CERTIFICATE;

/// Longest file of a certificate.
const CERTIFICATE_BYTES_MAX: u64 = 1 << 20;
/// How a clear-signed message begins; what stands before that would be read by people and covered by nothing.
const BEGIN: &[u8] = b"-----BEGIN PGP SIGNED MESSAGE-----";
/// What the message may be longer than its text.
const AROUND_BYTES_MAX: usize = 64 * 1024;

/// The last moment that OpenPGP can name. The clock that signed may have been wrong, and the one that reads: when something was said is in the text,
/// for whoever reads it to judge.
const ANY_TIME: Duration = Duration::from_secs(u32::MAX as u64);

/// Whose signatures are believed.
#[derive(Debug, Clone)]
pub struct Certificate(Vec<Cert>);

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the server's certificate {}", shown(.path.as_os_str().as_encoded_bytes()))]
pub struct CertificateError {
    path: PathBuf,
    source: io::Error,
}

/// Why a text is not believed.
#[derive(Debug, thiserror::Error)]
pub enum Unsigned {
    /// Longer than it may be.
    #[error("longer than {longest} bytes")]
    TooLong {
        /// Longest text.
        longest: usize,
    },
    /// It is no clear-signed message, or more than one.
    #[error("no clear-signed message")]
    Malformed,
    /// The signature is not one that the key made over this text.
    #[error("its signature is not good: {0}")]
    Signature(String),
}

impl Certificate {
    /// The one beside the key in this folder; none if no key was made yet.
    ///
    /// # Errors
    /// [`CertificateError`], where there is one that cannot be read.
    pub fn beside(folder: &Path) -> Result<Option<Self>, CertificateError> {
        let path = folder.join("signing-key.asc");
        let failed = |error: durable::Error| {
            let kind = error.raw_os_error().map(io::Error::from_raw_os_error);
            let source = kind.unwrap_or_else(|| io::Error::other(error));
            CertificateError { path: path.clone(), source }
        };
        match Dir::open_root(folder).and_then(|dir| dir.open_read(CERTIFICATE)) {
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(failed(error)),
            Ok(file) => Self::of(file).map(Some).map_err(|source| CertificateError { path, source }),
        }
    }

    /// The one, or those, in this file.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn read(path: &Path) -> Result<Self, CertificateError> {
        let read = File::open(path).and_then(Self::of);
        read.map_err(|source| CertificateError { path: path.to_owned(), source })
    }

    fn of(file: File) -> io::Result<Self> {
        let parser = CertParser::from_reader(file.take(CERTIFICATE_BYTES_MAX));
        let certs: Result<Vec<Cert>, _> = parser.and_then(Iterator::collect);
        let certs = certs.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        if certs.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it holds no certificate"));
        }
        Ok(Self(certs))
    }

    /// The text that was signed, if it is at most `longest` bytes, the message is nothing else, and one of these keys signed it, whenever that was.
    ///
    /// # Errors
    /// [`Unsigned`].
    pub fn check(&self, message: &[u8], longest: usize) -> Result<Vec<u8>, Unsigned> {
        if message.len() > longest.saturating_add(AROUND_BYTES_MAX) {
            return Err(Unsigned::TooLong { longest });
        }
        if !message.starts_with(BEGIN) || message.windows(BEGIN.len()).skip(1).any(|part| part == BEGIN) {
            return Err(Unsigned::Malformed);
        }
        let wrong = |error: openpgp::anyhow::Error| Unsigned::Signature(error.to_string());
        let policy = StandardPolicy::new();
        let verifier = VerifierBuilder::from_bytes(message).map_err(|_| Unsigned::Malformed)?;
        let at = SystemTime::UNIX_EPOCH + ANY_TIME;
        let mut verifier = verifier.with_policy(&policy, at, Judge { certs: &self.0 }).map_err(wrong)?;
        let mut text = Vec::new();
        let read = (&mut verifier).take(longest as u64 + 1).read_to_end(&mut text);
        read.map_err(|error| Unsigned::Signature(error.to_string()))?;
        if text.len() > longest {
            return Err(Unsigned::TooLong { longest });
        }
        if !verifier.message_processed() {
            return Err(Unsigned::Malformed);
        }
        Ok(text)
    }
}

struct Judge<'a> {
    certs: &'a [Cert],
}

impl VerificationHelper for Judge<'_> {
    fn get_certs(&mut self, _ids: &[openpgp::KeyHandle]) -> openpgp::Result<Vec<Cert>> {
        Ok(self.certs.to_vec())
    }

    fn check(&mut self, structure: MessageStructure<'_>) -> openpgp::Result<()> {
        let mut why = "there is none".to_owned();
        for layer in structure {
            let MessageLayer::SignatureGroup { results } = layer else { continue };
            for result in results {
                match result {
                    Ok(_) => return Ok(()),
                    Err(error) => why = error.to_string(),
                }
            }
        }
        Err(openpgp::Error::MalformedMessage(why).into())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::Signer;

    const TEXT: &[u8] = b"{\"format\":\"firn.test/1.0\",\"n\":1}\n";

    fn signed(folder: &Path) -> Vec<u8> {
        Signer::open(folder).unwrap().sign(TEXT, SystemTime::now()).unwrap()
    }

    #[test]
    fn what_was_signed_comes_back_and_nothing_else_does() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert!(Certificate::beside(one.path()).unwrap().is_none());
        let message = signed(one.path());
        let certificate = Certificate::beside(one.path()).unwrap().unwrap();
        assert_eq!(certificate.check(&message, 1000).unwrap().trim_ascii_end(), TEXT.trim_ascii_end());
        let text = String::from_utf8(message.clone()).unwrap();
        let wrong = [
            text.replace("\"n\":1", "\"n\":2"),
            text.replace("\"n\":1", "\"n\":1 "),
            format!("line {{}} to be read\n{text}"),
            format!("{text}{text}"),
            text[..text.len() / 2].to_owned(),
            "{\"format\":\"firn.test/1.0\",\"n\":1}\n".to_owned(),
            String::new(),
            String::from_utf8(signed(other.path())).unwrap(),
        ];
        for (number, wrong) in wrong.iter().enumerate() {
            assert!(certificate.check(wrong.as_bytes(), 1000).is_err(), "{number}: {wrong}");
        }
        assert!(matches!(certificate.check(&message, 10), Err(Unsigned::TooLong { .. })));
        // The file of a certificate that another machine was given is as good as the folder.
        let given = Certificate::read(&one.path().join("signing-key.asc")).unwrap();
        assert!(given.check(&message, 1000).is_ok());
    }

    #[test]
    fn every_flipped_byte_of_the_text_and_every_cut_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let message = signed(folder.path());
        let certificate = Certificate::beside(folder.path()).unwrap().unwrap();
        let start = message.windows(8).position(|part| part == b"{\"format").unwrap();
        for place in start..start + TEXT.len() - 1 {
            let mut flipped = message.clone();
            flipped[place] ^= 1;
            let checked = certificate.check(&flipped, 1000);
            assert!(checked.is_err(), "{place}: {checked:?}");
        }
        for end in (0..message.len() - 1).step_by(7) {
            if let Ok(text) = certificate.check(&message[..end], 1000) {
                assert_eq!(text.trim_ascii_end(), TEXT.trim_ascii_end(), "cut at {end}");
            }
        }
    }

    #[test]
    fn what_was_signed_while_the_clock_was_wrong_is_believed_when_it_is_right_again() {
        let folder = tempfile::tempdir().unwrap();
        let signer = Signer::open(folder.path()).unwrap();
        let (year, now) = (Duration::from_secs(400 * 86_400), SystemTime::now());
        let certificate = Certificate::beside(folder.path()).unwrap().unwrap();
        for at in [now + year, now + 40 * year, now - year] {
            let message = signer.sign(TEXT, at).unwrap();
            assert!(certificate.check(&message, 1000).is_ok(), "{at:?}");
        }
    }

    #[test]
    fn signing_takes_some_milliseconds_at_most() {
        let folder = tempfile::tempdir().unwrap();
        signed(folder.path());
        let began = std::time::Instant::now();
        for _ in 0..10 {
            signed(folder.path());
        }
        // Opening the key each time; far above what it takes, for machines at work.
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        eprintln!("opening the key and signing: {:?} each", began.elapsed() / 10);
    }
}
