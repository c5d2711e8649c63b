//! The contents that a jail's base has, sorted: what a receiver answers offers from. Layout in docs/formats/holdings.md.
//!
//! Whoever writes puts [`Head::encode`], the hashes, ascending, and the root once more. Whoever reads looks at head, length and end, and then
//! finds a hash with a few short reads, however long the list is.

use crate::cursor::{Cursor, Malformed};
use crate::id::{ContentHash, Root};
use crate::version::{Version, VersionError};

/// First bytes of the file.
pub const MAGIC: &[u8; 8] = b"firn.hld";
/// Bytes before the first hash.
pub const HEAD_BYTES: usize = 52;
/// Bytes of a hash.
pub const HASH_BYTES: usize = 32;
/// Bytes behind the last hash.
pub const END_BYTES: usize = 32;
/// When so few hashes are left they are read at once.
pub const NEAR: u64 = 128;

/// Why a list cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HoldingsError {
    /// Of another version.
    #[error("holdings")]
    Version(#[from] VersionError),
    /// Not a list.
    #[error("holdings")]
    Malformed(#[from] Malformed),
}

/// What a list begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Of which manifest the contents are.
    pub root: Root,
    /// How many different ones it has.
    pub count: u64,
}

impl Head {
    /// The first bytes of the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = MAGIC.to_vec();
        Version::ONE.encode(&mut to);
        to.extend_from_slice(self.root.as_bytes());
        to.extend_from_slice(&self.count.to_le_bytes());
        to
    }

    /// Reads the first [`HEAD_BYTES`] of the file.
    pub fn decode(bytes: &[u8]) -> Result<Self, HoldingsError> {
        let mut from = Cursor::new(bytes);
        if from.bytes(MAGIC.len(), "magic")? != MAGIC {
            return Err(Malformed { what: "magic" }.into());
        }
        Version::ONE.check("holdings", Version::decode(&mut from)?)?;
        let head = Self { root: Root::from_bytes(from.array("root")?), count: from.u64("count")? };
        from.end("head: bytes after its end")?;
        Ok(head)
    }

    /// The head of a file of so many bytes; none if that is no whole list, as far as head, length and end tell. `read` fills its buffer from an offset.
    pub fn read<E>(bytes: u64, mut read: impl FnMut(&mut [u8], u64) -> Result<(), E>) -> Option<Self> {
        let (mut start, mut end) = ([0; HEAD_BYTES], [0; END_BYTES]);
        read(&mut start, 0).ok()?;
        let head = Self::decode(&start).ok().filter(|head| head.file_bytes() == Some(bytes))?;
        read(&mut end, bytes.checked_sub(END_BYTES as u64)?).ok()?;
        // A list that was torn does not have its root there.
        (end == *head.root.as_bytes()).then_some(head)
    }

    /// How long the file is; none if there can be no such file.
    pub fn file_bytes(&self) -> Option<u64> {
        self.count.checked_mul(HASH_BYTES as u64)?.checked_add((HEAD_BYTES + END_BYTES) as u64)
    }

    /// Where the hash with this number lies in the file.
    pub fn offset(&self, number: u64) -> u64 {
        (HEAD_BYTES as u64).saturating_add(number.saturating_mul(HASH_BYTES as u64))
    }

    /// Whether the list has this content. `read` fills its buffer from an offset of the file; at most [`NEAR`] hashes are asked for at a time.
    ///
    /// Hashes lie evenly, so their value tells about where they lie: a guess and a halving in turn, which also bounds the steps of a list
    /// whose contents somebody chose for their hashes.
    pub fn has<E>(
        &self,
        content: &ContentHash,
        mut read: impl FnMut(&mut [u8], u64) -> Result<(), E>,
    ) -> Result<bool, E> {
        let wanted = content.as_bytes();
        let (mut low, mut high) = (0, self.count);
        let (mut least, mut most) = (0, u64::MAX);
        let mut guesses = true;
        while high - low > NEAR {
            let middle =
                if guesses { guess((low, high), (least, most), key(wanted)) } else { low + (high - low) / 2 };
            guesses = !guesses;
            let mut found = [0; HASH_BYTES];
            read(&mut found, self.offset(middle))?;
            match found.cmp(wanted) {
                std::cmp::Ordering::Equal => return Ok(true),
                std::cmp::Ordering::Less => (low, least) = (middle + 1, key(&found)),
                std::cmp::Ordering::Greater => (high, most) = (middle, key(&found)),
            }
        }
        let mut near = [0; NEAR as usize * HASH_BYTES];
        let bytes = usize::try_from(high - low).unwrap_or(0).saturating_mul(HASH_BYTES);
        let near = near.get_mut(..bytes).unwrap_or_default();
        if near.is_empty() {
            return Ok(false);
        }
        read(near, self.offset(low))?;
        Ok(near.as_chunks::<HASH_BYTES>().0.binary_search(wanted).is_ok())
    }
}

/// The start of a hash, as a number that sorts as the hash does.
fn key(hash: &[u8; HASH_BYTES]) -> u64 {
    hash.first_chunk::<8>().map_or(0, |start| u64::from_be_bytes(*start))
}

/// About where `wanted` lies from `low` on and before `high`, if the hashes between them lie evenly.
fn guess((low, high): (u64, u64), (least, most): (u64, u64), wanted: u64) -> u64 {
    let span = u128::from(most.saturating_sub(least)).max(1);
    let part = u128::from(wanted.saturating_sub(least)) * u128::from(high - low) / span;
    low.saturating_add(u64::try_from(part).unwrap_or(u64::MAX)).min(high - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(count: u64, of: impl Fn(u64) -> [u8; 32]) -> Vec<[u8; 32]> {
        let mut hashes: Vec<_> = (0..count).map(of).collect();
        hashes.sort_unstable();
        hashes.dedup();
        hashes
    }

    /// Looks one up, and counts the reads.
    fn look(hashes: &[[u8; 32]], wanted: [u8; 32]) -> (bool, u32) {
        let head = Head { root: Root::from_bytes([1; 32]), count: hashes.len() as u64 };
        let mut reads = 0;
        let has = head.has(&ContentHash::from_bytes(wanted), |to, offset| {
            reads += 1;
            let first = (offset as usize - HEAD_BYTES) / HASH_BYTES;
            let part = hashes[first..].as_flattened().get(..to.len()).ok_or("beyond the end")?;
            to.copy_from_slice(part);
            Ok::<_, &str>(())
        });
        (has.unwrap(), reads)
    }

    fn hash(number: u64) -> [u8; 32] {
        *ContentHash::of(&number.to_le_bytes()).as_bytes()
    }

    /// A hash that somebody chose: the same start as all others.
    fn chosen(number: u64) -> [u8; 32] {
        let mut bytes = [7; 32];
        bytes[24..].copy_from_slice(&number.to_be_bytes());
        bytes
    }

    #[test]
    fn every_hash_of_a_list_is_found_and_no_other() {
        for count in [0, 1, 2, 127, 128, 129, 130, 1_000, 5_000] {
            for of in [hash, chosen] {
                let hashes = sorted(count, of);
                assert!(hashes.iter().all(|hash| look(&hashes, *hash).0), "{count}");
                let others = (0..500).map(|n| of(n + 1_000_000)).chain([[0; 32], [255; 32]]);
                assert!(others.into_iter().all(|other| !look(&hashes, other).0), "{count}");
            }
        }
    }

    #[test]
    fn a_long_list_costs_a_few_reads_even_where_the_hashes_were_chosen() {
        let (even, uneven) = (sorted(300_000, hash), sorted(300_000, chosen));
        let most =
            |hashes: &[[u8; 32]]| hashes.iter().step_by(991).map(|hash| look(hashes, *hash).1).max().unwrap();
        assert!(most(&even) <= 12, "{}", most(&even));
        assert!(most(&uneven) <= 26, "{}", most(&uneven));
    }

    #[test]
    fn a_head_is_read_as_it_was_written_and_nothing_else_is() {
        let head = Head { root: Root::from_bytes([3; 32]), count: 7 };
        let bytes = head.encode();
        assert_eq!(bytes.len(), HEAD_BYTES);
        assert_eq!(Head::decode(&bytes), Ok(head));
        assert_eq!(head.file_bytes(), Some(52 + 7 * 32 + 32));
        assert_eq!(Head { count: u64::MAX / 8, ..head }.file_bytes(), None);
        for end in 0..bytes.len() {
            assert!(Head::decode(&bytes[..end]).is_err());
        }
        assert!(Head::decode(&[&bytes[..], &[0]].concat()).is_err());
        let mut newer = bytes.clone();
        newer[8] = 2;
        assert!(matches!(Head::decode(&newer), Err(HoldingsError::Version(VersionError::TooNew { .. }))));
    }

    #[test]
    fn a_list_is_whole_if_its_length_fits_and_its_root_is_at_its_end() {
        let head = Head { root: Root::from_bytes([3; 32]), count: 2 };
        let whole = [head.encode(), vec![9; 2 * HASH_BYTES], vec![3; END_BYTES]].concat();
        let read = |list: &[u8]| {
            Head::read(list.len() as u64, |to: &mut [u8], offset| {
                let part = list.get(offset as usize..).and_then(|rest| rest.get(..to.len()));
                part.map(|part| to.copy_from_slice(part)).ok_or(())
            })
        };
        assert_eq!(read(&whole), Some(head));
        assert!((0..whole.len()).all(|end| read(&whole[..end]).is_none()));
        assert_eq!(read(&[&whole[..], &[3; HASH_BYTES]].concat()), None);
        let mut torn = whole;
        *torn.last_mut().unwrap() = 0;
        assert_eq!(read(&torn), None);
    }
}
