//! Names that go into other people's languages: only what needs no quoting there.

use std::fmt;
use std::str::FromStr;

/// A name that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(&'static str);

/// Name of a bucket that both providers take: no dots, which break TLS names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketName(String);

/// Name of a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region(String);

impl FromStr for BucketName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let whole = (3..=63).contains(&text.len()) && !text.starts_with('-') && !text.ends_with('-');
        if whole && text.bytes().all(is_plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError("must be 3 to 63 of a-z, 0-9 and '-', not beginning or ending with '-'"))
        }
    }
}

impl FromStr for Region {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if (2..=40).contains(&text.len()) && text.bytes().all(is_plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError("must be 2 to 40 of a-z, 0-9 and '-', like eu-central-1"))
        }
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

impl BucketName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Region {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_needs_no_quoting_in_any_language() {
        for bad in ["", "ab", "-abc", "abc-", "a.bc", "Abc", "a\"bc", "a${b}", "a\nbc", &"a".repeat(64)] {
            assert!(bad.parse::<BucketName>().is_err(), "{bad:?}");
        }
        assert!("example-ice-1".parse::<BucketName>().is_ok());
        for bad in ["", "a", "eu central", "eu\"", "EU"] {
            assert!(bad.parse::<Region>().is_err(), "{bad:?}");
        }
        assert!("eu-central-1".parse::<Region>().is_ok());
    }
}
