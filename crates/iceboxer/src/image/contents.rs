//! From the entries of manifests to the names of an image. docs/formats/ice.md lists what is lost on the way; the manifest keeps it.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use backhand::NodeHeader;
use formats::entry::Body;
use formats::{ContentHash, Entry, Kind, Meta, RelPath};

/// Folder of the manifests in an image.
pub(crate) const MANIFESTS: &str = "/manifests";
/// Folder of the snapshots in an image.
pub(crate) const SNAPSHOTS: &str = "/snapshots";
/// Longest symlink target: the image writer takes no longer ones.
const TARGET_BYTES_MAX: usize = 255;
/// Most different numbers of owners and groups, 0 included: readers of the image know no more.
const IDS_MAX: usize = 2_048;
/// Largest device numbers that fit into an inode.
const DEVICE_MAX: (u32, u32) = (0xfff, 0xf_ffff);

/// One name in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Where in the image.
    pub(crate) path: PathBuf,
    /// Owner, mode and time.
    pub(crate) header: NodeHeader,
    /// What it is.
    pub(crate) what: What,
}

/// What a name in an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Folder,
    /// A file, and where in the snapshot its bytes lie.
    File {
        size: u64,
        content: ContentHash,
        source: RelPath,
    },
    Symlink(PathBuf),
    Fifo,
    CharDevice(u32),
    BlockDevice(u32),
}

/// Where a snapshot's manifest lies in an image.
pub(crate) fn manifest_path(snapshot: &str) -> PathBuf {
    PathBuf::from(format!("{MANIFESTS}/{snapshot}.manifest"))
}

/// Where a snapshot's files lie in an image.
pub(crate) fn snapshot_path(snapshot: &str) -> PathBuf {
    PathBuf::from(format!("{SNAPSHOTS}/{snapshot}"))
}

/// Owner, mode and time of what is Firn's own in an image.
pub(crate) fn own(permissions: u16, created: u32) -> NodeHeader {
    NodeHeader { permissions, uid: 0, gid: 0, mtime: created }
}

/// Places the entries of all snapshots of one image, in order. Two of them that are given the same entries do the same.
#[derive(Debug)]
pub(crate) struct Placer {
    ids: HashSet<u32>,
    snapshot: PathBuf,
    /// The first members of hard-link groups of this snapshot; none for one that was left out.
    leaders: HashMap<RelPath, Option<(NodeHeader, What)>>,
}

impl Placer {
    pub(crate) fn new() -> Self {
        Self { ids: HashSet::from([0]), snapshot: PathBuf::new(), leaders: HashMap::new() }
    }

    /// Goes on with the entries of another snapshot.
    pub(crate) fn begin(&mut self, snapshot: &str) {
        self.snapshot = snapshot_path(snapshot);
        self.leaders.clear();
    }

    /// The name in the image for the next entry; none if only the manifest holds it.
    pub(crate) fn place(&mut self, entry: &Entry) -> Option<Placed> {
        let found = match &entry.body {
            Body::Link(first) => self.leaders.get(first).cloned().flatten(),
            Body::Node(node) => {
                let placed = what(&entry.path, &node.kind).map(|what| (self.header(&node.meta), what));
                if node.meta.links > 1 {
                    self.leaders.insert(entry.path.clone(), placed.clone());
                }
                placed
            }
        };
        let (header, what) = found?;
        Some(Placed { path: self.snapshot.join(OsStr::from_bytes(entry.path.as_bytes())), header, what })
    }

    fn header(&mut self, meta: &Meta) -> NodeHeader {
        NodeHeader {
            permissions: (meta.mode & 0o7777) as u16,
            uid: self.id(meta.owner),
            gid: self.id(meta.group),
            mtime: u32::try_from(meta.mtime.seconds.max(0)).unwrap_or(u32::MAX),
        }
    }

    /// The number itself while there is room in the image's table, else 0.
    fn id(&mut self, id: u32) -> u32 {
        if self.ids.contains(&id) {
            id
        } else if self.ids.len() < IDS_MAX {
            self.ids.insert(id);
            id
        } else {
            0
        }
    }
}

fn what(path: &RelPath, kind: &Kind) -> Option<What> {
    match kind {
        Kind::File { size, content } => {
            Some(What::File { size: *size, content: *content, source: path.clone() })
        }
        Kind::Folder => Some(What::Folder),
        Kind::Symlink { target } if target.len() <= TARGET_BYTES_MAX => {
            Some(What::Symlink(PathBuf::from(OsStr::from_bytes(target))))
        }
        Kind::Fifo => Some(What::Fifo),
        Kind::CharDevice { major, minor } => device(*major, *minor).map(What::CharDevice),
        Kind::BlockDevice { major, minor } => device(*major, *minor).map(What::BlockDevice),
        Kind::Symlink { .. } | Kind::Socket => None,
    }
}

/// A device number as inodes hold it (the kernel's `new_encode_dev`).
fn device(major: u32, minor: u32) -> Option<u32> {
    let fits = major <= DEVICE_MAX.0 && minor <= DEVICE_MAX.1;
    fits.then_some((minor & 0xff) | (major << 8) | ((minor & !0xff) << 12))
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::{Mtime, entry::Node};

    fn meta(owner: u32, seconds: i64, links: u32) -> Meta {
        Meta {
            mode: 0o4755,
            owner,
            group: owner,
            mtime: Mtime { seconds, nanos: 5 },
            links,
            attributes: Vec::new(),
        }
    }

    fn entry(path: &str, meta: Meta, kind: Kind) -> Entry {
        Entry { path: RelPath::new(path.as_bytes()).unwrap(), body: Body::Node(Node { meta, kind }) }
    }

    fn placer() -> Placer {
        let mut placer = Placer::new();
        placer.begin("s");
        placer
    }

    #[test]
    fn owners_beyond_the_table_become_0_and_those_in_it_stay() {
        let mut placer = placer();
        for owner in 1..=2_047 {
            assert_eq!(placer.place(&entry("a", meta(owner, 0, 1), Kind::Fifo)).unwrap().header.uid, owner);
        }
        assert_eq!(placer.place(&entry("a", meta(5_000, 0, 1), Kind::Fifo)).unwrap().header.uid, 0);
        assert_eq!(placer.place(&entry("a", meta(2_047, 0, 1), Kind::Fifo)).unwrap().header.gid, 2_047);
    }

    #[test]
    fn times_are_clamped_and_modes_kept() {
        let mut placer = placer();
        for (seconds, shown) in
            [(-5, 0), (7, 7), (i64::from(u32::MAX), u32::MAX), (i64::MAX, u32::MAX), (i64::MIN, 0)]
        {
            let header = placer.place(&entry("a", meta(0, seconds, 1), Kind::Folder)).unwrap().header;
            assert_eq!((header.mtime, header.permissions), (shown, 0o4755));
        }
    }

    #[test]
    fn only_what_an_image_cannot_hold_is_left_to_the_manifest() {
        let mut placer = placer();
        let symlink = |bytes| Kind::Symlink { target: vec![b'x'; bytes] };
        let device = |major, minor| Kind::CharDevice { major, minor };
        for kind in [symlink(1), symlink(255), device(0xfff, 0xf_ffff), Kind::Fifo] {
            assert!(placer.place(&entry("a", meta(0, 0, 1), kind)).is_some());
        }
        for kind in [symlink(256), symlink(4_095), device(0x1000, 0), device(0, 0x10_0000), Kind::Socket] {
            assert!(placer.place(&entry("a", meta(0, 0, 1), kind)).is_none());
        }
    }

    #[test]
    fn a_device_number_is_encoded_as_the_kernel_does() {
        assert_eq!(device(8, 1), Some(0x801));
        assert_eq!(device(259, 0x12345), Some(0x1231_0345));
    }

    #[test]
    fn a_later_name_of_an_inode_is_what_the_first_is() {
        let mut placer = placer();
        let kind = Kind::File { size: 3, content: ContentHash::of(b"abc") };
        let first = placer.place(&entry("a/first", meta(7, 9, 2), kind)).unwrap();
        let link = |path: &str, to: &str| Entry {
            path: RelPath::new(path.as_bytes()).unwrap(),
            body: Body::Link(RelPath::new(to.as_bytes()).unwrap()),
        };
        let second = placer.place(&link("b", "a/first")).unwrap();
        assert_eq!((second.header, &second.what), (first.header, &first.what));
        assert_eq!(second.path, PathBuf::from("/snapshots/s/b"));
        placer.place(&entry("c", meta(0, 0, 2), Kind::Socket));
        assert!(placer.place(&link("d", "c")).is_none(), "a later name of what was left out is left out too");
    }
}
