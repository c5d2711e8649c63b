//! Data that is the same on every machine: trees and files from a seed.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{At, Result};

/// One step of SplitMix64: the next number, which is also the next seed.
#[must_use]
pub fn step(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Numbers from a seed.
#[derive(Debug, Clone)]
pub struct Numbers {
    state: u64,
}

impl Numbers {
    /// The numbers of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Numbers {
        Numbers { state: seed }
    }

    /// The next one, below `bound` (which must not be 0).
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw().checked_rem(bound).unwrap_or_default()
    }

    /// The next one.
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        step(self.state)
    }
}

/// Writes `bytes` bytes of which every other 4 KiB block is noise, and the rest text that shrinks well.
///
/// # Errors
/// What the writer says.
pub fn half_compressible(numbers: &mut Numbers, bytes: u64, out: &mut dyn Write) -> std::io::Result<()> {
    const BLOCK: usize = 4096;
    let mut left = bytes;
    let mut block = Vec::with_capacity(BLOCK);
    let mut noise = numbers.below(2) == 0;
    while left > 0 {
        block.clear();
        while block.len() < BLOCK {
            let number = numbers.draw();
            if noise {
                block.extend_from_slice(&number.to_le_bytes());
            } else {
                let word = WORDS.get(number as usize % WORDS.len()).copied().unwrap_or_default();
                block.extend_from_slice(word.as_bytes());
            }
        }
        block.truncate(BLOCK.min(usize::try_from(left).unwrap_or(BLOCK)));
        out.write_all(&block)?;
        left = left.saturating_sub(block.len() as u64);
        noise = !noise;
    }
    Ok(())
}

const WORDS: [&str; 16] = [
    "snow ", "falls ", "in ", "layers ", "and ", "turns ", "to ", "ice\n", "each ", "host ", "pushes ",
    "its ", "files ", "one ", "way ", "only\n",
];

/// Makes one file of `bytes` half-compressible bytes.
///
/// # Errors
/// If it cannot be written.
pub fn write_file(path: &Path, seed: u64, bytes: u64) -> Result<()> {
    let file = File::create(path).at("create", path)?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    half_compressible(&mut Numbers::new(seed), bytes, &mut out).and_then(|()| out.flush()).at("write", path)
}

/// Makes one file of `bytes` bytes that do not shrink.
///
/// # Errors
/// If it cannot be written.
pub fn write_noise(path: &Path, seed: u64, bytes: u64) -> Result<()> {
    let file = File::create(path).at("create", path)?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let mut numbers = Numbers::new(seed);
    let written = (0..bytes / 8).try_for_each(|_| out.write_all(&numbers.draw().to_le_bytes()));
    written.and_then(|()| out.flush()).at("write", path)
}

/// Where the small file with this number lies: 20 to a folder, 50 folders in another.
#[must_use]
pub fn small_file(number: u64) -> PathBuf {
    let leaf = number / 20;
    PathBuf::from(format!("d{:02}/e{leaf:04}/file-{number:05}.txt", leaf / 50))
}

/// Makes `files` small files, `mean` bytes on average, 20 to a folder, folders two deep.
///
/// # Errors
/// If one cannot be written.
pub fn write_small_files(folder: &Path, seed: u64, files: u64, mean: u64) -> Result<()> {
    let mut numbers = Numbers::new(seed);
    for number in 0..files {
        let file = folder.join(small_file(number));
        if number % 20 == 0
            && let Some(place) = file.parent()
        {
            fs::create_dir_all(place).at("create", place)?;
        }
        // The sum of two dice: sizes from 1 to 2 * mean with the stated mean, few of them extreme.
        let bytes = numbers.below(mean) + numbers.below(mean) + 1;
        write_file(&file, numbers.draw(), bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let make = |seed| {
            let mut bytes = Vec::new();
            half_compressible(&mut Numbers::new(seed), 10_000, &mut bytes).unwrap();
            bytes
        };
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
        assert_eq!(make(1).len(), 10_000);
    }
}
