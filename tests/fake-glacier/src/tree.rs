//! The tree hash: SHA-256 of each MiB, and of each pair of hashes, up to one.

use sha2::{Digest as _, Sha256};

const MIB: usize = 1 << 20;

pub(crate) type Hash = [u8; 32];

/// Of some bytes.
pub(crate) fn of(bytes: &[u8]) -> Hash {
    let leaves = bytes.chunks(MIB).map(|chunk| Sha256::digest(chunk).into()).collect();
    root(leaves).unwrap_or_else(|| Sha256::digest(b"").into())
}

/// Of hashes of equal parts, the last of which may be shorter. None of nothing.
pub(crate) fn root(mut level: Vec<Hash>) -> Option<Hash> {
    while level.len() > 1 {
        let pair = |pair: &[Hash]| match pair {
            [left, right] => Sha256::new().chain_update(left).chain_update(right).finalize().into(),
            other => other.first().copied().unwrap_or_default(),
        };
        level = level.chunks(2).map(pair).collect();
    }
    level.first().copied()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_paired_from_the_left() {
        let both =
            |a: &Hash, b: &Hash| -> Hash { Sha256::new().chain_update(a).chain_update(b).finalize().into() };
        let leaf = |byte: u8, length: usize| -> Hash { Sha256::digest(vec![byte; length]).into() };
        let bytes = [vec![1; MIB], vec![2; MIB], vec![3; 7]].concat();
        assert_eq!(of(&bytes), both(&both(&leaf(1, MIB), &leaf(2, MIB)), &leaf(3, 7)));
        assert_eq!(of(b"abc"), Hash::from(Sha256::digest(b"abc")));
    }
}
