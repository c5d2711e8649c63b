//! One snapshot's tree, held against its manifest.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;

use rustix::fs::FileType;

use super::item::{Item, Kind, What, hex};
use super::walk::{Seen, walk};
use super::{Breach, Invariant, Moment, access};

/// Hashes each inode once, however many snapshots it is in.
#[derive(Debug, Default)]
pub(super) struct Contents(HashMap<(u64, u64), (u64, [u8; 32])>);

impl Contents {
    fn of(&mut self, seen: &Seen) -> io::Result<(u64, [u8; 32])> {
        if let Some(known) = self.0.get(&seen.inode()) {
            return Ok(*known);
        }
        let fresh = seen.content()?;
        self.0.insert(seen.inode(), fresh);
        Ok(fresh)
    }
}

/// Contents that a line of the log calls redacted from this snapshot.
pub(super) struct Gone<'a> {
    pub(super) is_one: &'a dyn Fn(&[u8]) -> bool,
    pub(super) moment: Moment,
}

impl Gone<'_> {
    /// Zeros are all that may be there; while a run may have been killed, also what it had not come to, or had begun with.
    fn fits(&self, held: (u64, [u8; 32]), size: u64, hash: &[u8; 32]) -> bool {
        let zeros = usize::try_from(size).map(|size| *blake3::hash(&vec![0; size]).as_bytes());
        let is_blank = held.0 == size && Ok(held.1) == zeros;
        is_blank || self.moment != Moment::Quiet && (held.0 == 0 || held == (size, *hash))
    }
}

/// Who may own what lies there, and read it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowed {
    pub(super) owner: u32,
    /// The number of the group that was given the history to read.
    pub(super) readers: Option<u32>,
}

/// The tree holds exactly what the manifest says a tree can hold, with nothing live in it.
pub(super) fn check(
    root: &Path,
    allowed: Allowed,
    (items, gone): (&[Item], &Gone<'_>),
    contents: &mut Contents,
) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut expected = kinds(items);
    let walked = walk(root, &mut |seen| {
        if let Some(wrong) = at_rest(seen, allowed)? {
            breaches.push(Breach::at(Invariant::Powerless, &seen.path, wrong));
        }
        if seen.path == b"." {
            return Ok(());
        }
        let Some(kind) = expected.remove(seen.path.as_slice()) else {
            let found = "in the tree, not in the manifest";
            breaches.push(Breach::at(Invariant::Atomic, &seen.path, found));
            return Ok(());
        };
        let wrong = difference(kind, seen, gone, contents)?;
        breaches.extend(wrong.map(|wrong| Breach::at(Invariant::Restorable, &seen.path, wrong)));
        Ok(())
    });
    if let Err(error) = walked {
        breaches.push(Breach::new(Invariant::Atomic, root.display().to_string(), error.to_string()));
    }
    let only_in_manifest = |kind: &Kind| {
        matches!(kind, Kind::Fifo | Kind::Socket | Kind::CharDevice(..) | Kind::BlockDevice(..))
    };
    let missing = expected.into_iter().filter(|(_, kind)| !only_in_manifest(kind));
    breaches.extend(
        missing.map(|(path, _)| Breach::at(Invariant::Atomic, path, "in the manifest, not in the tree")),
    );
    breaches
}

/// The kind of each name; a later name of an inode has the kind of the first.
fn kinds(items: &[Item]) -> BTreeMap<&[u8], &Kind> {
    let mut kinds: BTreeMap<&[u8], &Kind> = BTreeMap::new();
    for item in items {
        let kind = match &item.what {
            What::Node(node) => Some(&node.kind),
            What::Link(first) => kinds.get(first.as_slice()).copied(),
        };
        kinds.extend(kind.map(|kind| (item.path.as_slice(), kind)));
    }
    kinds
}

fn difference(
    kind: &Kind,
    seen: &Seen,
    gone: &Gone<'_>,
    contents: &mut Contents,
) -> io::Result<Option<String>> {
    Ok(match (kind, seen.kind()) {
        (Kind::File(size, hash), FileType::RegularFile) => {
            let held = contents.of(seen)?;
            if (gone.is_one)(hash) {
                let what = "was redacted, and is not zeros".to_owned();
                return Ok((!gone.fits(held, *size, hash)).then_some(what));
            }
            let tell = || format!("holds {} bytes {}, not {size} bytes {}", held.0, hex(&held.1), hex(hash));
            (held != (*size, *hash)).then(tell)
        }
        (Kind::Folder, FileType::Directory) => None,
        (Kind::Symlink(target), FileType::Symlink) => {
            let held = seen.target()?;
            (held != *target).then(|| format!("points to {}", held.escape_ascii()))
        }
        // As on the host, and so it restores; that it is live here, `at_rest` tells.
        (Kind::Fifo, FileType::Fifo)
        | (Kind::Socket, FileType::Socket)
        | (Kind::CharDevice(..), FileType::CharacterDevice)
        | (Kind::BlockDevice(..), FileType::BlockDevice) => None,
        (kind, found) => Some(format!("is {found:?} there, {kind:?} in the manifest")),
    })
}

/// Nothing with power of its own lies in a history: no special bits, no capabilities, no devices, nothing executable, nobody else's.
fn at_rest(seen: &Seen, allowed: Allowed) -> io::Result<Option<String>> {
    let mode = seen.mode();
    let fits = match seen.kind() {
        FileType::RegularFile => mode == 0o640,
        FileType::Directory => mode == 0o750 || mode == 0o2750,
        FileType::Symlink => true,
        _ => false,
    };
    if !fits {
        return Ok(Some(format!("mode {mode:o} at rest")));
    }
    if seen.stat.st_uid != allowed.owner {
        return Ok(Some(format!("belongs to {}, not {}", seen.stat.st_uid, allowed.owner)));
    }
    let is_more = |(name, list): &(Vec<u8>, Vec<u8>)| {
        let is_readers = allowed.readers.is_some_and(|group| access::only_reads(list, group));
        name.starts_with(b"system.posix_acl") && !is_readers
    };
    let attribute = seen.attributes()?.into_iter().find(is_more);
    Ok(attribute.map(|(name, _)| format!("attribute {} at rest", name.escape_ascii())))
}

/// Power that a name has by itself, wherever it lies.
pub(super) fn power(seen: &Seen) -> io::Result<Option<String>> {
    let kind = seen.kind();
    let is_device = matches!(kind, FileType::CharacterDevice | FileType::BlockDevice);
    let is_set_id = kind == FileType::RegularFile && seen.mode() & 0o6000 != 0;
    if is_device || is_set_id {
        return Ok(Some(format!("{kind:?} of mode {:o}", seen.mode())));
    }
    let attribute = seen.attributes()?.into_iter().find(|(name, _)| name == b"security.capability");
    Ok(attribute.map(|_| "a capability at rest".to_owned()))
}
