//! A copy of a file of the history, holes kept, hashed as it is written.

use std::fs::File;
use std::io::{self, Read};

use formats::ContentHash;

use super::sparse;

const PIECE_BYTES: usize = 1 << 20;

/// Copies `source`, from its start, into the empty file `target`; tells the hash of what was written.
pub(crate) fn copy(mut source: &File, target: &File) -> io::Result<ContentHash> {
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; PIECE_BYTES];
    let mut offset = 0u64;
    loop {
        let length = source.read(&mut piece)?;
        let data = piece.get(..length).unwrap_or_default();
        if data.is_empty() {
            break;
        }
        hasher.update(data);
        sparse::write_at(target, data, offset)?;
        offset += data.len() as u64;
    }
    target.set_len(offset)?;
    Ok(ContentHash::from_bytes(*hasher.finalize().as_bytes()))
}
