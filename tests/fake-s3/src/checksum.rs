//! Checksums of S3: what a client announces is computed over what arrives.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crc_fast::CrcAlgorithm;
use sha2::Digest as _;

/// The algorithms that can be announced here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
    Sha512,
    Md5,
}

/// Whether a multipart object's checksum covers its bytes, or the checksums of its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Composite,
    FullObject,
}

/// A checksum as it is announced, stored and shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checksum {
    pub(crate) algorithm: Algorithm,
    pub(crate) kind: Kind,
    /// Base64; for a composite one followed by `-` and the number of parts.
    pub(crate) value: String,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Composite => "COMPOSITE",
            Self::FullObject => "FULL_OBJECT",
        }
    }
}

impl Algorithm {
    pub(crate) const ALL: [Self; 7] =
        [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256, Self::Sha512, Self::Md5];

    /// `CRC64NVME`, as in headers' values and XML names.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
            Self::Md5 => "MD5",
        }
    }

    pub(crate) fn header(self) -> String {
        format!("x-amz-checksum-{}", self.name().to_ascii_lowercase())
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    pub(crate) fn of_header(name: &str) -> Option<Self> {
        Self::of_name(name.strip_prefix("x-amz-checksum-")?)
    }

    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            _ => None,
        }
    }

    /// The kinds a multipart object can have, the default first.
    pub(crate) fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Crc64Nvme => &[Kind::FullObject],
            Self::Crc32 | Self::Crc32c => &[Kind::Composite, Kind::FullObject],
            _ => &[Kind::Composite],
        }
    }
}

/// A computation under way.
pub(crate) enum Running {
    Crc(crc_fast::Digest, Algorithm),
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
    Md5(md5::Md5),
}

impl Running {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match (algorithm, algorithm.crc()) {
            (_, Some(crc)) => Self::Crc(crc_fast::Digest::new(crc), algorithm),
            (Algorithm::Sha1, _) => Self::Sha1(sha1::Sha1::new()),
            (Algorithm::Sha512, _) => Self::Sha512(sha2::Sha512::new()),
            (Algorithm::Md5, _) => Self::Md5(md5::Md5::new()),
            _ => Self::Sha256(sha2::Sha256::new()),
        }
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        match self {
            Self::Crc(digest, _) => digest.update(data),
            Self::Sha1(digest) => digest.update(data),
            Self::Sha256(digest) => digest.update(data),
            Self::Sha512(digest) => digest.update(data),
            Self::Md5(digest) => digest.update(data),
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        match self {
            Self::Crc(digest, algorithm) => crc_bytes(algorithm, digest.finalize()),
            Self::Sha1(digest) => digest.finalize().to_vec(),
            Self::Sha256(digest) => digest.finalize().to_vec(),
            Self::Sha512(digest) => digest.finalize().to_vec(),
            Self::Md5(digest) => digest.finalize().to_vec(),
        }
    }
}

fn crc_bytes(algorithm: Algorithm, value: u64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let width = if algorithm == Algorithm::Crc64Nvme { 8 } else { 4 };
    bytes.into_iter().skip(8 - width).collect()
}

fn crc_value(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| (value << 8) | u64::from(*byte))
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The checksum of a whole from those of its parts (base64 and length): joined for a full one, hashed again for a composite one.
pub(crate) fn whole(algorithm: Algorithm, kind: Kind, parts: &[(String, u64)]) -> Option<Checksum> {
    let raw: Vec<(Vec<u8>, u64)> =
        parts.iter().map(|(value, length)| Some((from_base64(value)?, *length))).collect::<Option<_>>()?;
    let value = match (kind, algorithm.crc()) {
        (Kind::FullObject, Some(crc)) => {
            let joined = raw.iter().map(|(value, length)| (crc_value(value), *length));
            let (value, _) = joined.reduce(|(left, before), (right, length)| {
                (crc_fast::checksum_combine(crc, left, right, length), before + length)
            })?;
            base64(&crc_bytes(algorithm, value))
        }
        (Kind::FullObject, None) => return None,
        (Kind::Composite, _) => {
            let mut running = Running::new(algorithm);
            raw.iter().for_each(|(value, _)| running.update(value));
            format!("{}-{}", base64(&running.finish()), parts.len())
        }
    };
    Some(Checksum { algorithm, kind, value })
}
