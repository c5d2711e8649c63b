//! Squeezes blocks, each on its own: not those that would not shrink, and the others as hard as the line leaves time for.

use std::io;
use std::time::{Duration, Instant};

use formats::push::{Block, Codec};
use zstd::bulk::Compressor;

/// Of a block so much is tried before the rest is touched: pieces from all over it.
const SAMPLE_PIECES: usize = 4;
const SAMPLE_PIECE_BYTES: usize = 4 * 1024;
/// A block shorter than this is squeezed without a trial.
const TRIED_BYTES_MIN: usize = 16 * SAMPLE_PIECES * SAMPLE_PIECE_BYTES;
/// Levels of zstd that are used unless one is set. Lower ones send more than any host's core is worth; higher ones take longer than slow lines repay.
const LEVEL_MIN: i32 = 1;
const LEVEL_MAX: i32 = 6;
/// How many blocks are looked at together.
const WINDOW_BLOCKS: u32 = 16;

/// How hard blocks are squeezed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Always so.
    Fixed(i32),
    /// As the line leaves time.
    Adaptive,
}

/// The compressor, and what it has seen.
pub(super) struct Press {
    compressor: Compressor<'static>,
    packed: Vec<u8>,
    sample: Vec<u8>,
    pace: Option<Pace>,
}

impl Press {
    pub(super) fn new(level: Level) -> io::Result<Self> {
        let (level, pace) = match level {
            Level::Fixed(level) => (level, None),
            Level::Adaptive => (LEVEL_MIN, Some(Pace::new())),
        };
        let compressor = Compressor::new(level)?;
        Ok(Self { compressor, packed: Vec::new(), sample: Vec::new(), pace })
    }

    pub(super) fn squeeze<'a>(&'a mut self, block: &'a [u8]) -> Block<'a> {
        let expanded_bytes = block.len();
        let stored = Block { codec: Codec::Stored, expanded_bytes, packed: block };
        let began = Instant::now();
        if block.len() >= TRIED_BYTES_MIN && !self.sample_shrinks(block) {
            return stored;
        }
        let length = self.compressed(block);
        if let Some(pace) = &mut self.pace {
            pace.squeezed += began.elapsed();
        }
        match length {
            Some(length) => Block {
                codec: Codec::Zstd,
                expanded_bytes,
                packed: self.packed.get(..length).unwrap_or_default(),
            },
            None => stored,
        }
    }

    /// After a block that took so long to send.
    pub(super) fn adapt(&mut self, waited: Duration) -> io::Result<()> {
        if let Some(level) = self.pace.as_mut().and_then(|pace| pace.after(waited)) {
            // A new one: after a block that did not fit, the old one takes no other level.
            self.compressor = Compressor::new(level)?;
        }
        Ok(())
    }

    /// Length in `packed`; none if it does not shrink.
    fn compressed(&mut self, bytes: &[u8]) -> Option<usize> {
        // Room for less than there is: what does not shrink does not fit.
        let room = bytes.len().saturating_sub(1);
        if self.packed.len() < room {
            self.packed.resize(room, 0);
        }
        self.compressor.compress_to_buffer(bytes, self.packed.get_mut(..room).unwrap_or_default()).ok()
    }

    fn sample_shrinks(&mut self, block: &[u8]) -> bool {
        let mut sample = std::mem::take(&mut self.sample);
        sample.clear();
        for (number, piece) in block.chunks_exact(block.len() / SAMPLE_PIECES).enumerate() {
            // Not all at multiples of a page: a database keeps pages of one kind at the odd ones.
            let middle = piece.len() / 2 + number * 5_000;
            sample.extend_from_slice(piece.get(middle..middle + SAMPLE_PIECE_BYTES).unwrap_or_default());
        }
        let length = self.compressed(&sample);
        let shrinks = length.is_some_and(|length| length < sample.len() - sample.len() / 32);
        self.sample = sample;
        shrinks
    }
}

/// Time spent on squeezing against time spent on sending.
#[derive(Debug)]
struct Pace {
    level: i32,
    blocks: u32,
    squeezed: Duration,
    waited: Duration,
}

impl Pace {
    fn new() -> Self {
        Self { level: LEVEL_MIN, blocks: 0, squeezed: Duration::ZERO, waited: Duration::ZERO }
    }

    /// Notes how long the last block was waited for. The new level, if it changes.
    fn after(&mut self, waited: Duration) -> Option<i32> {
        self.waited += waited;
        self.blocks += 1;
        if self.blocks < WINDOW_BLOCKS {
            return None;
        }
        let step = match () {
            // The line is what all wait for: a few levels more fit into that time.
            () if self.waited > self.squeezed * 4 => 1,
            () if self.waited < self.squeezed => -1,
            () => 0,
        };
        let level = (self.level + step).clamp(LEVEL_MIN, LEVEL_MAX);
        let changed = level != self.level;
        *self = Self { level, ..Self::new() };
        changed.then_some(level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1u64;
        let next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    #[test]
    fn what_does_not_shrink_is_stored_and_what_does_comes_back() {
        let mut press = Press::new(Level::Fixed(1)).unwrap();
        let noise = noise(1 << 20);
        let half = |first: usize| {
            let mut half = noise.clone();
            half.chunks_mut(8_192).for_each(|chunk| chunk[first..first + 4_096].fill(b'x'));
            half
        };
        let cases = [
            (noise.clone(), Codec::Stored),
            (vec![7; 1 << 20], Codec::Zstd),
            (half(0), Codec::Zstd),
            (half(4_096), Codec::Zstd),
        ];
        for (bytes, codec) in cases {
            let block = press.squeeze(&bytes);
            assert_eq!((block.codec, block.expanded_bytes), (codec, bytes.len()));
            let back = match block.codec {
                Codec::Stored => block.packed.to_vec(),
                Codec::Zstd => zstd::bulk::decompress(block.packed, bytes.len()).unwrap(),
            };
            assert!(back == bytes);
        }
        // Too short for a trial: noise is tried as a whole, and stored.
        assert_eq!(press.squeeze(&noise[..1_000]).codec, Codec::Stored);
        assert_eq!(press.squeeze(b"").codec, Codec::Stored);
    }

    #[test]
    fn a_slow_line_is_worth_more_squeezing_and_a_fast_one_is_not() {
        let mut pace = Pace::new();
        let mut run = |squeezed: u64, waited: u64, blocks: u32| {
            let mut level = None;
            for _ in 0..blocks {
                pace.squeezed += Duration::from_millis(squeezed);
                level = pace.after(Duration::from_millis(waited)).or(level);
            }
            level
        };
        assert_eq!(run(3, 100, WINDOW_BLOCKS - 1), None);
        assert_eq!(run(3, 100, 1), Some(2));
        assert_eq!(run(3, 100, 20 * WINDOW_BLOCKS), Some(LEVEL_MAX));
        assert_eq!(run(3, 6, WINDOW_BLOCKS), None);
        assert_eq!(run(3, 1, WINDOW_BLOCKS), Some(LEVEL_MAX - 1));
        assert_eq!(run(3, 1, 20 * WINDOW_BLOCKS), Some(LEVEL_MIN));
    }

    #[test]
    fn the_level_changes_after_blocks_that_do_not_shrink_too() {
        let mut press = Press::new(Level::Adaptive).unwrap();
        let short = noise(10_000);
        for _ in 0..3 * WINDOW_BLOCKS {
            press.squeeze(&short);
            press.adapt(Duration::from_secs(1)).unwrap();
        }
        assert_eq!(press.pace.as_ref().map(|pace| pace.level), Some(4));
        assert_eq!(press.squeeze(&[1; 10_000]).codec, Codec::Zstd);
    }

    #[test]
    fn a_level_that_is_set_stays() {
        let mut press = Press::new(Level::Fixed(3)).unwrap();
        for _ in 0..100 {
            press.squeeze(&[1; 100]);
            press.adapt(Duration::from_secs(1)).unwrap();
        }
        assert!(press.pace.is_none());
    }
}
