//! Push files, good and bad, made in the process.

use formats::change::{Change, diff};
use formats::frame;
use formats::push::{Block, Codec, FrameKind, HEAD_BYTES, Header, Record, Seal, Tally, head, head_of};
use formats::{ContentHash, HostId, InstallationId, PushId, Root, Version};

use crate::state::State;

/// What a push file is made of; every part can be made wrong.
#[derive(Debug, Clone)]
pub(crate) struct Push {
    pub(crate) header: Header,
    pub(crate) contents: Vec<Vec<u8>>,
    /// Frames after those of the contents.
    pub(crate) extra: Vec<(u8, Vec<u8>)>,
    pub(crate) changes: Vec<Change>,
    pub(crate) root: Root,
    pub(crate) entries: u64,
    pub(crate) left_out: u64,
}

/// Frames of a push file, before the seal.
#[derive(Debug, Clone)]
pub(crate) struct Frames(pub(crate) Vec<(u8, Vec<u8>)>);

pub(crate) fn header(push: u8, counter: u64, base: Option<Root>) -> Header {
    Header {
        host: HostId::parse("web01").unwrap(),
        installation: InstallationId::from_bytes([1; 16]),
        push: PushId::from_bytes([push; 16]),
        counter,
        base,
        lender: None,
        started: 1_700_000_000,
        zone: "Europe/Berlin".to_owned(),
        declared_bytes: 0,
    }
}

impl Push {
    /// All of a host.
    pub(crate) fn whole(push: u8, state: &State) -> Self {
        let sum = state.summary();
        Self {
            header: header(push, u64::from(push), None),
            contents: state.contents(),
            extra: Vec::new(),
            changes: state.entries().into_iter().map(Change::Put).collect(),
            root: sum.root,
            entries: sum.entries,
            left_out: 0,
        }
    }

    /// What turns `base` into `new`; brings the contents that `base` does not have.
    pub(crate) fn delta(push: u8, base: &State, new: &State) -> Self {
        let old = base.contents();
        let ok = |entry| Ok::<_, ()>(entry);
        let changes = diff(base.entries().into_iter().map(ok), new.entries().into_iter().map(ok));
        Self {
            header: header(push, u64::from(push), Some(base.summary().root)),
            contents: new.contents().into_iter().filter(|content| !old.contains(content)).collect(),
            changes: changes.map(Result::unwrap).collect(),
            ..Self::whole(push, new)
        }
    }

    pub(crate) fn frames(&self) -> Frames {
        let mut frames = vec![(FrameKind::Header.code(), self.header.encode().unwrap())];
        for content in &self.contents {
            frames.extend(
                content_blocks(content).into_iter().map(|block| (FrameKind::Contents.code(), zstd(&block))),
            );
        }
        frames.extend(self.extra.iter().cloned());
        let mut block = Vec::new();
        for change in &self.changes {
            change.encode(&mut block).unwrap();
            if block.len() > 200_000 {
                frames.push((FrameKind::Entries.code(), zstd(&std::mem::take(&mut block))));
            }
        }
        if !block.is_empty() {
            frames.push((FrameKind::Entries.code(), zstd(&block)));
        }
        Frames(frames)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.sealed(&self.frames())
    }

    /// The same, in a file that says it is of version 1.0.
    pub(crate) fn of_version_1(&self) -> Vec<u8> {
        let (root, entries, left_out) = (self.root, self.entries, self.left_out);
        let seal = |frames, hash| Seal { frames, hash, root, entries, left_out };
        self.frames().sealed_as(Version::ONE, seal)
    }

    /// These frames, with this push's seal.
    pub(crate) fn sealed(&self, frames: &Frames) -> Vec<u8> {
        let (root, entries, left_out) = (self.root, self.entries, self.left_out);
        frames.sealed(|frames, hash| Seal { frames, hash, root, entries, left_out })
    }
}

impl Frames {
    /// The whole file, with the seal that `seal` makes of the true number of frames and their chain.
    pub(crate) fn sealed(&self, seal: impl FnOnce(u64, [u8; 32]) -> Seal) -> Vec<u8> {
        self.sealed_as(formats::push::VERSION, seal)
    }

    fn sealed_as(&self, version: Version, seal: impl FnOnce(u64, [u8; 32]) -> Seal) -> Vec<u8> {
        let mut bytes = self.unsealed();
        bytes[..HEAD_BYTES].copy_from_slice(&head_of(version));
        let mut tally = Tally::of_version(version);
        let mut at = head().len();
        while let Ok(Some(found)) = frame::decode(&bytes[at..]) {
            let length = found.raw.len();
            // A file whose order is wrong has no right seal; any will do.
            if tally.take(&found).is_err() {
                break;
            }
            at += length;
        }
        let seal = seal(self.0.len() as u64, tally.hash());
        frame::encode(FrameKind::Seal.code(), &seal.encode(), &mut bytes).unwrap();
        bytes
    }

    pub(crate) fn unsealed(&self) -> Vec<u8> {
        let mut bytes = head();
        for (kind, payload) in &self.0 {
            frame::encode(*kind, payload, &mut bytes).unwrap();
        }
        bytes
    }
}

/// One content as blocks of records.
fn content_blocks(content: &[u8]) -> Vec<Vec<u8>> {
    let mut blocks = Vec::new();
    let mut block = Vec::new();
    for piece in content.chunks(1_000_000) {
        if !block.is_empty() {
            blocks.push(std::mem::take(&mut block));
        }
        Record::Data(piece).encode(&mut block);
    }
    Record::End { size: content.len() as u64, hash: ContentHash::of(content) }.encode(&mut block);
    blocks.push(block);
    blocks
}

/// Records as one expanded block.
pub(crate) fn records(records: &[Record<'_>]) -> Vec<u8> {
    let mut block = Vec::new();
    records.iter().for_each(|record| record.encode(&mut block));
    block
}

/// A block, packed.
pub(crate) fn zstd(block: &[u8]) -> Vec<u8> {
    let packed = zstd::bulk::compress(block, 1).unwrap();
    Block { codec: Codec::Zstd, expanded_bytes: block.len(), packed: &packed }.encode()
}

/// A block, stored.
pub(crate) fn stored(block: &[u8]) -> Vec<u8> {
    Block { codec: Codec::Stored, expanded_bytes: block.len(), packed: block }.encode()
}
