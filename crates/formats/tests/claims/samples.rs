//! One of everything, as literals.

use formats::{Attribute, Body, ContentHash, Entry, Kind, Meta, Mtime, Node, RelPath, Tag};

pub(crate) fn path(text: &str) -> RelPath {
    RelPath::new(text.as_bytes()).unwrap()
}

pub(crate) fn meta(mode: u32) -> Meta {
    Meta {
        mode,
        owner: 1000,
        group: 100,
        mtime: Mtime { seconds: 1_700_000_000, nanos: 123_456_789 },
        links: 1,
        attributes: vec![],
    }
}

pub(crate) fn node(at: &str, mode: u32, kind: Kind) -> Entry {
    Entry { path: path(at), body: Body::Node(Node { meta: meta(mode), kind }) }
}

pub(crate) fn folder(at: &str) -> Entry {
    node(at, 0o755, Kind::Folder)
}

pub(crate) fn file(at: &str, content: &[u8]) -> Entry {
    node(at, 0o644, Kind::File { size: content.len() as u64, content: ContentHash::of(content) })
}

pub(crate) fn link(at: &str, first: &str) -> Entry {
    Entry { path: path(at), body: Body::Link(path(first)) }
}

pub(crate) fn with(mut entry: Entry, change: impl FnOnce(&mut Meta)) -> Entry {
    if let Body::Node(node) = &mut entry.body {
        change(&mut node.meta);
    }
    entry
}

pub(crate) fn attribute(tag: Tag, name: &str, value: &[u8]) -> Attribute {
    Attribute { tag, name: name.as_bytes().to_vec(), value: value.to_vec() }
}

pub(crate) fn flags(bits: u32) -> Attribute {
    attribute(Tag::Flags, "", &bits.to_le_bytes())
}

/// What version 1 of manifests knew of them.
pub(crate) fn everything_of_version_1() -> Vec<Entry> {
    everything()
        .into_iter()
        .filter(|entry| entry.node().is_none_or(|node| node.meta.flags().is_none()))
        .collect()
}

/// Every kind of entry, in order.
pub(crate) fn everything() -> Vec<Entry> {
    let mut all = vec![
        folder("etc"),
        file("etc/empty", b""),
        with(file("etc/passwd", b"root:x:0:0::/root:/bin/sh\n"), |m| {
            m.attributes = vec![
                attribute(Tag::OwnerName, "", b"root"),
                attribute(Tag::GroupName, "", b"root"),
                attribute(Tag::Extended, "security.capability", &[1, 0, 0, 2]),
                attribute(Tag::Extended, "user.note", b"\xff\x00binary"),
            ];
        }),
        with(node("etc/old", 0o7777, Kind::Folder), |m| m.mtime = Mtime { seconds: -1, nanos: 999_999_999 }),
        with(node("etc/nodump", 0o755, Kind::Folder), |m| m.attributes = vec![flags(0x40)]),
        with(file("etc/fixed", b"immutable"), |m| {
            m.attributes = vec![
                attribute(Tag::OwnerName, "", b"root"),
                flags(0x0080_0030),
                attribute(Tag::Extended, "user.note", b""),
            ];
        }),
        with(file("etc/old/twice", b"one inode, two names"), |m| m.links = 3),
        link("etc/twice", "etc/old/twice"),
        folder("var"),
        node("var/a name\n\u{1b}[31m", 0o600, Kind::Fifo),
        node("var/block", 0o660, Kind::BlockDevice { major: 8, minor: 1 }),
        node("var/char", 0o620, Kind::CharDevice { major: 4, minor: 64 }),
        node("var/link", 0o777, Kind::Symlink { target: b"../../etc/passwd\xff".to_vec() }),
        node("var/socket", 0o755, Kind::Socket),
    ];
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}
