//! The form in which the history keeps a manifest, in the checker's own words. Written from `docs/formats/squeezed-manifest.md`.

use zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};

/// A frame that stock zstd passes over, with twelve bytes, and what begins them.
const HEAD: &[u8; 16] = b"\x5f\x2a\x4d\x18\x0c\0\0\0firn.mnz";
const HEAD_BYTES: usize = 20;
const BLOCK_BYTES_MAX: usize = 524_292;

/// The manifest's own bytes, of a file that may be a plain manifest.
pub(super) fn manifest_of(file: Vec<u8>) -> Result<Vec<u8>, String> {
    if !file.starts_with(&[0x5f, 0x2a, 0x4d, 0x18]) {
        return Ok(file);
    }
    if !file.starts_with(HEAD) || file.get(16..18) != Some(&[1, 0]) {
        return Err("is no squeezed manifest of version 1".to_owned());
    }
    let mut rest = file.get(HEAD_BYTES..).ok_or("ends in its head")?;
    let mut manifest = Vec::new();
    while !rest.is_empty() {
        let length = match get_frame_content_size(rest) {
            Ok(Some(length)) => usize::try_from(length).unwrap_or(usize::MAX),
            _ => return Err("has a block that does not tell its length".to_owned()),
        };
        if length == 0 || length > BLOCK_BYTES_MAX {
            return Err(format!("has a block of {length} bytes"));
        }
        let end = find_frame_compressed_size(rest).map_err(|_| "has a block that is cut short")?;
        let (frame, after) = rest.split_at_checked(end).ok_or("has a block that is cut short")?;
        let block = zstd::bulk::decompress(frame, length).map_err(|error| error.to_string())?;
        if block.len() != length {
            return Err("has a block of another length than it tells".to_owned());
        }
        let head = if manifest.is_empty() { 12 } else { 0 };
        require_whole(block.get(head..).unwrap_or_default())?;
        manifest.extend_from_slice(&block);
        rest = after;
    }
    Ok(manifest)
}

/// No entry is in two blocks.
fn require_whole(mut block: &[u8]) -> Result<(), String> {
    while let Some((length, rest)) = block.split_first_chunk::<4>() {
        let length = match u32::from_le_bytes(*length) {
            0 => 40,
            length => length as usize,
        };
        block = rest.get(length..).ok_or("has a block that ends in the midst of an entry")?;
    }
    if block.is_empty() { Ok(()) } else { Err("has a block that ends in the midst of an entry".to_owned()) }
}
