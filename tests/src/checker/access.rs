//! What an access list allows, read from the bytes of the attribute by `posix_acl_xattr.h` of Linux.

const VERSION: [u8; 4] = [2, 0, 0, 0];
const OWNER: u16 = 0x01;
const OWN_GROUP: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHERS: u16 = 0x20;
const WRITE: u16 = 2;

/// Whether it names nobody but this group, lets nobody but the owner write, and others do nothing.
pub(super) fn only_reads(list: &[u8], group: u32) -> bool {
    let Some(entries) = list.strip_prefix(&VERSION) else { return false };
    let (entries, rest) = entries.as_chunks::<8>();
    rest.is_empty()
        && entries.iter().all(|[k0, k1, r0, r1, id @ ..]| {
            let rights = u16::from_le_bytes([*r0, *r1]);
            match u16::from_le_bytes([*k0, *k1]) {
                OWNER => true,
                OWN_GROUP | MASK => rights & WRITE == 0,
                GROUP => rights & WRITE == 0 && u32::from_le_bytes(*id) == group,
                OTHERS => rights == 0,
                _ => false,
            }
        })
}
