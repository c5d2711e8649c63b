//! A live tree in the words of a manifest, found by a scanner of its own, and the comparison of two states.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{FileType, major, minor};

use super::item::{Attributes, Item, Kind, Node, What, order};
use super::walk::{Seen, look, walk};
use super::{Breach, Invariant};

/// What lies at and below the folders `roots` (absolute paths), and the folders above them, in the order of manifests.
///
/// # Errors
/// If something cannot be read.
pub fn scan(roots: &[&Path]) -> io::Result<Vec<Item>> {
    let relative = |path: &Path| path.as_os_str().as_bytes().get(1..).unwrap_or_default().to_vec();
    let mut nodes: BTreeMap<Vec<u8>, (Node, (u64, u64))> = BTreeMap::new();
    for root in roots {
        for above in root.ancestors().skip(1).filter(|above| above.parent().is_some()) {
            let seen = look(above)?;
            nodes.insert(relative(above), (node(&seen)?, seen.inode()));
        }
        let top = relative(root);
        walk(root, &mut |seen| {
            let path =
                if seen.path == b"." { top.clone() } else { [top.as_slice(), b"/", &seen.path].concat() };
            nodes.insert(path, (node(seen)?, seen.inode()));
            Ok(())
        })?;
    }
    let mut nodes: Vec<_> = nodes.into_iter().collect();
    nodes.sort_by(|a, b| order(&a.0, &b.0));
    let mut firsts: HashMap<(u64, u64), Vec<u8>> = HashMap::new();
    let items = nodes.into_iter().map(|(path, (node, inode))| {
        let first = firsts.get(&inode).filter(|_| node.kind != Kind::Folder && node.links > 1).cloned();
        firsts.entry(inode).or_insert_with(|| path.clone());
        Item { path, what: first.map_or(What::Node(node), What::Link) }
    });
    Ok(items.collect())
}

fn node(seen: &Seen) -> io::Result<Node> {
    let stat = &seen.stat;
    let kind = match seen.kind() {
        FileType::RegularFile => {
            let (size, hash) = seen.content()?;
            Kind::File(size, hash)
        }
        FileType::Directory => Kind::Folder,
        FileType::Symlink => Kind::Symlink(seen.target()?),
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        FileType::CharacterDevice => Kind::CharDevice(major(stat.st_rdev), minor(stat.st_rdev)),
        _ => Kind::BlockDevice(major(stat.st_rdev), minor(stat.st_rdev)),
    };
    let links = if kind == Kind::Folder { 1 } else { u32::try_from(stat.st_nlink).unwrap_or(u32::MAX) };
    let mut attributes: Attributes =
        seen.attributes()?.into_iter().map(|(name, value)| ((16, name), value)).collect();
    let flags = seen.flags()?;
    if flags != 0 {
        attributes.insert((3, Vec::new()), flags.to_le_bytes().to_vec());
    }
    Ok(Node {
        mode: seen.mode(),
        owner: (stat.st_uid, stat.st_gid),
        mtime: (stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or_default()),
        links,
        kind,
        attributes,
    })
}

/// How `found` differs from `expected`. Names of owners and groups are left aside: the numbers decide.
#[must_use]
pub fn compare(expected: &[Item], found: &[Item]) -> Vec<Breach> {
    let map = |items: &[Item]| -> BTreeMap<Vec<u8>, What> {
        items.iter().map(|item| (item.path.clone(), numbers_only(item.what.clone()))).collect()
    };
    let (expected, mut found) = (map(expected), map(found));
    let mut breaches = Vec::new();
    for (path, what) in expected {
        match found.remove(&path) {
            None => breaches.push(Breach::at(Invariant::Restorable, &path, "is missing")),
            Some(other) if other != what => {
                breaches.push(Breach::at(
                    Invariant::Restorable,
                    &path,
                    format!("is {other:?}, expected {what:?}"),
                ));
            }
            Some(_) => {}
        }
    }
    breaches.extend(found.keys().map(|path| Breach::at(Invariant::Restorable, path, "was not expected")));
    breaches
}

fn numbers_only(mut what: What) -> What {
    if let What::Node(node) = &mut what {
        node.attributes.retain(|(tag, _), _| *tag == 3 || *tag == 16);
    }
    what
}
