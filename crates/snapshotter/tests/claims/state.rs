//! A host's files, as a literal.

use std::collections::BTreeMap;
use std::path::Path;

use formats::entry::{Body, Entry, Kind, Meta, Mtime, Node};
use formats::manifest::ManifestWriter;
use formats::{ContentHash, RelPath, Summary};

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    File(Vec<u8>),
    /// A file with this mode.
    Mode(u32, Vec<u8>),
    /// The first of so many names.
    First(u32, Vec<u8>),
    Folder,
    Symlink(Vec<u8>),
    /// The first of so many names.
    FirstSymlink(u32, Vec<u8>),
    Link(&'static str),
    Fifo,
    Device,
}

/// All files of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State(pub(crate) BTreeMap<RelPath, Item>);

pub(crate) fn path(text: &str) -> RelPath {
    RelPath::new(text.as_bytes()).unwrap()
}

pub(crate) fn file(bytes: impl AsRef<[u8]>) -> Item {
    Item::File(bytes.as_ref().to_vec())
}

impl State {
    pub(crate) fn of<const N: usize>(items: [(&str, Item); N]) -> Self {
        Self(items.into_iter().map(|(name, item)| (path(name), item)).collect())
    }

    pub(crate) fn with(&self, name: &str, item: Item) -> Self {
        let mut state = self.clone();
        state.0.insert(path(name), item);
        state
    }

    pub(crate) fn without(&self, name: &str) -> Self {
        let mut state = self.clone();
        state.0.remove(&path(name)).unwrap();
        state
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.0.iter().map(|(path, item)| Entry { path: path.clone(), body: item.body() }).collect()
    }

    pub(crate) fn summary(&self) -> Summary {
        summary(&self.entries())
    }

    pub(crate) fn contents(&self) -> Vec<Vec<u8>> {
        let mut contents: Vec<_> =
            self.0.values().filter_map(|item| item.bytes().map(<[u8]>::to_vec)).collect();
        contents.sort();
        contents.dedup();
        contents
    }

    /// Compares a tree of the history with this state, name by name and byte by byte.
    pub(crate) fn assert_tree(&self, tree: &Path) {
        let mut found = Vec::new();
        list(tree, tree, &mut found);
        let expected: Vec<_> = self
            .0
            .iter()
            .filter(|(_, item)| item.is_made())
            .map(|(path, _)| path.as_bytes().to_vec())
            .collect();
        let mut expected = expected;
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "names in {}", tree.display());
        for (path, item) in &self.0 {
            let place = tree.join(std::str::from_utf8(path.as_bytes()).unwrap());
            match item {
                Item::Symlink(target) | Item::FirstSymlink(_, target) => {
                    assert_eq!(std::fs::read_link(&place).unwrap().as_os_str().as_encoded_bytes(), target);
                }
                Item::Folder => assert!(place.symlink_metadata().unwrap().is_dir()),
                Item::Link(first) => assert_eq!(inode(&place), inode(&tree.join(first))),
                Item::Fifo | Item::Device => {}
                _ => assert_eq!(std::fs::read(&place).unwrap(), item.bytes().unwrap(), "{}", place.display()),
            }
        }
    }
}

pub(crate) fn summary(entries: &[Entry]) -> Summary {
    let mut writer = ManifestWriter::new(Vec::new()).unwrap();
    entries.iter().for_each(|entry| writer.push(entry).unwrap());
    writer.finish().unwrap().0
}

pub(crate) fn inode(path: &Path) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    let meta = path.symlink_metadata().unwrap();
    (meta.dev(), meta.ino())
}

fn list(top: &Path, folder: &Path, found: &mut Vec<Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap().path();
        found.push(entry.strip_prefix(top).unwrap().as_os_str().as_encoded_bytes().to_vec());
        if entry.symlink_metadata().unwrap().is_dir() {
            list(top, &entry, found);
        }
    }
}

impl Item {
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Item::File(bytes) | Item::Mode(_, bytes) | Item::First(_, bytes) => Some(bytes),
            _ => None,
        }
    }

    fn is_made(&self) -> bool {
        !matches!(self, Item::Fifo | Item::Device)
    }

    fn body(&self) -> Body {
        let content = |bytes: &[u8]| Kind::File { size: bytes.len() as u64, content: ContentHash::of(bytes) };
        let (mode, links, kind) = match self {
            Item::File(bytes) => (0o644, 1, content(bytes)),
            Item::Mode(mode, bytes) => (*mode, 1, content(bytes)),
            Item::First(links, bytes) => (0o644, *links, content(bytes)),
            Item::Folder => (0o755, 1, Kind::Folder),
            Item::Symlink(target) => (0o777, 1, Kind::Symlink { target: target.clone() }),
            Item::FirstSymlink(links, target) => (0o777, *links, Kind::Symlink { target: target.clone() }),
            Item::Link(first) => return Body::Link(path(first)),
            Item::Fifo => (0o600, 1, Kind::Fifo),
            Item::Device => (0o600, 1, Kind::CharDevice { major: 1, minor: 3 }),
        };
        let mtime = Mtime { seconds: 1_700_000_000, nanos: 5 };
        Body::Node(Node {
            meta: Meta { mode, owner: 0, group: 0, mtime, links, attributes: Vec::new() },
            kind,
        })
    }
}
