//! Frames: the one envelope of push files and sessions. Kind, length, check, payload.

use crate::cursor::{Cursor, Malformed, malformed};
use crate::limits::FRAME_BYTES;

/// Bytes before a frame's payload.
pub const HEAD_BYTES: usize = 9;

/// One frame, borrowed from the bytes it was found in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Which frame; the numbers are those of docs/formats.
    pub kind: u8,
    /// What it carries.
    pub payload: &'a [u8],
    /// The whole frame as it travels, head included.
    pub raw: &'a [u8],
}

fn check(kind: u8, length: u32, parts: &[&[u8]]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&[kind]);
    crc.update(&length.to_le_bytes());
    parts.iter().for_each(|part| crc.update(part));
    crc.finalize()
}

/// Appends a frame. A payload over the limit is refused: no reader would take it.
pub fn encode(kind: u8, payload: &[u8], to: &mut Vec<u8>) -> Result<(), Malformed> {
    encode_parts(kind, &[payload], to)
}

/// As [`encode`], with a payload that lies in several places.
pub(crate) fn encode_parts(kind: u8, parts: &[&[u8]], to: &mut Vec<u8>) -> Result<(), Malformed> {
    let bytes = parts.iter().fold(0usize, |sum, part| sum.saturating_add(part.len()));
    if bytes > FRAME_BYTES {
        return malformed("frame: too long");
    }
    let length = u32::try_from(bytes).or(malformed("frame: too long"))?;
    to.reserve(HEAD_BYTES + bytes);
    to.push(kind);
    to.extend_from_slice(&length.to_le_bytes());
    to.extend_from_slice(&check(kind, length, parts).to_le_bytes());
    parts.iter().for_each(|part| to.extend_from_slice(part));
    Ok(())
}

/// The frame at the start of `bytes`: none if it is not all there yet. A length over the limit or a wrong check is an error at once.
pub fn decode(bytes: &[u8]) -> Result<Option<Frame<'_>>, Malformed> {
    let mut from = Cursor::new(bytes);
    let Ok(head) = from.array::<HEAD_BYTES>("frame head") else { return Ok(None) };
    let [kind, l0, l1, l2, l3, c0, c1, c2, c3] = head;
    let length = u32::from_le_bytes([l0, l1, l2, l3]);
    if length as usize > FRAME_BYTES {
        return malformed("frame: too long");
    }
    let Ok(payload) = from.bytes(length as usize, "frame payload") else { return Ok(None) };
    if check(kind, length, &[payload]) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return malformed("frame: check differs");
    }
    let raw = bytes.get(..HEAD_BYTES + payload.len()).unwrap_or_default();
    Ok(Some(Frame { kind, payload, raw }))
}

/// Splits a frame that this process has just encoded, without checking it again.
pub fn parts(raw: &[u8]) -> Option<Frame<'_>> {
    let (kind, payload) = (*raw.first()?, raw.get(HEAD_BYTES..)?);
    Some(Frame { kind, payload, raw })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_of_a_frame_is_found() {
        let mut bytes = Vec::new();
        encode(2, b"some payload", &mut bytes).unwrap();
        assert_eq!(decode(&bytes).unwrap().unwrap().payload, b"some payload");
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            // A longer length reads as "not all there yet"; whatever then follows fails the check.
            assert!(!matches!(decode(&bad), Ok(Some(_))), "bit {bit}");
        }
    }

    #[test]
    fn a_frame_cut_at_any_byte_is_not_there_yet() {
        let mut bytes = Vec::new();
        encode(5, &[7; 40], &mut bytes).unwrap();
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]), Ok(None));
        }
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_its_payload_comes() {
        let mut head = vec![2u8];
        head.extend_from_slice(&u32::MAX.to_le_bytes());
        head.extend_from_slice(&[0; 4]);
        assert!(decode(&head).is_err());
    }
}
