//! Opens a push file and checks all that a snapshotter would.

use std::collections::HashMap;

use formats::change::{Applied, apply};
use formats::cursor::Cursor;
use formats::push::{Block, Codec, FrameKind, HEAD_BYTES, Record, Tally};
use formats::{Body, Change, ContentHash, Entry, Kind, Node, frame};

use crate::server::{header, root_of, seal};

/// A push, opened.
pub(crate) struct Judged {
    /// The state that results.
    pub(crate) entries: Vec<Entry>,
    /// The contents of this push.
    pub(crate) contents: HashMap<ContentHash, Vec<u8>>,
    /// Contents in the push, equal ones counted each.
    pub(crate) contents_count: usize,
    pub(crate) changes: Vec<Change>,
    pub(crate) left_out: u64,
}

impl Judged {
    pub(crate) fn entry(&self, path: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.path.as_bytes() == path.as_bytes())
    }

    pub(crate) fn node(&self, path: &str) -> &Node {
        self.entry(path).unwrap_or_else(|| panic!("{path} is not in the push")).node().expect("a node")
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.entries.iter().map(|entry| entry.path.to_string()).collect()
    }

    /// The bytes of a file, which must be in this push.
    pub(crate) fn content(&self, path: &str) -> &[u8] {
        let Kind::File { content, .. } = &self.node(path).kind else { panic!("{path} is no file") };
        &self.contents[content]
    }
}

/// Bytes of files of the base, by path, for pushes that copy from them.
pub(crate) type Files = HashMap<&'static str, Vec<u8>>;

/// Whether the push file, as far as it has come, ends within a content.
pub(crate) fn is_open(part: &[u8]) -> bool {
    let (mut rest, mut open) = (&part[HEAD_BYTES..], false);
    while let Some(frame) = frame::decode(rest).unwrap() {
        if FrameKind::from_code(frame.kind) == Some(FrameKind::Contents) {
            let block = expanded(frame.payload);
            let mut from = Cursor::new(&block);
            while !from.is_empty() {
                open = !matches!(Record::decode(&mut from).unwrap(), Record::End { .. } | Record::Drop);
            }
        }
        rest = &rest[frame.raw.len()..];
    }
    open
}

/// Fails at the first thing that a snapshotter would reject; a lender, if there is one, lends nothing.
pub(crate) fn judge(file: &[u8], base: &[Entry], files: &Files) -> Judged {
    opened(file, base, base, files)
}

/// The same, of a push that has no base and takes contents from these entries.
pub(crate) fn judge_lent(file: &[u8], lender: &[Entry]) -> Judged {
    assert_eq!(header(file).lender, Some(root_of(lender)));
    opened(file, &[], lender, &Files::new())
}

fn opened(file: &[u8], base: &[Entry], lender: &[Entry], files: &Files) -> Judged {
    let mut source: Option<&[u8]> = None;
    let (mut contents, mut open, mut contents_count) = (HashMap::new(), Vec::new(), 0);
    let mut changes: Vec<Change> = Vec::new();
    let mut tally = Tally::begin();
    let mut rest = &file[HEAD_BYTES..];
    while !rest.is_empty() {
        let frame = frame::decode(rest).unwrap().expect("a torn frame");
        let kind = FrameKind::from_code(frame.kind).unwrap();
        if kind == FrameKind::Seal {
            tally.check(&seal(file)).unwrap();
        }
        tally.take(&frame).unwrap();
        match kind {
            FrameKind::Header | FrameKind::Seal => {}
            FrameKind::Resume => {
                source = None;
                open.clear();
                changes.clear();
            }
            FrameKind::Contents => {
                let block = expanded(frame.payload);
                let mut from = Cursor::new(&block);
                while !from.is_empty() {
                    match Record::decode(&mut from).unwrap() {
                        Record::Data(data) => open.extend_from_slice(data),
                        Record::Drop => {
                            source = None;
                            open.clear();
                        }
                        Record::From(path) => {
                            assert!(open.is_empty() && base.iter().any(|entry| entry.path == path));
                            source = Some(&files[path.to_string().as_str()]);
                        }
                        Record::Copy { offset, length } => {
                            let part = offset as usize..(offset + length) as usize;
                            open.extend_from_slice(&source.expect("a source")[part]);
                        }
                        Record::End { size, hash } => {
                            assert_eq!((open.len() as u64, ContentHash::of(&open)), (size, hash));
                            source = None;
                            contents.insert(hash, std::mem::take(&mut open));
                            contents_count += 1;
                        }
                    }
                }
            }
            FrameKind::Entries => {
                let block = expanded(frame.payload);
                let mut from = Cursor::new(&block);
                while !from.is_empty() {
                    changes.push(Change::decode(&mut from).unwrap());
                }
            }
        }
        rest = &rest[frame.raw.len()..];
    }
    let entries = applied(base, &changes);
    let seal = seal(file);
    assert_eq!(header(file).base, (!base.is_empty()).then(|| root_of(base)));
    assert_eq!((root_of(&entries), entries.len() as u64), (seal.root, seal.entries));
    contents_are_there(&entries, lender, &contents);
    Judged { entries, contents, contents_count, changes, left_out: seal.left_out }
}

fn expanded(payload: &[u8]) -> Vec<u8> {
    let block = Block::decode(payload).unwrap();
    match block.codec {
        Codec::Stored => block.packed.to_vec(),
        Codec::Zstd => {
            let bytes = zstd::bulk::decompress(block.packed, block.expanded_bytes).unwrap();
            assert_eq!(bytes.len(), block.expanded_bytes);
            bytes
        }
    }
}

fn applied(base: &[Entry], changes: &[Change]) -> Vec<Entry> {
    let base = base.iter().cloned().map(Ok::<_, ()>);
    apply(base, changes.iter().cloned().map(Ok))
        .filter_map(|step| match step.unwrap() {
            Applied::Kept(entry) | Applied::Put { entry, .. } => Some(entry),
            Applied::Removed(_) => None,
        })
        .collect()
}

fn contents_are_there(entries: &[Entry], base: &[Entry], contents: &HashMap<ContentHash, Vec<u8>>) {
    let in_base: Vec<ContentHash> = base.iter().filter_map(content).collect();
    for entry in entries {
        if let Some(hash) = content(entry) {
            assert!(
                contents.contains_key(&hash) || in_base.contains(&hash),
                "{}: content missing",
                entry.path
            );
        }
    }
}

pub(crate) fn content(entry: &Entry) -> Option<ContentHash> {
    match &entry.body {
        Body::Node(Node { kind: Kind::File { content, .. }, .. }) => Some(*content),
        _ => None,
    }
}
