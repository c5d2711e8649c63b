//! Files with their zeros left out.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The unit of holes: a block of the common file systems.
const HOLE_BYTES: usize = 4096;

/// Writes `data` at `offset`, but leaves whole, aligned blocks of zeros as holes. Tells how many bytes were really written. The file must
/// be empty there, and its length be set at the end ([`File::set_len`]).
pub(crate) fn write_at(file: &File, data: &[u8], offset: u64) -> io::Result<u64> {
    let mut written = 0;
    let (mut rest, mut offset) = (data, offset);
    while !rest.is_empty() {
        let zeros = leading_holes(rest, offset);
        if zeros > 0 {
            rest = rest.get(zeros..).unwrap_or_default();
            offset += zeros as u64;
            continue;
        }
        let (solid, tail) = rest.split_at(leading_data(rest, offset));
        file.write_all_at(solid, offset)?;
        written += solid.len() as u64;
        offset += solid.len() as u64;
        rest = tail;
    }
    Ok(written)
}

/// Length of the holes at the start of `data`: only whole blocks on a block's border.
fn leading_holes(data: &[u8], offset: u64) -> usize {
    if !offset.is_multiple_of(HOLE_BYTES as u64) {
        return 0;
    }
    data.chunks_exact(HOLE_BYTES).take_while(|block| is_zero(block)).count() * HOLE_BYTES
}

/// Bytes up to the next hole.
fn leading_data(data: &[u8], offset: u64) -> usize {
    let into_block = usize::try_from(offset % HOLE_BYTES as u64).unwrap_or(0);
    let first = (HOLE_BYTES - into_block).min(data.len());
    let after = data.get(first..).unwrap_or_default();
    let solid = after.chunks(HOLE_BYTES).take_while(|block| block.len() < HOLE_BYTES || !is_zero(block));
    first + solid.map(<[u8]>::len).sum::<usize>()
}

fn is_zero(block: &[u8]) -> bool {
    let mut words = block.chunks_exact(16);
    words.by_ref().all(|word| word == [0; 16]) && words.remainder().iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holes_and_data(data: &[u8], offset: u64) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        let (mut at, mut offset) = (0, offset);
        while at < data.len() {
            let zeros = leading_holes(&data[at..], offset);
            let solid = if zeros == 0 { leading_data(&data[at..], offset) } else { 0 };
            found.push((zeros, solid));
            at += zeros + solid;
            offset += (zeros + solid) as u64;
        }
        found
    }

    #[test]
    fn only_whole_aligned_blocks_of_zeros_become_holes() {
        assert_eq!(holes_and_data(&[0; 4096], 0), [(4096, 0)]);
        assert_eq!(holes_and_data(&[0; 4095], 0), [(0, 4095)]);
        assert_eq!(holes_and_data(&[0; 8192], 1), [(0, 4095), (4096, 0), (0, 1)]);
        let mut data = vec![1; 4096];
        data.extend_from_slice(&[0; 8192]);
        data.extend_from_slice(&[1; 100]);
        assert_eq!(holes_and_data(&data, 0), [(0, 4096), (8192, 0), (0, 100)]);
        data[4096] = 9;
        assert_eq!(holes_and_data(&data, 4096), [(0, 8192), (4096, 0), (0, 100)]);
    }
}
