//! What an expanded contents block of a push file holds. Layout in docs/formats/push-file.md.

use crate::cursor::{Cursor, Malformed, malformed};
use crate::entry::take_path;
use crate::id::ContentHash;
use crate::path::RelPath;

/// One record of an expanded contents block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record<'a> {
    /// More of the open content; opens one if none is open.
    Data(&'a [u8]),
    /// Closes the content.
    End {
        /// Its bytes in all.
        size: u64,
        /// Its hash.
        hash: ContentHash,
    },
    /// Forgets the open content.
    Drop,
    /// Opens a content, and names the file of the base that its copies are taken from.
    From(RelPath),
    /// More of the open content, which the base has.
    Copy {
        /// Where in the file of the base.
        offset: u64,
        /// How many bytes; never 0.
        length: u64,
    },
}

/// Bytes that a data record takes besides its data.
pub const DATA_HEAD_BYTES: usize = 5;
/// Bytes of an end record.
pub const END_BYTES: usize = 41;
/// Bytes that a from record takes besides its path.
pub const FROM_HEAD_BYTES: usize = 3;
/// Bytes of a copy record.
pub const COPY_BYTES: usize = 17;

impl<'a> Record<'a> {
    /// Appends the record.
    pub fn encode(&self, to: &mut Vec<u8>) {
        match self {
            Record::Data(data) => {
                to.push(1);
                to.extend_from_slice(&u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes());
                to.extend_from_slice(data);
            }
            Record::End { size, hash } => {
                to.push(2);
                to.extend_from_slice(&size.to_le_bytes());
                to.extend_from_slice(hash.as_bytes());
            }
            Record::Drop => to.push(3),
            Record::From(path) => {
                to.push(4);
                // No path is longer than its limit, which fits.
                to.extend_from_slice(&u16::try_from(path.as_bytes().len()).unwrap_or(u16::MAX).to_le_bytes());
                to.extend_from_slice(path.as_bytes());
            }
            Record::Copy { offset, length } => {
                to.push(5);
                to.extend_from_slice(&offset.to_le_bytes());
                to.extend_from_slice(&length.to_le_bytes());
            }
        }
    }

    /// Reads the next record.
    pub fn decode(from: &mut Cursor<'a>) -> Result<Self, Malformed> {
        match from.u8("record")? {
            1 => {
                let length = from.u32("data")? as usize;
                if length == 0 {
                    return malformed("data: empty");
                }
                Ok(Record::Data(from.bytes(length, "data")?))
            }
            2 => Ok(Record::End {
                size: from.u64("size")?,
                hash: ContentHash::from_bytes(from.array("content hash")?),
            }),
            3 => Ok(Record::Drop),
            4 => Ok(Record::From(take_path(from, "file of the base")?)),
            5 => {
                let (offset, length) = (from.u64("copy")?, from.u64("copy")?);
                if length == 0 || offset.checked_add(length).is_none() {
                    return malformed("copy");
                }
                Ok(Record::Copy { offset, length })
            }
            _ => malformed("record"),
        }
    }

    /// True for a record that push files of version 1 do not have.
    pub fn is_of_version_2(&self) -> bool {
        matches!(self, Record::From(_) | Record::Copy { .. })
    }
}
