//! Inode flags that somebody set (`chattr`), by the numbers that Linux has for them (FS_*_FL in linux/fs.h).

use crate::entry::{Attribute, Tag};

/// At least one flag, and none but those that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags(u32);

/// The flags that are kept, with the letters that chattr has for them. Others tell how a file system stores the inode, and are its own
/// business.
pub const KEPT: [(char, u32); 14] = [
    ('s', 0x0000_0001),
    ('u', 0x0000_0002),
    ('c', 0x0000_0004),
    ('S', 0x0000_0008),
    ('i', 0x0000_0010),
    ('a', 0x0000_0020),
    ('d', 0x0000_0040),
    ('A', 0x0000_0080),
    ('m', 0x0000_0400),
    ('j', 0x0000_4000),
    ('t', 0x0000_8000),
    ('D', 0x0001_0000),
    ('T', 0x0002_0000),
    ('C', 0x0080_0000),
];

/// Append only, and nothing at all: while they stand, nothing else of the inode can be changed.
pub const FIXED: u32 = 0x30;

impl Flags {
    /// Those of the kernel's flags that are kept; none if none is set.
    pub fn kept_of(bits: u32) -> Option<Self> {
        let kept = KEPT.iter().fold(0, |mask, (_, bit)| mask | bit) & bits;
        (kept != 0).then_some(Self(kept))
    }

    /// From the value of an attribute: four bytes, and no flag that is not kept.
    pub fn decode(value: &[u8]) -> Option<Self> {
        let bits = u32::from_le_bytes(value.try_into().ok()?);
        Self::kept_of(bits).filter(|flags| flags.0 == bits)
    }

    /// The attribute that holds them.
    pub fn attribute(self) -> Attribute {
        Attribute { tag: Tag::Flags, name: Vec::new(), value: self.0.to_le_bytes().to_vec() }
    }

    /// The numbers of the kernel.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// The letters of chattr.
    pub fn letters(self) -> String {
        KEPT.iter().filter(|(_, bit)| self.0 & bit != 0).map(|(letter, _)| letter).collect()
    }
}
