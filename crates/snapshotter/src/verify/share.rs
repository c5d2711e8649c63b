//! Which part of a history is read: contents by the first byte of their hash, folders by that of their path's.

use std::fmt;
use std::str::FromStr;

use formats::ContentHash;
use serde::{Deserialize, Serialize};

/// Parts there are.
pub(super) const PARTS: u32 = 256;
const WORDS: usize = 4;
const WORD_BITS: u32 = u64::BITS;

/// Some of the parts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Share([u64; WORDS]);

impl Share {
    /// All of them.
    pub(super) const ALL: Self = Self([u64::MAX; WORDS]);

    /// The first so many.
    pub(super) fn first(count: u32) -> Self {
        let mut share = Self::default();
        (0..count.min(PARTS)).for_each(|part| share.add(u8::try_from(part).unwrap_or(u8::MAX)));
        share
    }

    /// The part of a content.
    pub(super) fn part(content: &ContentHash) -> u8 {
        let [first, ..] = content.as_bytes();
        *first
    }

    /// The part of a folder; the topmost has an empty path.
    pub(super) fn folder_part(path: &[u8]) -> u8 {
        Self::part(&ContentHash::of(path))
    }

    pub(super) fn add(&mut self, part: u8) {
        if let Some(word) = self.0.get_mut(usize::from(part) / WORD_BITS as usize) {
            *word |= 1 << (u32::from(part) % WORD_BITS);
        }
    }

    pub(super) fn has(&self, part: u8) -> bool {
        let word = self.0.get(usize::from(part) / WORD_BITS as usize).copied().unwrap_or(0);
        word >> (u32::from(part) % WORD_BITS) & 1 == 1
    }

    /// Both.
    pub(super) fn and(self, other: Self) -> Self {
        let mut share = self;
        share.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
        share
    }

    /// This one without the other.
    pub(super) fn without(self, other: Self) -> Self {
        let mut share = self;
        share.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= !other);
        share
    }

    /// How many parts it has.
    pub(super) fn count(self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|word| write!(f, "{word:016x}"))
    }
}

impl FromStr for Share {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut share = Self::default();
        let (words, rest) = text.as_bytes().as_chunks::<16>();
        if words.len() != WORDS || !rest.is_empty() {
            return Err("not a share");
        }
        for (word, digits) in share.0.iter_mut().zip(words) {
            let digits = std::str::from_utf8(digits).map_err(|_| "not a share")?;
            *word = u64::from_str_radix(digits, 16).map_err(|_| "not a share")?;
        }
        Ok(share)
    }
}

impl From<Share> for String {
    fn from(share: Share) -> Self {
        share.to_string()
    }
}

impl TryFrom<String> for Share {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_in_one_share_of_a_cycle_and_a_share_is_read_as_it_was_written() {
        let mut done = Share::default();
        for count in [0, 1, 9, 64, 65, 200, 256, 1_000] {
            let next = Share::first(count).without(done);
            assert_eq!(next.count() + done.count(), count.min(PARTS));
            done = done.and(next);
            assert_eq!(done.to_string().parse(), Ok(done));
        }
        assert_eq!(done, Share::ALL);
        assert!((0..=u8::MAX).all(|part| done.has(part)));
        assert!("".parse::<Share>().is_err() && "+".repeat(64).parse::<Share>().is_err());
    }
}
