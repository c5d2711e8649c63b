//! Push files as they wait, read on their own. Written from `docs/formats/push-file.md`.

use std::fs;
use std::path::Path;

use super::item::hex;

/// Magic and version.
const HEAD_BYTES: usize = 12;

/// The ids of the sealed pushes in a jail, of those that are whole.
#[must_use]
pub fn sealed(jail: &Path) -> Vec<String> {
    let entries = fs::read_dir(jail.join("spool/sealed")).into_iter().flatten().flatten();
    let files = entries.filter_map(|entry| fs::read(entry.path()).ok());
    files.filter_map(|file| push_of(&file)).map(|push| hex(&push)).collect()
}

/// The id of a push file that has whole frames only, the last of which is the seal, and the seal is right about the ones before.
#[must_use]
pub fn push_of(file: &[u8]) -> Option<[u8; 16]> {
    let (head, mut rest) = file.split_at_checked(HEAD_BYTES)?;
    let mut chain = *blake3::hash(head).as_bytes();
    let mut frames: u64 = 0;
    let mut push = None;
    loop {
        let (top, after) = rest.split_first_chunk::<9>()?;
        let [kind, l0, l1, l2, l3, c0, c1, c2, c3] = *top;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let payload = after.get(..length as usize)?;
        let mut crc = crc32fast::Hasher::new();
        crc.update(&[kind, l0, l1, l2, l3]);
        crc.update(payload);
        if crc.finalize() != u32::from_le_bytes([c0, c1, c2, c3]) {
            return None;
        }
        let (whole, next) = rest.split_at_checked(9 + payload.len())?;
        rest = next;
        if frames == 0 {
            // The host's id with its length, the installation, the push.
            let host_bytes = usize::from(*payload.first()?);
            push = payload.get(1 + host_bytes + 16..)?.first_chunk::<16>().copied();
        }
        if kind == 5 {
            let is_right = payload.starts_with(&[&frames.to_le_bytes()[..], &chain].concat());
            return push.filter(|_| is_right && rest.is_empty());
        }
        chain = *blake3::hash(&[chain, *blake3::hash(whole).as_bytes()].concat()).as_bytes();
        frames += 1;
    }
}
