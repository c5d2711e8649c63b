//! The contents that are in the push, so that equal small files are sent once.

use std::collections::HashSet;

use formats::ContentHash;

use crate::state::{Short, shortened};

/// Most that are remembered. Beyond it some are sent twice.
const REMEMBERED_MAX: usize = 1_000_000;
/// One large set would, each time it grows, take its room three times for a moment; of many small ones only one grows at a time. So many that each,
/// at the most, is just below the point where it would grow again.
const SETS: usize = 19;

/// Hashes of contents, shortened; 21 MiB at the most.
#[derive(Debug)]
pub(super) struct Remembered {
    sets: [HashSet<Short>; SETS],
    count: usize,
}

impl Remembered {
    pub(super) fn new(held: impl Iterator<Item = ContentHash>) -> Self {
        let mut remembered = Self { sets: std::array::from_fn(|_| HashSet::new()), count: 0 };
        held.for_each(|hash| remembered.insert(&hash));
        remembered
    }

    pub(super) fn has(&self, hash: &ContentHash) -> bool {
        let short = shortened(hash.as_bytes());
        self.sets.get(set_of(&short)).is_some_and(|set| set.contains(&short))
    }

    pub(super) fn insert(&mut self, hash: &ContentHash) {
        let short = shortened(hash.as_bytes());
        if self.count < REMEMBERED_MAX
            && self.sets.get_mut(set_of(&short)).is_some_and(|set| set.insert(short))
        {
            self.count += 1;
        }
    }
}

fn set_of(short: &Short) -> usize {
    usize::from(u16::from_le_bytes([short[0], short[1]])) % SETS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_fit_and_are_found() {
        let hash = |number: u64| ContentHash::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes());
        let mut remembered = Remembered::new((0..REMEMBERED_MAX as u64 + 5).map(hash));
        assert_eq!(remembered.count, REMEMBERED_MAX);
        assert!(remembered.has(&hash(0)) && remembered.has(&hash(REMEMBERED_MAX as u64 - 1)));
        assert!(!remembered.has(&hash(REMEMBERED_MAX as u64)), "there is a limit");
        remembered.insert(&hash(0));
        let room: usize = remembered.sets.iter().map(HashSet::capacity).sum();
        assert!(room <= SETS * 57_344, "a set grew once more: room for {room}");
    }
}
