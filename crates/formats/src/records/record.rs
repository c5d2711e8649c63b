//! What all JSON records share: the `format` field, the version rule, the longest line.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::limits::LINE_BYTES;
use crate::version::{Version, VersionError};

/// The `format` field of a record: its name and version, as `firn.log/1.0`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordVersion(String);

/// Why a line is not the record it should be.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Longer than any record may be.
    #[error("{name} record: longer than {longest} bytes")]
    TooLong {
        /// Name of the format.
        name: &'static str,
        /// Longest line of this kind.
        longest: usize,
    },
    /// Of another format or an unreadable version text.
    #[error("{name} record: format is {found:?}")]
    OtherFormat {
        /// Name of the format that was expected.
        name: &'static str,
        /// What the line says, at most 64 bytes of it.
        found: String,
    },
    /// Of another version.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// Not JSON, or not with the fields it needs.
    #[error("{name} record")]
    Json {
        /// Name of the format.
        name: &'static str,
        /// What the parser found.
        source: serde_json::Error,
    },
}

/// A kind of JSON record.
pub trait Record: Serialize + DeserializeOwned {
    /// Name of the format, as `firn.log`.
    const NAME: &'static str;
    /// Version this program writes.
    const VERSION: Version = Version::ONE;
    /// Longest line of this kind.
    const LONGEST_BYTES: usize = LINE_BYTES;

    /// The value for the `format` field.
    fn format() -> RecordVersion {
        RecordVersion(format!("{}/{}.{}", Self::NAME, Self::VERSION.major, Self::VERSION.minor))
    }

    /// The record as one line, newline included.
    fn to_line(&self) -> Result<Vec<u8>, RecordError> {
        let mut line =
            serde_json::to_vec(self).map_err(|source| RecordError::Json { name: Self::NAME, source })?;
        line.push(b'\n');
        if line.len() > Self::LONGEST_BYTES {
            Err(RecordError::TooLong { name: Self::NAME, longest: Self::LONGEST_BYTES })
        } else {
            Ok(line)
        }
    }

    /// Reads one line, with or without its newline. Checks length and version before anything else.
    fn from_line(line: &[u8]) -> Result<Self, RecordError> {
        if line.len() > Self::LONGEST_BYTES {
            return Err(RecordError::TooLong { name: Self::NAME, longest: Self::LONGEST_BYTES });
        }
        let json = |source| RecordError::Json { name: Self::NAME, source };
        let head: Head = serde_json::from_slice(line).map_err(json)?;
        let other =
            || RecordError::OtherFormat { name: Self::NAME, found: head.format.0.chars().take(64).collect() };
        let version = head
            .format
            .0
            .strip_prefix(Self::NAME)
            .and_then(|rest| rest.strip_prefix('/'))
            .ok_or_else(other)?;
        let found = parse_version(version).ok_or_else(other)?;
        Self::VERSION.check(Self::NAME, found)?;
        serde_json::from_slice(line).map_err(json)
    }
}

#[derive(Deserialize)]
struct Head {
    format: RecordVersion,
}

fn parse_version(text: &str) -> Option<Version> {
    let (major, minor) = text.split_once('.')?;
    let number = |text: &str| match text.bytes().all(|b| b.is_ascii_digit()) {
        true => text.parse::<u16>().ok(),
        false => None,
    };
    Some(Version { major: number(major)?, minor: number(minor)? })
}
