//! Names of snapshots: when the server accepted it, and which one it is.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDateTime, Utc};

const TIME: &str = "%Y%m%dT%H%M%SZ";
const TIME_BYTES: usize = 16;
const SEQUENCE_DIGITS: usize = 10;
const SEQUENCE_MAX: u64 = 9_999_999_999;

/// Why a text is no name of a snapshot, or none can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not `YYYYMMDDThhmmssZ-NNNNNNNNNN`.
    #[error("a snapshot is named like 20260102T030405Z-0000000001")]
    Grammar,
    /// The clock shows a year that does not have four digits, or there are more snapshots than ten digits count.
    #[error("the clock or the sequence cannot be written in a snapshot's name")]
    Range,
}

/// `YYYYMMDDThhmmssZ-NNNNNNNNNN`: time of acceptance, UTC, and sequence. There is one spelling for each; the sequence decides order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotName {
    text: String,
    time: DateTime<Utc>,
    sequence: u64,
}

impl SnapshotName {
    /// The name of the snapshot accepted at `time` as number `sequence`.
    pub fn new(time: DateTime<Utc>, sequence: u64) -> Result<Self, NameError> {
        // Whole seconds: no leap second, which has another spelling.
        let time = DateTime::from_timestamp(time.timestamp(), 0).ok_or(NameError::Range)?;
        if !(0..=9_999).contains(&time.year()) || sequence == 0 || sequence > SEQUENCE_MAX {
            return Err(NameError::Range);
        }
        let text = format!("{}-{sequence:0width$}", time.format(TIME), width = SEQUENCE_DIGITS);
        Ok(Self { text, time, sequence })
    }

    /// The name as text: also the name of its folder.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// When it was accepted, by the server's clock; of an imported one, when it was made. Whole seconds: two snapshots may have the same, and a clock
    /// may have been set back between them.
    #[must_use]
    pub fn time(&self) -> DateTime<Utc> {
        self.time
    }

    /// From 1, without gaps.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }
}

impl FromStr for SnapshotName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (time, sequence) = text.split_once('-').ok_or(NameError::Grammar)?;
        let digits = sequence.len() == SEQUENCE_DIGITS && sequence.bytes().all(|b| b.is_ascii_digit());
        if time.len() != TIME_BYTES || !digits {
            return Err(NameError::Grammar);
        }
        let time = NaiveDateTime::parse_from_str(time, TIME).map_err(|_| NameError::Grammar)?;
        let sequence = sequence.parse().map_err(|_| NameError::Grammar)?;
        let name = Self::new(time.and_utc(), sequence).map_err(|_| NameError::Grammar)?;
        // Whatever the calendar reads leniently (a leap second, a sign) has another spelling, and is no name.
        if name.text == text { Ok(name) } else { Err(NameError::Grammar) }
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        let time = DateTime::from_timestamp(1_767_322_930, 0).unwrap();
        let name = SnapshotName::new(time, 42).unwrap();
        assert_eq!(name.as_str(), "20260102T030210Z-0000000042");
        assert_eq!((name.time(), name.sequence()), (time, 42));
        assert_eq!(name.as_str().parse::<SnapshotName>(), Ok(name));
    }

    #[test]
    fn nothing_else_is_a_name() {
        let bad = [
            "",
            "latest",
            "log",
            "manifests",
            ".building",
            "20260102T030405Z",
            "20260102T030405Z-1",
            "20260102T030405Z-0000000000",
            "20260102T030405Z-00000000001",
            "20261302T030405Z-0000000001",
            "20260102T030460Z-0000000001",
            "20260102t030405Z-0000000001",
            "20260102T030405Z-000000000a",
            "+0260102T030405Z-0000000001",
            "20260102T030405Z-0000000001 ",
            "20260102T030405Z-0000000001/",
            "2026010 T030405Z-0000000001",
            "20260102T030405Z_0000000001",
            "20260102T030405Z-+000000001",
        ];
        for text in bad {
            assert_eq!(text.parse::<SnapshotName>(), Err(NameError::Grammar), "{text:?}");
        }
    }

    #[test]
    fn clocks_and_numbers_that_do_not_fit_are_refused() {
        let far = DateTime::from_timestamp(300_000_000_000, 0).unwrap();
        assert_eq!(SnapshotName::new(far, 1), Err(NameError::Range));
        let now = DateTime::from_timestamp(0, 0).unwrap();
        assert_eq!(SnapshotName::new(now, 0), Err(NameError::Range));
        assert_eq!(SnapshotName::new(now, SEQUENCE_MAX + 1), Err(NameError::Range));
        assert!(SnapshotName::new(now, SEQUENCE_MAX).is_ok());
    }
}
