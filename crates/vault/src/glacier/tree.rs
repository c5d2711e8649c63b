//! The tree hash by which Glacier names content: SHA-256 of each MiB, then of each pair of hashes, up to one. An odd hash at the end goes up as it is.

use std::fmt;

use sha2::{Digest as _, Sha256};

const MIB: usize = 1 << 20;

/// A tree hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TreeHash([u8; 32]);

impl TreeHash {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut hasher = TreeHasher::default();
        hasher.update(bytes);
        hasher.finish()
    }

    /// Of parts by their hashes: each but the last of one length, a power of two MiB.
    pub(super) fn of_parts(mut level: Vec<TreeHash>) -> Self {
        while level.len() > 1 {
            level = level.chunks(2).map(above).collect();
        }
        level.first().copied().unwrap_or_else(|| TreeHash(Sha256::digest(b"").into()))
    }

    /// 64 small hexadecimal digits, or none.
    pub(super) fn read(text: &str) -> Option<Self> {
        let is_hex =
            text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let mut hash = [0; 32];
        for (to, at) in hash.iter_mut().zip((0..64).step_by(2)) {
            *to = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
        }
        is_hex.then_some(TreeHash(hash))
    }
}

fn above(pair: &[TreeHash]) -> TreeHash {
    match pair {
        [TreeHash(left), TreeHash(right)] => {
            TreeHash(Sha256::new().chain_update(left).chain_update(right).finalize().into())
        }
        other => other.first().copied().unwrap_or(TreeHash([0; 32])),
    }
}

impl fmt::Display for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A tree hash of bytes that come one after the other. Its memory grows with the logarithm of their number.
#[derive(Default)]
pub(super) struct TreeHasher {
    leaf: Sha256,
    in_leaf: usize,
    /// Whole trees, each with the power of two of its leaves, larger ones first.
    trees: Vec<(u32, TreeHash)>,
}

impl TreeHasher {
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(MIB - self.in_leaf));
            self.leaf.update(now);
            self.in_leaf += now.len();
            bytes = rest;
            if self.in_leaf == MIB {
                self.grow();
            }
        }
    }

    fn grow(&mut self) {
        self.in_leaf = 0;
        let mut tree = (0, TreeHash(std::mem::take(&mut self.leaf).finalize().into()));
        while let Some((height, left)) = self.trees.pop_if(|(height, _)| *height == tree.0) {
            tree = (height + 1, above(&[left, tree.1]));
        }
        self.trees.push(tree);
    }

    pub(super) fn finish(mut self) -> TreeHash {
        if self.in_leaf > 0 || self.trees.is_empty() {
            self.grow();
        }
        let mut trees = self.trees.into_iter().rev();
        let last = trees.next().map_or(TreeHash([0; 32]), |(_, hash)| hash);
        trees.fold(last, |right, (_, left)| above(&[left, right]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector that the AWS CLI and the SDK's own tests agree on: eleven letters again and again, just past 101 MiB and 500 bytes.
    #[test]
    fn the_published_vector_holds() {
        let seed = b"01245678912";
        let mut bytes = Vec::new();
        while bytes.len() < MIB * 101 + 500 {
            bytes.extend_from_slice(seed);
        }
        let expected = "3d417484359fc9f5a3bafd576dc47b8b2de2bf2d4fdac5aa2aff768f2210d386";
        assert_eq!(TreeHash::of(&bytes).to_string(), expected);
        assert_eq!(TreeHash::read(expected).unwrap().to_string(), expected);
        for part in [1, 4, 32] {
            let parts = bytes.chunks(part * MIB).map(TreeHash::of).collect();
            assert_eq!(TreeHash::of_parts(parts).to_string(), expected, "{part}");
        }
    }

    #[test]
    fn up_to_a_mib_it_is_sha_256() {
        // FIPS 180-2, and of nothing.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(TreeHash::of(b"abc").to_string(), abc);
        let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(TreeHash::of(b"").to_string(), nothing);
        assert_eq!(TreeHash::of_parts(Vec::new()).to_string(), nothing);
    }

    #[test]
    fn bytes_that_come_in_pieces_have_the_hash_of_the_whole() {
        for leaves in 0..9 {
            for more in [0, 1] {
                let bytes: Vec<u8> = (0..leaves * MIB + more).map(|n| (n / 999) as u8).collect();
                let mut hasher = TreeHasher::default();
                bytes.chunks(777_777).for_each(|piece| hasher.update(piece));
                let parts = bytes.chunks(MIB).map(TreeHash::of).collect();
                assert_eq!(hasher.finish(), TreeHash::of_parts(parts), "{leaves} {more}");
            }
        }
    }

    #[test]
    fn only_small_hexadecimal_is_read() {
        for bad in ["", "ab", &"g".repeat(64), &"A".repeat(64), &"a".repeat(65), &"é".repeat(32)] {
            assert!(TreeHash::read(bad).is_none(), "{bad}");
        }
    }
}
