//! Whether bytes look like noise, as what is encrypted does, and what is well compressed.

/// Smaller files tell nothing.
pub(crate) const LEAST_BYTES: u64 = 256;
/// How much of a file is looked at in one place.
pub(crate) const PIECE_BYTES: u64 = 16 * 1024;
/// A file above this size is looked at in its middle, too.
const MIDDLE_BYTES: u64 = 4 * PIECE_BYTES;
/// Bits a byte below which bytes are no noise.
const PLAIN_BITS: f64 = 7.0;
/// Bits a byte from which bytes are noise, in a large piece.
const NOISE_BITS: f64 = 7.9;
/// In a small piece noise has fewer: not all values can be there equally often. What it lacks is about 184 bits for each byte of its length; the
/// rest is for chance.
const LACKING_BITS: f64 = 260.0;

/// Where to look at a file of this size.
pub(crate) fn places(size: u64) -> impl Iterator<Item = u64> {
    let middle = (size > MIDDLE_BYTES).then_some(size / 2);
    std::iter::once(0).chain(middle)
}

/// Whether pieces of one file were no noise anywhere, and now are somewhere.
pub(crate) fn rises(old: &[Vec<u8>], new: &[Vec<u8>]) -> bool {
    !old.is_empty()
        && old.iter().all(|piece| bits(piece) < PLAIN_BITS)
        && new.iter().any(|piece| is_noise(piece))
}

fn is_noise(piece: &[u8]) -> bool {
    let length = piece.len() as f64;
    piece.len() as u64 >= LEAST_BYTES && bits(piece) >= NOISE_BITS.min(8.0 - LACKING_BITS / length)
}

/// Shannon's entropy of the bytes, bits a byte.
fn bits(piece: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    for byte in piece {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let length = piece.len() as f64;
    let share = |count: &u32| f64::from(*count) / length;
    counts.iter().filter(|count| **count > 0).map(|count| -share(count) * share(count).log2()).sum()
}
