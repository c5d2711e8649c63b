//! What all JSON records share: the `format` field, the version rule, the longest line.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::limits::LINE_BYTES;
use crate::version::{Version, VersionError};

/// The `format` field of a record: its name and version, as `firn.log/1.0`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordVersion(String);

impl RecordVersion {
    pub(crate) fn of(name: &str, version: Version) -> Self {
        Self(format!("{name}/{}.{}", version.major, version.minor))
    }
}

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
    /// One version of each major that is read.
    const READS: &'static [Version] = &[Self::VERSION];
    /// Longest line of this kind.
    const LONGEST_BYTES: usize = LINE_BYTES;

    /// The value for the `format` field.
    fn format() -> RecordVersion {
        RecordVersion::of(Self::NAME, Self::VERSION)
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
        // Long logs are read line by line: the ones that this program wrote are parsed once.
        match written_version::<Self>(line) {
            Some(found) => check_read::<Self>(found)?,
            None => check_version::<Self>(line)?,
        }
        serde_json::from_slice(line).map_err(|source| RecordError::Json { name: Self::NAME, source })
    }
}

/// The version of a line that begins as it is written: a second `format` in it would be refused by the parser.
fn written_version<R: Record>(line: &[u8]) -> Option<Version> {
    let rest = line.strip_prefix(b"{\"format\":\"")?.strip_prefix(R::NAME.as_bytes())?.strip_prefix(b"/")?;
    let (version, rest) = rest.split_at(rest.iter().position(|b| *b == b'"')?);
    if rest.starts_with(b"\",") { parse_version(std::str::from_utf8(version).ok()?) } else { None }
}

fn check_version<R: Record>(line: &[u8]) -> Result<(), RecordError> {
    let json = |source| RecordError::Json { name: R::NAME, source };
    let head: Head = serde_json::from_slice(line).map_err(json)?;
    let other =
        || RecordError::OtherFormat { name: R::NAME, found: head.format.0.chars().take(64).collect() };
    let version =
        head.format.0.strip_prefix(R::NAME).and_then(|rest| rest.strip_prefix('/')).ok_or_else(other)?;
    let found = parse_version(version).ok_or_else(other)?;
    check_read::<R>(found)
}

fn check_read<R: Record>(found: Version) -> Result<(), RecordError> {
    let read = R::READS.iter().find(|read| read.major == found.major).unwrap_or(&R::VERSION);
    Ok(read.check(R::NAME, found)?)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Note {
        format: RecordVersion,
        text: String,
    }

    impl Record for Note {
        const NAME: &'static str = "firn.note";
    }

    /// A record of which two majors are read.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Letter {
        format: RecordVersion,
    }

    impl Record for Letter {
        const NAME: &'static str = "firn.letter";
        const VERSION: Version = Version { major: 2, minor: 0 };
        const READS: &'static [Version] = &[Version::ONE, Self::VERSION];
    }

    #[test]
    fn each_major_that_is_read_is_read_and_no_other() {
        let read =
            |version: &str| Letter::from_line(format!("{{\"format\":\"firn.letter/{version}\"}}").as_bytes());
        for good in ["1.0", "1.7", "2.0", "2.1"] {
            assert!(read(good).is_ok(), "{good}");
        }
        for (bad, why) in [("3.0", "too new"), ("0.9", "too old")] {
            assert!(read(bad).unwrap_err().to_string().contains(why), "{bad}");
        }
    }

    fn line(text: &str) -> Vec<u8> {
        text.replace("NAME", Note::NAME).into_bytes()
    }

    #[test]
    fn a_line_is_read_the_same_whether_or_not_it_is_written_as_this_program_does() {
        let own = r#"{"format":"NAME/1.0","text":"a"}"#;
        let note = Note::from_line(&line(own)).unwrap();
        assert_eq!(written_version::<Note>(&line(own)), Some(Version::ONE));
        for other in [r#"{ "format":"NAME/1.0","text":"a"}"#, r#"{"text":"a","format":"NAME/1.0"}"#] {
            assert_eq!(written_version::<Note>(&line(other)), None);
            assert_eq!(Note::from_line(&line(other)).unwrap(), note);
        }
        let later = line(r#"{"format":"NAME/1.2","text":"a","more":1}"#);
        assert_eq!(written_version::<Note>(&later), Some(Version { minor: 2, ..Version::ONE }));
        assert_eq!(Note::from_line(&later).unwrap().text, note.text);
    }

    #[test]
    fn no_line_gets_past_the_version_by_how_it_begins() {
        let bad = [
            r#"{"format":"NAME/2.0","text":"a"}"#,
            r#"{"format":"NAME/1.0x","text":"a"}"#,
            r#"{"format":"firn.note","text":"a"}"#,
            r#"{"format":"NAME/1.0","text":"a","format":"NAME/2.0"}"#,
            r#"{"format":"NAME/1.0","format":"NAME/2.0","text":"a"}"#,
            r#"{"format":"NAME/1.0",}"#,
            r#"{"format":"NAME/1.0","#,
        ];
        for text in bad {
            assert!(Note::from_line(&line(text)).is_err(), "{text}");
        }
    }
}
