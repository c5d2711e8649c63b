//! A push file, frame by frame.

use super::entry::{Entry, put, root_of};

/// Largest block that a reader takes.
pub const BLOCK_BYTES: usize = 1 << 20;

/// A frame with its true length and check.
#[must_use]
pub fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    frame_of(kind, length, check(kind, length, payload), payload)
}

/// A frame that says what it likes about itself.
#[must_use]
pub fn frame_of(kind: u8, length: u32, check: u32, payload: &[u8]) -> Vec<u8> {
    [&[kind], length.to_le_bytes().as_slice(), &check.to_le_bytes(), payload].concat()
}

/// The check that a frame should have.
#[must_use]
pub fn check(kind: u8, length: u32, payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&[kind]);
    crc.update(&length.to_le_bytes());
    crc.update(payload);
    crc.finalize()
}

/// The header; nothing is checked.
#[derive(Debug, Clone)]
pub struct Header {
    /// Any bytes.
    pub host: Vec<u8>,
    /// Which installation.
    pub installation: [u8; 16],
    /// Which push.
    pub push: [u8; 16],
    /// Its counter.
    pub counter: u64,
    /// The base, if any.
    pub base: Option<[u8; 32]>,
    /// The lender, if any; only where there is no base, and since version 2.
    pub lender: Option<[u8; 32]>,
    /// Seconds since 1970.
    pub started: i64,
    /// Any bytes.
    pub zone: Vec<u8>,
    /// What it says will come.
    pub declared_bytes: u64,
    /// 0 is the only kind of payload there is.
    pub payload: u8,
    /// 0 is the only signature there is.
    pub signature: u16,
    /// Bytes after the end.
    pub tail: Vec<u8>,
}

impl Header {
    /// An honest header of a push without a base.
    #[must_use]
    pub fn new(host: &str, push: [u8; 16], counter: u64) -> Header {
        Header {
            host: host.as_bytes().to_vec(),
            installation: [1; 16],
            push,
            counter,
            base: None,
            lender: None,
            started: 1_700_000_000,
            zone: b"UTC".to_vec(),
            declared_bytes: 0,
            payload: 0,
            signature: 0,
            tail: Vec::new(),
        }
    }

    /// With this base.
    #[must_use]
    pub fn on(self, base: [u8; 32]) -> Header {
        Header { base: Some(base), ..self }
    }

    /// With this lender.
    #[must_use]
    pub fn lent_by(self, lender: [u8; 32]) -> Header {
        Header { lender: Some(lender), ..self }
    }

    /// Its payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let text = |to: &mut Vec<u8>, text: &[u8]| {
            to.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
            to.extend_from_slice(text);
        };
        let mut to = Vec::new();
        text(&mut to, &self.host);
        to.extend(self.installation);
        to.extend(self.push);
        to.extend(self.counter.to_le_bytes());
        match (self.base, self.lender) {
            (None, None) => to.push(0),
            (Some(base), _) => to.extend([&[1], base.as_slice()].concat()),
            (None, Some(lender)) => to.extend([&[2], lender.as_slice()].concat()),
        }
        to.extend(self.started.to_le_bytes());
        text(&mut to, &self.zone);
        to.extend(self.declared_bytes.to_le_bytes());
        to.push(self.payload);
        to.extend(self.signature.to_le_bytes());
        to.extend(&self.tail);
        to
    }
}

/// Content records, in a row.
#[derive(Debug, Clone, Default)]
pub struct Records(pub Vec<u8>);

impl Records {
    /// None yet.
    #[must_use]
    pub fn new() -> Records {
        Records::default()
    }

    /// More of the open content.
    #[must_use]
    pub fn data(mut self, bytes: &[u8]) -> Records {
        self.0.push(1);
        self.0.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.0.extend(bytes);
        self
    }

    /// Closes the content with any size and hash.
    #[must_use]
    pub fn end(mut self, size: u64, hash: [u8; 32]) -> Records {
        self.0.push(2);
        self.0.extend(size.to_le_bytes());
        self.0.extend(hash);
        self
    }

    /// Any bytes.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Records {
        self.0.extend(bytes);
        self
    }

    /// A whole content, honestly.
    #[must_use]
    pub fn content(self, bytes: &[u8]) -> Records {
        let open = if bytes.is_empty() { self } else { self.data(bytes) };
        open.end(bytes.len() as u64, *blake3::hash(bytes).as_bytes())
    }
}

/// The payload of a seal.
#[derive(Debug, Clone)]
pub struct Seal {
    /// Frames before it.
    pub frames: u64,
    /// The chain over them.
    pub hash: [u8; 32],
    /// Root of the result.
    pub root: [u8; 32],
    /// Entries of the result.
    pub entries: u64,
    /// What was left out.
    pub left_out: u64,
}

/// A push file under construction.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Magic and version.
    pub head: Vec<u8>,
    /// Its frames, as they travel.
    pub frames: Vec<Vec<u8>>,
}

impl Draft {
    /// Begins with an honest head and this header.
    #[must_use]
    pub fn new(header: &Header) -> Draft {
        Draft::of_version(1, 0, header)
    }

    /// Begins with any version.
    #[must_use]
    pub fn of_version(major: u16, minor: u16, header: &Header) -> Draft {
        let head = [b"firn.psh".as_slice(), &major.to_le_bytes(), &minor.to_le_bytes()].concat();
        Draft { head, frames: vec![frame(1, &header.encode())] }
    }

    /// One more frame.
    #[must_use]
    pub fn frame(mut self, kind: u8, payload: &[u8]) -> Draft {
        self.frames.push(frame(kind, payload));
        self
    }

    /// One more frame of any bytes.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Draft {
        self.frames.push(bytes.to_vec());
        self
    }

    /// A block of any codec and any claimed length.
    #[must_use]
    pub fn block(self, kind: u8, codec: u8, expanded: u32, packed: &[u8]) -> Draft {
        let payload = [&[codec], expanded.to_le_bytes().as_slice(), packed].concat();
        self.frame(kind, &payload)
    }

    /// Content records in stored blocks, cut where a block is full; records may be cut too, so keep them short.
    #[must_use]
    pub fn contents(self, records: &Records) -> Draft {
        self.stored(2, &records.0)
    }

    /// Changes in stored blocks.
    #[must_use]
    pub fn changes(self, changes: &[Vec<u8>]) -> Draft {
        // Whole changes only: the next block begins where the next change does not fit any more.
        let mut draft = self;
        let mut block: Vec<u8> = Vec::new();
        for change in changes {
            if !block.is_empty() && block.len() + change.len() > BLOCK_BYTES {
                draft = draft.stored(3, &std::mem::take(&mut block));
            }
            block.extend(change);
        }
        if block.is_empty() { draft } else { draft.stored(3, &block) }
    }

    fn stored(self, kind: u8, bytes: &[u8]) -> Draft {
        bytes.chunks(BLOCK_BYTES).fold(self, |draft, block| {
            draft.block(kind, 0, u32::try_from(block.len()).unwrap_or(u32::MAX), block)
        })
    }

    /// The honest seal for the frames so far and this result.
    #[must_use]
    pub fn seal_for(&self, result: &[Entry]) -> Seal {
        let mut chain = *blake3::hash(&self.head).as_bytes();
        for frame in &self.frames {
            chain = *blake3::hash(&[chain, *blake3::hash(frame).as_bytes()].concat()).as_bytes();
        }
        Seal {
            frames: self.frames.len() as u64,
            hash: chain,
            root: root_of(result),
            entries: result.len() as u64,
            left_out: 0,
        }
    }

    /// Sealed with any seal.
    #[must_use]
    pub fn sealed_with(self, seal: &Seal) -> Draft {
        let mut payload = seal.frames.to_le_bytes().to_vec();
        payload.extend(seal.hash);
        payload.extend(seal.root);
        payload.extend(seal.entries.to_le_bytes());
        payload.extend(seal.left_out.to_le_bytes());
        self.frame(5, &payload)
    }

    /// Sealed honestly, for this result.
    #[must_use]
    pub fn sealed(self, result: &[Entry]) -> Draft {
        let seal = self.seal_for(result);
        self.sealed_with(&seal)
    }

    /// A push without a base: all entries are put, sealed honestly as far as counts, chain and root go.
    #[must_use]
    pub fn whole(header: &Header, contents: &[&[u8]], entries: &[Entry]) -> Draft {
        let records = contents.iter().fold(Records::new(), |records, content| records.content(content));
        let changes: Vec<Vec<u8>> = entries.iter().map(put).collect();
        Draft::new(header).contents(&records).changes(&changes).sealed(entries)
    }

    /// The whole file.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        [self.head.clone(), self.frames.concat()].concat()
    }
}
