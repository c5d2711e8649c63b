//! What a long content is made of, so that of a changed one only what is new is sent: docs/formats/client-state.md.
//!
//! Two lists: blocks of one length, by which a change in place is found, and chunks whose ends the content itself decides, by which what has
//! only moved is found. A list that is lost, torn or damaged counts as not there: the content is then sent whole.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Write};

use durable::{Dir, Name};
use formats::cursor::{Cursor, Malformed, malformed};
use formats::{ContentHash, Version};

const MAGIC: &[u8; 8] = b"firn.pcs";
/// In version 1, blocks were known by a hash of their own.
const VERSION: Version = Version { major: 2, minor: 0 };
/// Magic, version, length of a block, numbers of blocks and chunks.
const HEAD_BYTES: usize = 24;
const CHECK_BYTES: usize = 32;
const SHORT_BYTES: usize = 16;
const CHUNK_BYTES: usize = 4 + SHORT_BYTES;
/// Shortest block.
const BLOCK_BYTES_MIN: u64 = 64 * 1024;
/// Longest block: with it, lists of [`BLOCKS_MAX`] reach to 1 TiB.
pub const BLOCK_BYTES_MAX: u64 = 1024 * 1024;
/// Most blocks of one content, and most chunks; beyond them, a content is not listed.
const BLOCKS_MAX: u64 = 1 << 20;

/// So much of a BLAKE3 hash that nobody makes a second piece of the same.
pub type Short = [u8; SHORT_BYTES];

/// The first bytes of the hash of a piece.
pub fn short_of(bytes: &[u8]) -> Short {
    shortened(blake3::hash(bytes).as_bytes())
}

/// The first bytes of a hash.
pub fn shortened(hash: &[u8; 32]) -> Short {
    let mut short = [0; SHORT_BYTES];
    short.iter_mut().zip(hash).for_each(|(to, from)| *to = *from);
    short
}

/// The lists of one content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pieces {
    /// Length of all blocks but the last.
    pub block_bytes: usize,
    /// Values of the blocks in the BLAKE3 tree of the content, in their order.
    pub blocks: Vec<Short>,
    /// Length and hash of the chunks, in their order.
    pub chunks: Vec<(u32, Short)>,
}

impl Pieces {
    /// Empty lists for a content of this length.
    pub fn for_length(bytes: u64) -> Self {
        let mut block_bytes = BLOCK_BYTES_MIN;
        while block_bytes < BLOCK_BYTES_MAX && bytes.div_ceil(block_bytes) > BLOCKS_MAX {
            block_bytes *= 2;
        }
        let block_bytes = usize::try_from(block_bytes).unwrap_or_default();
        Self { block_bytes, blocks: Vec::new(), chunks: Vec::new() }
    }

    /// Notes the next block.
    pub fn note_block(&mut self, block: Short) {
        // What lies beyond is sent again when it changes.
        if (self.blocks.len() as u64) < BLOCKS_MAX {
            self.blocks.push(block);
        }
    }

    /// Notes the next chunk.
    pub fn note_chunk(&mut self, length: u32, chunk: Short) {
        if (self.chunks.len() as u64) < BLOCKS_MAX {
            self.chunks.push((length, chunk));
        }
    }

    fn encode(&self) -> Result<Vec<u8>, Malformed> {
        let number = |length: usize| u32::try_from(length).or(malformed("pieces: too many"));
        let mut to = Vec::with_capacity(
            HEAD_BYTES + SHORT_BYTES * self.blocks.len() + CHUNK_BYTES * self.chunks.len() + CHECK_BYTES,
        );
        to.extend_from_slice(MAGIC);
        VERSION.encode(&mut to);
        for length in [self.block_bytes, self.blocks.len(), self.chunks.len()] {
            to.extend_from_slice(&number(length)?.to_le_bytes());
        }
        self.blocks.iter().for_each(|block| to.extend_from_slice(block));
        for (length, hash) in &self.chunks {
            to.extend_from_slice(&length.to_le_bytes());
            to.extend_from_slice(hash);
        }
        let check = blake3::hash(&to);
        to.extend_from_slice(check.as_bytes());
        Ok(to)
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let Some((body, check)) = bytes.split_last_chunk::<CHECK_BYTES>() else { return malformed("pieces") };
        if blake3::hash(body).as_bytes() != check {
            return malformed("pieces: check");
        }
        let mut from = Cursor::new(body);
        let is_ours = from.bytes(MAGIC.len(), "magic")? == MAGIC;
        let version = Version::decode(&mut from)?;
        let is_first = Version::ONE.check("pieces", version).is_ok();
        if !is_ours || !(is_first || VERSION.check("pieces", version).is_ok()) {
            return malformed("pieces: version");
        }
        let block_bytes = from.u32("block length")?;
        let (blocks, chunks) = (from.u32("blocks")?, from.u32("chunks")?);
        let fits = (BLOCK_BYTES_MIN..=BLOCK_BYTES_MAX).contains(&u64::from(block_bytes));
        let expected = u64::from(blocks) * SHORT_BYTES as u64 + u64::from(chunks) * CHUNK_BYTES as u64;
        if !fits || from.rest().len() as u64 != expected {
            return malformed("pieces: length");
        }
        let mut blocks: Vec<_> = (0..blocks).map(|_| from.array("block")).collect::<Result<_, _>>()?;
        if is_first {
            blocks.clear();
        }
        let chunks = (0..chunks)
            .map(|_| Ok((from.u32("chunk")?, from.array("chunk")?)))
            .collect::<Result<_, Malformed>>()?;
        Ok(Self { block_bytes: block_bytes as usize, blocks, chunks })
    }
}

/// The folder of the lists, each in a file named by its content.
#[derive(Debug)]
pub struct PiecesFolder {
    dir: Dir,
}

impl PiecesFolder {
    pub(super) fn new(dir: Dir) -> Self {
        Self { dir }
    }

    /// The lists of this content; none if there are none of use.
    pub fn load(&self, content: &ContentHash) -> Option<Pieces> {
        const BYTES_MAX: u64 =
            HEAD_BYTES as u64 + BLOCKS_MAX * (SHORT_BYTES + CHUNK_BYTES) as u64 + CHECK_BYTES as u64;
        let file = self.dir.open_read(Name::new(content.to_string().as_bytes()).ok()?).ok()?;
        let mut bytes = Vec::new();
        file.take(BYTES_MAX).read_to_end(&mut bytes).ok()?;
        Pieces::decode(&bytes).ok()
    }

    /// Keeps the lists of this content. Not durably: torn ones are known by their check.
    pub fn save(&self, content: &ContentHash, pieces: &Pieces) -> io::Result<()> {
        let name = content.to_string();
        let name = Name::new(name.as_bytes())?;
        let bytes = pieces.encode().map_err(io::Error::other)?;
        match self.dir.unlink(name) {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
        let mut file: File = self.dir.create_new(name, 0o600)?;
        file.write_all(&bytes)
    }

    /// Removes the lists of all other contents.
    pub fn keep_only(&self, kept: &HashSet<Short>) -> io::Result<()> {
        for name in self.dir.names()? {
            let content = std::str::from_utf8(&name).ok().and_then(|name| name.parse::<ContentHash>().ok());
            if content.is_none_or(|content| !kept.contains(&shortened(content.as_bytes()))) {
                self.dir.unlink(Name::new(&name)?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, PiecesFolder) {
        let scratch = tempfile::tempdir().unwrap();
        let dir = Dir::open_root(scratch.path()).unwrap();
        (scratch, PiecesFolder::new(dir))
    }

    fn pieces() -> Pieces {
        let mut pieces = Pieces::for_length(3 << 20);
        pieces.blocks = (0..48u8).map(|n| short_of(&[n])).collect();
        pieces.chunks = (0..30u8).map(|n| (100_000 + u32::from(n), short_of(&[n, n]))).collect();
        pieces
    }

    #[test]
    fn lists_are_read_as_they_were_written_and_damaged_ones_are_not_there() {
        let (scratch, folder) = folder();
        let content = ContentHash::of(b"content");
        assert_eq!(folder.load(&content), None);
        folder.save(&content, &pieces()).unwrap();
        assert_eq!(folder.load(&content), Some(pieces()));
        let path = scratch.path().join(content.to_string());
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 4;
            std::fs::write(&path, bad).unwrap();
            assert_eq!(folder.load(&content), None, "byte {at}");
            std::fs::write(&path, &good[..at]).unwrap();
            assert_eq!(folder.load(&content), None, "cut at {at}");
        }
        folder.save(&content, &pieces()).unwrap();
        assert_eq!(folder.load(&content), Some(pieces()));
    }

    #[test]
    fn of_lists_of_version_1_the_chunks_are_read() {
        let of_version = |major| {
            let mut bytes = pieces().encode().unwrap();
            bytes[MAGIC.len()] = major;
            let body = bytes.len() - CHECK_BYTES;
            let check = blake3::hash(&bytes[..body]);
            bytes[body..].copy_from_slice(check.as_bytes());
            Pieces::decode(&bytes)
        };
        assert_eq!(of_version(1), Ok(Pieces { blocks: Vec::new(), ..pieces() }));
        assert_eq!(of_version(2), Ok(pieces()));
        assert!(of_version(3).is_err());
    }

    #[test]
    fn lists_of_contents_that_are_gone_go_too() {
        let (scratch, folder) = folder();
        let (kept, gone) = (ContentHash::of(b"kept"), ContentHash::of(b"gone"));
        folder.save(&kept, &pieces()).unwrap();
        folder.save(&gone, &pieces()).unwrap();
        std::fs::write(scratch.path().join("stray"), b"").unwrap();
        folder.keep_only(&HashSet::from([shortened(kept.as_bytes())])).unwrap();
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 1);
        assert_eq!(folder.load(&kept), Some(pieces()));
    }

    #[test]
    fn the_longer_a_content_the_longer_its_blocks() {
        let block = |bytes| Pieces::for_length(bytes).block_bytes;
        assert_eq!(block(0), 64 << 10);
        assert_eq!(block(64 << 30), 64 << 10);
        assert_eq!(block((64 << 30) + 1), 128 << 10);
        assert_eq!(block(1 << 40), 1 << 20);
        assert_eq!(block(1 << 50), 1 << 20);
    }
}
