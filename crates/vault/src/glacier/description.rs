//! What is written on each archive, so that it can be told from everything else in the vault: `firn/1 <name> <bytes> <BLAKE3> <mark of the put>`.

use formats::ContentHash;

use crate::{ObjectName, Result, VaultError};

const FORMAT: &str = "firn/1";
/// Longest description.
const BYTES_MAX: usize = 1_024;
const MARK_BYTES_MAX: usize = 64;

/// An archive's description, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Description {
    pub(super) name: ObjectName,
    pub(super) bytes: u64,
    pub(super) hash: ContentHash,
    pub(super) mark: String,
}

impl Description {
    pub(super) fn text(&self) -> Result<String> {
        let Description { name, bytes, hash, mark } = self;
        let text = format!("{FORMAT} {name} {bytes} {hash} {mark}");
        if text.len() > BYTES_MAX {
            return Err(VaultError::Setting {
                key: "url",
                what: format!("names a vault that takes no name as long as {name}"),
            });
        }
        Ok(text)
    }

    /// None for what no put of ours wrote.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let mut next = || words.next();
        if text.len() > BYTES_MAX || next()? != FORMAT {
            return None;
        }
        let (name, bytes, hash, mark) = (next()?.parse().ok()?, next()?, next()?.parse().ok()?, next()?);
        let is_number = bytes.bytes().all(|b| b.is_ascii_digit());
        let is_mark =
            (1..=MARK_BYTES_MAX).contains(&mark.len()) && mark.bytes().all(|b| b.is_ascii_alphanumeric());
        if !is_number || !is_mark || next().is_some() {
            return None;
        }
        Some(Description { name, bytes: bytes.parse().ok()?, hash, mark: mark.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let hash = ContentHash::of(b"abc");
        let name = "ice/web01/s/0000.pgp".parse().unwrap();
        let description = Description { name, bytes: 3, hash, mark: "0f".repeat(16) };
        let text = description.text().unwrap();
        assert_eq!(text, format!("firn/1 ice/web01/s/0000.pgp 3 {hash} {}", "0f".repeat(16)));
        assert_eq!(Description::read(&text), Some(description.clone()));
        for bad in [
            "",
            "holiday pictures",
            &text.replace("firn/1", "firn/2"),
            &text.replace(" 3 ", " +3 "),
            &text.replace("ice/", "/ice/"),
            &format!("{text} "),
            &format!("{text} more"),
            text.strip_suffix(&description.mark).unwrap(),
            &text.replace(" 3 ", " 99999999999999999999 "),
        ] {
            assert_eq!(Description::read(bad), None, "{bad}");
        }
        let long = [&*"a".repeat(240); 4].join("/").parse().unwrap();
        assert!(Description { name: long, ..description }.text().is_err());
    }
}
