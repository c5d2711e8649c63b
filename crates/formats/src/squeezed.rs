//! How the history keeps a manifest: squeezed, in blocks of whole entries that are frames of zstd, so that stock `zstd` gives back the manifest's
//! bytes.
//!
//! Here are the head, which `zstd` passes over, and the limits; what squeezes is in crate history. Document: docs/formats/squeezed-manifest.md.

use crate::cursor::Cursor;
use crate::limits::ENTRY_BYTES;
use crate::manifest::ManifestError;
use crate::version::Version;

/// First bytes after the head of the frame that is passed over.
pub const MAGIC: &[u8; 8] = b"firn.mnz";
/// The version that is written.
pub const VERSION: Version = Version::ONE;
/// A frame that is passed over: its magic number, and how long the rest is.
const PASSED_OVER: [u8; 8] = [0x5f, 0x2a, 0x4d, 0x18, 12, 0, 0, 0];
/// Length of the head.
pub const HEAD_BYTES: usize = 20;
/// So long is a block, but for the last, unless the next entry would not fit, or is longer itself.
pub const BLOCK_BYTES: usize = 64 * 1024;
/// No block is longer: the longest entry and its length.
pub const BLOCK_BYTES_MAX: usize = ENTRY_BYTES + 4;

/// True for what begins as a squeezed manifest does, and no other.
#[must_use]
pub fn is_squeezed(first: &[u8]) -> bool {
    first.starts_with(&PASSED_OVER)
}

/// The head.
#[must_use]
pub fn head() -> Vec<u8> {
    let mut head = PASSED_OVER.to_vec();
    head.extend_from_slice(MAGIC);
    VERSION.encode(&mut head);
    head
}

/// Refuses what this program cannot read.
pub fn check_head(head: &[u8; HEAD_BYTES]) -> Result<(), ManifestError> {
    let mut cursor = Cursor::new(head);
    let no_head = |_| ManifestError::End("not a squeezed manifest");
    if cursor.bytes(PASSED_OVER.len(), "head").map_err(no_head)? != PASSED_OVER
        || cursor.bytes(MAGIC.len(), "magic").map_err(no_head)? != MAGIC
    {
        return Err(ManifestError::End("not a squeezed manifest"));
    }
    let version = Version::decode(&mut cursor).map_err(no_head)?;
    Ok(VERSION.check("squeezed manifest", version)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_and_another_one_is_refused() {
        let head: [u8; HEAD_BYTES] = head().try_into().unwrap();
        assert!(is_squeezed(&head) && check_head(&head).is_ok());
        for at in 0..HEAD_BYTES - 2 {
            let mut other = head;
            other[at] ^= 1;
            assert!(check_head(&other).is_err(), "{at}");
        }
        let mut newer = head;
        newer[HEAD_BYTES - 2] = 7;
        assert!(check_head(&newer).is_ok());
        assert!(!is_squeezed(b"firn.man") && !is_squeezed(b""));
    }
}
