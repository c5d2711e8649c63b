//! What only the newest manifest tells of a host: how large it is, and which content has most names. It takes as long as the manifest is.

use std::collections::HashMap;

use formats::entry::Entry;
use formats::{Body, ContentHash, Kind};
use history::{HostHistory, Snapshot};

/// So many contents are told apart, and as many groups of hard links: some 40 MiB.
const TOLD_APART_MAX: usize = 1 << 20;

/// What it tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Newest {
    /// The sizes of all files, as the host sees them; hard links count once.
    pub(crate) logical_bytes: u64,
    /// Names of the content that has most of them: equal files, and all their hard links, are one inode of the history. Empty files are left out, as a
    /// copy of one takes no room. Where there are more contents than are told apart, those that come first count.
    pub(crate) most_names: u64,
}

impl Newest {
    /// Reads the manifest of this snapshot.
    pub(crate) fn read(place: &HostHistory, snapshot: &Snapshot) -> history::Result<Self> {
        let damaged = |source| history::Error::Manifest { name: snapshot.name.to_string(), source };
        let mut counting = Counting::default();
        for entry in place.open_manifest(snapshot)? {
            counting.take(&entry.map_err(damaged)?);
        }
        Ok(counting.found)
    }
}

/// The start of a hash: what meets by chance is one in billions, and makes a forecast a little worse.
type Start = [u8; 8];

#[derive(Debug, Default)]
struct Counting {
    names: HashMap<Start, u64>,
    /// Which content the first path of a group of hard links has.
    groups: HashMap<Start, Start>,
    found: Newest,
}

impl Counting {
    fn take(&mut self, entry: &Entry) {
        match &entry.body {
            Body::Node(node) => {
                let Kind::File { size, content } = node.kind else { return };
                self.found.logical_bytes = self.found.logical_bytes.saturating_add(size);
                if size == 0 {
                    return;
                }
                let content = start(&content);
                if node.meta.links > 1 && self.groups.len() < TOLD_APART_MAX {
                    self.groups.insert(start(&ContentHash::of(entry.path.as_bytes())), content);
                }
                self.count(content);
            }
            Body::Link(first) => {
                if let Some(content) = self.groups.get(&start(&ContentHash::of(first.as_bytes()))) {
                    self.count(*content);
                }
            }
        }
    }

    fn count(&mut self, content: Start) {
        if self.names.len() == TOLD_APART_MAX && !self.names.contains_key(&content) {
            return;
        }
        let names = self.names.entry(content).or_default();
        *names += 1;
        self.found.most_names = self.found.most_names.max(*names);
    }
}

fn start(hash: &ContentHash) -> Start {
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use formats::RelPath;
    use formats::entry::{Meta, Mtime, Node};

    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text.as_bytes()).unwrap()
    }

    fn file(at: &str, data: &[u8], links: u32) -> Entry {
        let mtime = Mtime { seconds: 0, nanos: 0 };
        let meta = Meta { mode: 0o644, owner: 0, group: 0, mtime, links, attributes: Vec::new() };
        let kind = Kind::File { size: data.len() as u64, content: ContentHash::of(data) };
        Entry { path: path(at), body: Body::Node(Node { meta, kind }) }
    }

    fn link(at: &str, first: &str) -> Entry {
        Entry { path: path(at), body: Body::Link(path(first)) }
    }

    fn found(entries: &[Entry]) -> (u64, u64) {
        let mut counting = Counting::default();
        entries.iter().for_each(|entry| counting.take(entry));
        (counting.found.logical_bytes, counting.found.most_names)
    }

    #[test]
    fn equal_files_and_their_hard_links_are_names_of_one_content() {
        assert_eq!(found(&[]), (0, 0));
        let alone = [file("a", b"one", 1), file("b", b"two", 1)];
        assert_eq!(found(&alone), (6, 1));
        let equal = [file("a", b"one", 1), file("b", b"two", 1), file("c", b"one", 1)];
        assert_eq!(found(&equal), (9, 2));
        // A group whose other names lie outside of what is pushed has those that are here.
        let linked = [file("a", b"one", 9), link("b", "a"), file("c", b"one", 2), link("d", "c")];
        assert_eq!(found(&linked), (6, 4));
        let empty = [file("a", b"", 1), file("b", b"", 2), link("c", "b"), file("d", b"one", 1)];
        assert_eq!(found(&empty), (3, 1));
    }
}
