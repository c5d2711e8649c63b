//! A copy of a file of the history, holes kept, hashed as it is written.

use std::fs::File;
use std::io::Read;

use formats::ContentHash;

use super::fault::Fault;
use super::room::Room;
use super::sparse;

const PIECE_BYTES: usize = 1 << 20;

/// Copies the first `size` bytes of `source` into the empty file `target`, while there is room; tells the hash of what was written.
pub(crate) fn copy(source: &File, size: u64, target: &File, room: &Room<'_>) -> Result<ContentHash, Fault> {
    let failed = || Fault::stream("copying a file");
    let mut source = source.take(size);
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; PIECE_BYTES];
    let mut offset = 0u64;
    loop {
        let length = source.read(&mut piece).map_err(failed())?;
        let data = piece.get(..length).unwrap_or_default();
        if data.is_empty() {
            break;
        }
        hasher.update(data);
        room.bytes(sparse::write_at(target, data, offset).map_err(failed())?)?;
        offset += data.len() as u64;
    }
    target.set_len(offset).map_err(failed())?;
    room.node(0)?;
    Ok(ContentHash::from_bytes(*hasher.finalize().as_bytes()))
}
