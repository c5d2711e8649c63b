//! The push file: header, contents, entries, seal. Layout in docs/formats/push-file.md.

use crate::cursor::{Cursor, Malformed, malformed};
use crate::frame;
use crate::id::{HostId, InstallationId, PushId, Root};
use crate::limits::{BLOCK_BYTES, ZONE_BYTES};
use crate::version::Version;

pub use crate::content_record::{COPY_BYTES, DATA_HEAD_BYTES, END_BYTES, FROM_HEAD_BYTES, Record};
pub use crate::tally::{MARK_BYTES, Mark, Tally};

/// First bytes of a push file.
pub const MAGIC: &[u8; 8] = b"firn.psh";
/// Length of magic and version, before the first frame.
pub const HEAD_BYTES: usize = 12;
/// The version that is written.
pub const VERSION: Version = Version { major: 2, minor: 0 };

/// True for a version that is read: this one, and 1.x, which has neither copies nor a lender.
pub fn is_read(version: Version) -> bool {
    (Version::ONE.major..=VERSION.major).contains(&version.major)
}

/// Kinds of frame in a push file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// Who pushes what against which base.
    Header,
    /// A block of content records.
    Contents,
    /// A block of changes.
    Entries,
    /// The client went on after a cut.
    Resume,
    /// The end, with counts and hashes.
    Seal,
}

impl FrameKind {
    /// The number in the file.
    pub const fn code(self) -> u8 {
        match self {
            FrameKind::Header => 1,
            FrameKind::Contents => 2,
            FrameKind::Entries => 3,
            FrameKind::Resume => 4,
            FrameKind::Seal => 5,
        }
    }

    /// The kind with that number, if a push file has one.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(FrameKind::Header),
            2 => Some(FrameKind::Contents),
            3 => Some(FrameKind::Entries),
            4 => Some(FrameKind::Resume),
            5 => Some(FrameKind::Seal),
            _ => None,
        }
    }
}

/// The order in which frames may come; shared by all who write, receive or read push files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Nothing yet: the header must come.
    #[default]
    Start,
    /// Contents may come.
    Contents,
    /// Entries have begun.
    Entries,
    /// The seal has come: nothing more.
    Sealed,
}

impl Order {
    /// Where the file is after a frame of `kind`; an error if it may not come here.
    pub fn after(self, kind: FrameKind) -> Result<Self, Malformed> {
        match (self, kind) {
            (Order::Start, FrameKind::Header) => Ok(Order::Contents),
            (Order::Contents, FrameKind::Contents | FrameKind::Resume) => Ok(Order::Contents),
            (Order::Contents | Order::Entries, FrameKind::Entries) => Ok(Order::Entries),
            (Order::Entries, FrameKind::Resume) => Ok(Order::Entries),
            (Order::Contents | Order::Entries, FrameKind::Seal) => Ok(Order::Sealed),
            _ => malformed("order of frames"),
        }
    }
}

/// Magic and version, as every push file begins that is written now.
pub fn head() -> Vec<u8> {
    head_of(VERSION)
}

/// Magic and a version.
pub fn head_of(version: Version) -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    version.encode(&mut head);
    head
}

/// Reads what [`head_of`] wrote. The caller checks the version.
pub fn take_head(from: &mut Cursor<'_>) -> Result<Version, Malformed> {
    if from.bytes(MAGIC.len(), "magic")? != MAGIC {
        return malformed("magic");
    }
    Version::decode(from)
}

/// Who pushes what against which base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The host; the jail must be its own.
    pub host: HostId,
    /// Which installation of push-client.
    pub installation: InstallationId,
    /// Which push.
    pub push: PushId,
    /// Pushes begun by this installation.
    pub counter: u64,
    /// The state the changes apply to; none for a whole push.
    pub base: Option<Root>,
    /// For a whole push of a host that forgot its state: the snapshot whose contents need not be sent. None beside a base, which serves as one.
    pub lender: Option<Root>,
    /// Seconds since 1970 by the host's clock.
    pub started: i64,
    /// The host's time zone.
    pub zone: String,
    /// Expanded size of the contents to come, as far as known.
    pub declared_bytes: u64,
}

impl Header {
    /// The payload of a header frame.
    pub fn encode(&self) -> Result<Vec<u8>, Malformed> {
        check_zone(self.zone.as_bytes())?;
        let mut to = Vec::with_capacity(256);
        put_text(&mut to, self.host.as_str());
        to.extend_from_slice(self.installation.as_bytes());
        to.extend_from_slice(self.push.as_bytes());
        to.extend_from_slice(&self.counter.to_le_bytes());
        match (self.base, self.lender) {
            (None, Some(lender)) => {
                to.push(2);
                to.extend_from_slice(lender.as_bytes());
            }
            (base, None) => put_root(&mut to, base),
            (Some(_), Some(_)) => return malformed("lender beside a base"),
        }
        to.extend_from_slice(&self.started.to_le_bytes());
        put_text(&mut to, &self.zone);
        to.extend_from_slice(&self.declared_bytes.to_le_bytes());
        to.push(0);
        to.extend_from_slice(&[0, 0]);
        Ok(to)
    }

    /// Reads the payload of a header frame.
    pub fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let mut from = Cursor::new(payload);
        let host = take_host(&mut from)?;
        let installation = InstallationId::from_bytes(from.array("installation id")?);
        let push = PushId::from_bytes(from.array("push id")?);
        let counter = from.u64("counter")?;
        let (base, lender) = match from.u8("base")? {
            0 => (None, None),
            1 => (Some(Root::from_bytes(from.array("base")?)), None),
            2 => (None, Some(Root::from_bytes(from.array("lender")?))),
            _ => return malformed("base"),
        };
        let header = Header {
            host,
            installation,
            push,
            counter,
            base,
            lender,
            started: from.i64("start time")?,
            zone: take_zone(&mut from)?,
            declared_bytes: from.u64("declared size")?,
        };
        if from.u8("payload")? != 0 {
            return malformed("payload: only plain payloads are known");
        }
        if from.u16("signature")? != 0 {
            return malformed("signature: none are known");
        }
        from.end("header: bytes after its end")?;
        Ok(header)
    }
}

fn check_zone(zone: &[u8]) -> Result<(), Malformed> {
    let fits =
        zone.len() <= ZONE_BYTES && zone.iter().all(|b| b.is_ascii_alphanumeric() || b"_+/-".contains(b));
    if fits { Ok(()) } else { malformed("time zone") }
}

fn take_zone(from: &mut Cursor<'_>) -> Result<String, Malformed> {
    let length = usize::from(from.u8("time zone")?);
    let zone = from.bytes(length, "time zone")?;
    check_zone(zone)?;
    String::from_utf8(zone.to_vec()).or(malformed("time zone"))
}

fn put_text(to: &mut Vec<u8>, text: &str) {
    // Both callers hold text of at most 64 bytes.
    to.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    to.extend_from_slice(text.as_bytes());
}

pub(crate) fn put_host(to: &mut Vec<u8>, host: &HostId) {
    put_text(to, host.as_str());
}

pub(crate) fn take_host(from: &mut Cursor<'_>) -> Result<HostId, Malformed> {
    let length = usize::from(from.u8("host id")?);
    let text = std::str::from_utf8(from.bytes(length, "host id")?).or(malformed("host id"))?;
    HostId::parse(text).or(malformed("host id"))
}

pub(crate) fn put_root(to: &mut Vec<u8>, root: Option<Root>) {
    to.push(u8::from(root.is_some()));
    if let Some(root) = root {
        to.extend_from_slice(root.as_bytes());
    }
}

pub(crate) fn take_root(from: &mut Cursor<'_>) -> Result<Option<Root>, Malformed> {
    match from.u8("base")? {
        0 => Ok(None),
        1 => Ok(Some(Root::from_bytes(from.array("base")?))),
        _ => malformed("base"),
    }
}

/// How the bytes of a block are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// As they are.
    Stored,
    /// One zstd frame.
    Zstd,
}

/// A block as it travels: packed records. Packing and expanding is the caller's, with a budget of [`Block::expanded_bytes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block<'a> {
    /// How it is packed.
    pub codec: Codec,
    /// Exact length when expanded; at most [`BLOCK_BYTES`].
    pub expanded_bytes: usize,
    /// The packed bytes.
    pub packed: &'a [u8],
}

impl<'a> Block<'a> {
    /// The payload of a contents or entries frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(self.packed.len() + 5);
        to.extend_from_slice(&self.head());
        to.extend_from_slice(self.packed);
        to
    }

    /// Appends the whole frame, with one copy of the packed bytes.
    pub fn encode_frame(&self, kind: FrameKind, to: &mut Vec<u8>) -> Result<(), Malformed> {
        frame::encode_parts(kind.code(), &[&self.head(), self.packed], to)
    }

    fn head(&self) -> [u8; 5] {
        let codec = match self.codec {
            Codec::Stored => 0,
            Codec::Zstd => 1,
        };
        let [a, b, c, d] = u32::try_from(self.expanded_bytes).unwrap_or(u32::MAX).to_le_bytes();
        [codec, a, b, c, d]
    }

    /// Reads the payload of a contents or entries frame.
    pub fn decode(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut from = Cursor::new(payload);
        let codec = match from.u8("codec")? {
            0 => Codec::Stored,
            1 => Codec::Zstd,
            _ => return malformed("codec"),
        };
        let expanded_bytes = from.u32("block length")? as usize;
        if expanded_bytes == 0 || expanded_bytes > BLOCK_BYTES {
            return malformed("block length");
        }
        let packed = from.rest();
        if codec == Codec::Stored && packed.len() != expanded_bytes {
            return malformed("block length");
        }
        Ok(Block { codec, expanded_bytes, packed })
    }
}

/// The end of a push file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// Frames before the seal, header included.
    pub frames: u64,
    /// The chain over all bytes of the file before the seal frame: [`Tally::hash`].
    pub hash: [u8; 32],
    /// Root of the manifest that results.
    pub root: Root,
    /// Entries of that manifest.
    pub entries: u64,
    /// Paths that the client could not read.
    pub left_out: u64,
}

impl Seal {
    /// The payload of a seal frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(88);
        to.extend_from_slice(&self.frames.to_le_bytes());
        to.extend_from_slice(&self.hash);
        to.extend_from_slice(self.root.as_bytes());
        to.extend_from_slice(&self.entries.to_le_bytes());
        to.extend_from_slice(&self.left_out.to_le_bytes());
        to
    }

    /// Reads the payload of a seal frame.
    pub fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let mut from = Cursor::new(payload);
        let seal = Seal {
            frames: from.u64("seal")?,
            hash: from.array("seal")?,
            root: Root::from_bytes(from.array("seal")?),
            entries: from.u64("seal")?,
            left_out: from.u64("seal")?,
        };
        from.end("seal: bytes after its end")?;
        Ok(seal)
    }
}
