//! Trees as literals: entries of a manifest, with the contents of their files.

use std::collections::BTreeMap;

use formats::{
    Attribute, Body, ContentHash, Entry, Kind, ManifestWriter, Meta, Mtime, Node, RelPath, Root, Tag,
};

/// One state of one host.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    names: BTreeMap<RelPath, Name>,
}

#[derive(Debug, Clone)]
struct Name {
    body: Body,
    content: Vec<u8>,
}

pub(crate) fn path(text: impl AsRef<[u8]>) -> RelPath {
    RelPath::new(text.as_ref()).unwrap()
}

impl Tree {
    pub(crate) fn add(&mut self, name: impl AsRef<[u8]>, kind: Kind, mode: u32) -> &mut Meta {
        let (owner, group) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        let mtime = Mtime { seconds: 1_700_000_000, nanos: 123_456_789 };
        let meta = Meta { mode, owner, group, mtime, links: 1, attributes: Vec::new() };
        let body = Body::Node(Node { meta, kind });
        self.names.insert(path(&name), Name { body, content: Vec::new() });
        self.meta(name)
    }

    pub(crate) fn meta(&mut self, name: impl AsRef<[u8]>) -> &mut Meta {
        match &mut self.names.get_mut(&path(name)).unwrap().body {
            Body::Node(node) => &mut node.meta,
            Body::Link(_) => panic!("a link has no metadata of its own"),
        }
    }

    pub(crate) fn folder(&mut self, name: impl AsRef<[u8]>) -> &mut Meta {
        self.add(name, Kind::Folder, 0o755)
    }

    pub(crate) fn file(&mut self, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> &mut Meta {
        let content = content.as_ref();
        let kind = Kind::File { size: content.len() as u64, content: ContentHash::of(content) };
        self.add(&name, kind, 0o644);
        self.names.get_mut(&path(&name)).unwrap().content = content.to_vec();
        self.meta(name)
    }

    pub(crate) fn symlink(&mut self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> &mut Meta {
        self.add(name, Kind::Symlink { target: target.as_ref().to_vec() }, 0o777)
    }

    pub(crate) fn link(&mut self, name: impl AsRef<[u8]>, first: impl AsRef<[u8]>) {
        self.meta(&first).links += 1;
        let content = self.names[&path(&first)].content.clone();
        self.names.insert(path(name), Name { body: Body::Link(path(first)), content });
    }

    pub(crate) fn remove(&mut self, name: impl AsRef<[u8]>) {
        self.names.remove(&path(name)).unwrap();
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (Entry, &[u8])> {
        self.names.iter().map(|(path, name)| {
            (Entry { path: path.clone(), body: name.body.clone() }, name.content.as_slice())
        })
    }

    /// The inode under a name; of a link, that of its first member.
    pub(crate) fn node(&self, name: &RelPath) -> &Node {
        match &self.names[name].body {
            Body::Node(node) => node,
            Body::Link(first) => self.node(first),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.names.len() as u64
    }

    pub(crate) fn manifest(&self) -> (Vec<u8>, Root) {
        let mut writer = ManifestWriter::new(Vec::new()).unwrap();
        for (entry, _) in self.entries() {
            writer.push(&entry).unwrap();
        }
        let (summary, bytes) = writer.finish().unwrap();
        (bytes, summary.root)
    }
}

pub(crate) fn extended(name: &str, value: &[u8]) -> Attribute {
    Attribute { tag: Tag::Extended, name: name.as_bytes().to_vec(), value: value.to_vec() }
}

/// A small tree that needs no privilege: two folders, text, binary, an empty file, a symlink, a fifo, a link.
pub(crate) fn small() -> Tree {
    let mut tree = Tree::default();
    tree.folder("etc");
    tree.file("etc/hosts", "127.0.0.1 localhost\n");
    tree.file("etc/empty", "");
    tree.symlink("etc/mtab", "../proc/self/mounts");
    tree.folder("srv").mode = 0o2750;
    tree.file("srv/data.bin", noise(300_000)).mode = 0o400;
    tree.link("srv/data.link", "srv/data.bin");
    tree.add("srv/pipe", Kind::Fifo, 0o620);
    tree
}

/// Bytes that do not compress, the same each time.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&length.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}
