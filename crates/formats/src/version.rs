//! Versions of formats: another major is refused, and the refusal says which side is older.

use crate::cursor::{Cursor, Malformed};

/// The version a file or message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Changes when an older reader would be wrong.
    pub major: u16,
    /// Changes when something is added that an older reader can do without.
    pub minor: u16,
}

/// Why a version cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// Written by a later Firn.
    #[error("{format} {}.{} is too new for this program, which reads {}.x", found.major, found.minor, read.major)]
    TooNew {
        /// Name of the format.
        format: &'static str,
        /// What the file says.
        found: Version,
        /// What this program reads.
        read: Version,
    },
    /// Written by an earlier Firn whose format is no longer read.
    #[error("{format} {}.{} is too old for this program, which reads {}.x", found.major, found.minor, read.major)]
    TooOld {
        /// Name of the format.
        format: &'static str,
        /// What the file says.
        found: Version,
        /// What this program reads.
        read: Version,
    },
}

impl Version {
    /// Version 1.0.
    pub const ONE: Version = Version { major: 1, minor: 0 };

    /// Refuses what this program (version `self` of the format) cannot read.
    pub fn check(self, format: &'static str, found: Version) -> Result<(), VersionError> {
        match found.major.cmp(&self.major) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(VersionError::TooNew { format, found, read: self }),
            std::cmp::Ordering::Less => Err(VersionError::TooOld { format, found, read: self }),
        }
    }

    /// Reads the two numbers.
    pub fn decode(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(Version { major: from.u16("version")?, minor: from.u16("version")? })
    }

    /// Appends the two numbers.
    pub fn encode(self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.major.to_le_bytes());
        to.extend_from_slice(&self.minor.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_minor_is_read_and_another_major_is_refused_by_name() {
        let one = Version::ONE;
        assert!(one.check("x", Version { major: 1, minor: 9 }).is_ok());
        let new = one.check("x", Version { major: 2, minor: 0 }).unwrap_err();
        assert!(new.to_string().contains("too new"));
        let old = one.check("x", Version { major: 0, minor: 3 }).unwrap_err();
        assert!(old.to_string().contains("too old"));
    }
}
