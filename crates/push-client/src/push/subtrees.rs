//! The BLAKE3 tree of a content, made of the values of its blocks: one hashing tells the content and each of its blocks.
//!
//! The value of a block is that of the subtree above it ("chaining value" in section 2.1 of the BLAKE3 paper). It depends on where the block lies, and
//! is as hard to forge as a hash.

use blake3::Hasher;
use blake3::hazmat::{ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};
use formats::ContentHash;

use crate::state::{Short, shortened};

/// A content on its way through.
#[derive(Debug)]
pub(super) struct Subtrees {
    block_bytes: usize,
    /// The block under way, and how much of it there is.
    block: Hasher,
    filled: usize,
    /// Bytes of the blocks that are done.
    done: u64,
    /// The hash of the content, if it ends with its first block.
    alone: blake3::Hash,
    /// Values of what is done, from the left, each above at least as many blocks as the next: at most one more than the number of blocks has bits.
    values: Vec<ChainingValue>,
}

impl Subtrees {
    /// Blocks are of this length: a power of two, and at least 1,024.
    pub(super) fn new(block_bytes: usize) -> Self {
        let alone = blake3::hash(b"");
        Self { block_bytes, block: Hasher::new(), filled: 0, done: 0, alone, values: Vec::new() }
    }

    /// Takes what follows. `note` is told the blocks that got whole, in their order.
    pub(super) fn take(&mut self, mut bytes: &[u8], mut note: impl FnMut(Short)) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(self.block_bytes - self.filled));
            self.block.update(now);
            self.filled += now.len();
            bytes = later;
            if self.filled == self.block_bytes {
                note(self.close());
            }
        }
    }

    /// The value of the last block, if it is a short one. Nothing is taken after it.
    pub(super) fn end(&mut self) -> Option<Short> {
        (self.filled > 0).then(|| self.close())
    }

    /// How much was taken.
    pub(super) fn bytes(&self) -> u64 {
        self.done + self.filled as u64
    }

    /// How much was taken, and its hash.
    pub(super) fn finish(mut self) -> (u64, ContentHash) {
        self.end();
        let hash = match self.values.split_last() {
            Some((right, [top, between @ ..])) => {
                let join = |right, left: &ChainingValue| merge_subtrees_non_root(left, &right, Mode::Hash);
                merge_subtrees_root(top, &between.iter().rev().fold(*right, join), Mode::Hash)
            }
            _ => self.alone,
        };
        (self.done, ContentHash::from_bytes(*hash.as_bytes()))
    }

    fn close(&mut self) -> Short {
        let value = self.block.finalize_non_root();
        if self.done == 0 {
            self.alone = self.block.finalize();
        }
        // Now that more has come, what is whole to the left of it is joined: as many values are left as the number of blocks has bits.
        let before = self.done / self.block_bytes as u64;
        while self.values.len() > before.count_ones() as usize {
            let (right, left) = (self.values.pop(), self.values.pop());
            self.values.extend(left.zip(right).map(|(l, r)| merge_subtrees_non_root(&l, &r, Mode::Hash)));
        }
        self.values.push(value);
        self.done += self.filled as u64;
        self.filled = 0;
        // A new one: `reset` forgets the bytes and not the offset.
        self.block = Hasher::new();
        if self.done.is_multiple_of(self.block_bytes as u64) {
            self.block.set_input_offset(self.done);
        }
        shortened(&value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: usize = 1_024;
    /// Up to the longest that files have. All but the first are subtrees of several leaves.
    const BLOCKS: [usize; 4] = [BLOCK, 4_096, 64 << 10, 1 << 20];

    fn noise(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        Hasher::new().update(b"noise").finalize_xof().fill(&mut bytes);
        bytes
    }

    /// The hash of what is taken in pieces of this length, and the blocks.
    fn taken(bytes: &[u8], piece: usize, block_bytes: usize) -> (ContentHash, Vec<Short>) {
        let mut subtrees = Subtrees::new(block_bytes);
        let mut blocks = Vec::new();
        bytes.chunks(piece).for_each(|piece| subtrees.take(piece, |block| blocks.push(block)));
        blocks.extend(subtrees.end());
        assert_eq!(blocks.len(), bytes.len().div_ceil(block_bytes));
        assert_eq!(subtrees.bytes(), bytes.len() as u64);
        let (length, hash) = subtrees.finish();
        assert_eq!(length, bytes.len() as u64);
        (hash, blocks)
    }

    #[test]
    fn the_hash_is_that_of_the_whole_for_every_number_of_blocks_and_every_end() {
        let bytes = noise(8 << 20);
        for (block_bytes, most) in BLOCKS.into_iter().zip([70, 40, 20, 7]) {
            for blocks in 0..most {
                for more in [0, 1, 1_023, 1_025 % block_bytes, block_bytes - 1] {
                    let bytes = &bytes[..blocks * block_bytes + more];
                    let (hash, _) = taken(bytes, 1 << 20, block_bytes);
                    assert_eq!(hash, ContentHash::of(bytes), "{blocks} of {block_bytes} and {more} bytes");
                }
            }
        }
    }

    #[test]
    fn a_content_that_nobody_ended_has_its_last_block_in_its_hash() {
        let bytes = noise(2 * BLOCK + 5);
        let mut subtrees = Subtrees::new(BLOCK);
        subtrees.take(&bytes, |_| {});
        assert_eq!(subtrees.finish(), (bytes.len() as u64, ContentHash::of(&bytes)));
    }

    #[test]
    fn how_it_is_read_does_not_matter() {
        let bytes = noise(33 * BLOCK + 7);
        let whole = taken(&bytes, bytes.len(), BLOCK);
        for piece in [1, 7, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 100] {
            assert!(taken(&bytes, piece, BLOCK) == whole, "pieces of {piece} bytes");
        }
    }

    #[test]
    fn a_changed_byte_changes_its_block_alone() {
        let bytes = noise(20 * BLOCK + 10);
        let (hash, blocks) = taken(&bytes, BLOCK, BLOCK);
        for at in [0, BLOCK - 1, BLOCK, 13 * BLOCK + 5, 20 * BLOCK + 9] {
            let mut other = bytes.clone();
            other[at] ^= 1;
            let (other_hash, other_blocks) = taken(&other, BLOCK, BLOCK);
            let differ = |block: &usize| blocks[*block] != other_blocks[*block];
            assert_eq!((0..21).filter(differ).collect::<Vec<_>>(), [at / BLOCK]);
            assert!(hash != other_hash);
        }
    }
}
