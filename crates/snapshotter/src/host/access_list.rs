//! What an access list says: the bytes of `posix_acl_xattr.h`, read and written.

use std::collections::BTreeMap;

const VERSION: [u8; 4] = 2_u32.to_le_bytes();
const ENTRY_BYTES: usize = 8;
/// The id of an entry that is nobody's in particular.
const NOBODY: u32 = u32::MAX;

const OWNER: u16 = 0x01;
const ITS_GROUP: u16 = 0x04;
const GROUP: u16 = 0x08;
/// What all groups, and users by name, get at most.
const MASK: u16 = 0x10;
const OTHERS: u16 = 0x20;

pub(super) const READ: u16 = 4;
pub(super) const ENTER: u16 = 1;

/// Rights by kind and number, in the order the kernel wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AccessList(BTreeMap<(u16, u32), u16>);

impl AccessList {
    /// What the mode says, without anybody by name.
    pub(super) fn of_mode(mode: u32) -> Self {
        let bits = |shift: u32| u16::try_from(mode >> shift & 7).unwrap_or(0);
        let entries = [(OWNER, bits(6)), (ITS_GROUP, bits(3)), (OTHERS, bits(0))];
        Self(entries.into_iter().map(|(kind, rights)| ((kind, NOBODY), rights)).collect())
    }

    /// As it is, and this group has these rights.
    pub(super) fn with(mut self, group: u32, rights: u16) -> Self {
        let before = self.0.get(&(MASK, NOBODY)).or_else(|| self.0.get(&(ITS_GROUP, NOBODY)));
        let mask = before.copied().unwrap_or(0) | rights;
        self.0.insert((MASK, NOBODY), mask);
        self.0.insert((GROUP, group), rights);
        self
    }

    /// The rights of a group that is named.
    pub(super) fn rights(&self, group: u32) -> u16 {
        self.0.get(&(GROUP, group)).copied().unwrap_or(0)
    }

    /// Reads a list; none if it is none.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let entries = bytes.strip_prefix(&VERSION)?.chunks(ENTRY_BYTES);
        let entry = |bytes: &[u8]| match bytes {
            [k0, k1, r0, r1, id @ ..] => {
                let id = u32::from_le_bytes(id.try_into().ok()?);
                Some(((u16::from_le_bytes([*k0, *k1]), id), u16::from_le_bytes([*r0, *r1])))
            }
            _ => None,
        };
        entries.map(entry).collect::<Option<_>>().map(Self)
    }

    /// Its bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = VERSION.to_vec();
        for ((kind, id), rights) in &self.0 {
            bytes.extend(kind.to_le_bytes());
            bytes.extend(rights.to_le_bytes());
            bytes.extend(id.to_le_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_it_is_written_and_nothing_else_is_one() {
        let list = AccessList::of_mode(0o2750).with(1000, READ | ENTER).with(7, ENTER);
        let bytes = list.encode();
        assert_eq!(bytes.len(), 4 + 6 * 8);
        assert_eq!(AccessList::decode(&bytes), Some(list.clone()));
        assert_eq!((list.rights(1000), list.rights(7), list.rights(8)), (5, 1, 0));
        for bad in [&bytes[..3], &bytes[..11], &[1, 0, 0, 0][..], &[][..]] {
            assert_eq!(AccessList::decode(bad), None);
        }
    }

    #[test]
    fn rights_of_a_group_are_not_held_back_by_the_mask_and_widen_nobody_elses() {
        let list = AccessList::of_mode(0o700).with(1000, READ | ENTER);
        assert_eq!(list.0.get(&(MASK, NOBODY)), Some(&5));
        assert_eq!((list.0.get(&(ITS_GROUP, NOBODY)), list.0.get(&(OTHERS, NOBODY))), (Some(&0), Some(&0)));
    }
}
