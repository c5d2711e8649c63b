//! What was sent of the push under way, so that it can be gone on with after a cut.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

use formats::cursor::{Cursor, Malformed, malformed};
use formats::push::{MARK_BYTES, Mark};
use formats::{ContentHash, Mtime, PushId, Root, Version};

use crate::walk::{Facts, Stamp};

const MAGIC: &[u8; 8] = b"firn.jnl";
/// Version 2 came with the lender.
const VERSION: Version = Version { major: 2, minor: 0 };
const BASE: u8 = 1;
const LENDER: u8 = 2;
const HEAD_BYTES: usize = 77;
const FRAME: u8 = 1;
const CONTENT: u8 = 2;
const CONTENT_BYTES: usize = 88;
/// Contents that are remembered when going on, 104 bytes each; of more, some are read and sent twice. One more, and their table would take twice the
/// room: 220 MB instead of 110.
const CONTENTS_MAX: usize = 917_504;

/// Which push the journal is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalHead {
    /// Its id.
    pub push: PushId,
    /// Its counter.
    pub counter: u64,
    /// When it started, seconds since 1970.
    pub started: i64,
    /// What it applies to.
    pub base: Option<Root>,
    /// What it takes contents from, if it applies to nothing.
    pub lender: Option<Root>,
}

/// A content that was closed, and the file it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Bytes.
    pub size: u64,
    /// BLAKE3.
    pub hash: ContentHash,
    /// The file's last change.
    pub mtime: Mtime,
    /// The file's stamp.
    pub stamp: Stamp,
}

/// Appends records. What is lost of it costs time, never data; so nothing waits for the disk.
#[derive(Debug)]
pub struct Journal {
    to: File,
    buffer: Vec<u8>,
}

/// What the journal knows of a partial push.
#[derive(Debug)]
pub struct Recalled {
    /// Which push.
    pub head: JournalHead,
    /// The place to go on from.
    pub mark: Mark,
    /// Contents that need not be sent, by device and inode of their files: the receiver holds them, or the base or the lender has them.
    pub contents: HashMap<(u64, u64), Content>,
    end: u64,
}

impl JournalHead {
    fn encode(&self) -> Vec<u8> {
        let mut to = MAGIC.to_vec();
        VERSION.encode(&mut to);
        to.extend_from_slice(self.push.as_bytes());
        to.extend_from_slice(&self.counter.to_le_bytes());
        to.extend_from_slice(&self.started.to_le_bytes());
        let (kind, root) = match (self.base, self.lender) {
            (None, None) => (0, [0; 32]),
            (Some(base), _) => (BASE, *base.as_bytes()),
            (None, Some(lender)) => (LENDER, *lender.as_bytes()),
        };
        to.push(kind);
        to.extend_from_slice(&root);
        to
    }

    fn decode(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let magic = from.bytes(MAGIC.len(), "journal")? == MAGIC;
        // One of version 1 has no lender, and is gone on with as it was.
        let version = Version::decode(from)?;
        let is_read = [VERSION, Version::ONE].into_iter().any(|read| read.check("journal", version).is_ok());
        if !magic || !is_read {
            return malformed("journal");
        }
        let (push, counter, started) =
            (PushId::from_bytes(from.array("push id")?), from.u64("counter")?, from.i64("start")?);
        let (kind, root) = (from.u8("base")?, Root::from_bytes(from.array("base")?));
        let of = |wanted| (kind == wanted).then_some(root);
        Ok(Self { push, counter, started, base: of(BASE), lender: of(LENDER) })
    }
}

impl Content {
    /// The same file, untouched since.
    pub fn is_of(&self, facts: &Facts) -> bool {
        self.size == facts.size && self.mtime == facts.mtime && self.stamp == facts.stamp
    }

    fn encode(&self, frames: u64, to: &mut Vec<u8>) {
        to.extend_from_slice(&frames.to_le_bytes());
        to.extend_from_slice(&self.size.to_le_bytes());
        to.extend_from_slice(self.hash.as_bytes());
        to.extend_from_slice(&self.mtime.seconds.to_le_bytes());
        to.extend_from_slice(&self.mtime.nanos.to_le_bytes());
        to.extend_from_slice(&self.stamp.ctime_seconds.to_le_bytes());
        to.extend_from_slice(&self.stamp.ctime_nanos.to_le_bytes());
        to.extend_from_slice(&self.stamp.inode.to_le_bytes());
        to.extend_from_slice(&self.stamp.device.to_le_bytes());
    }

    fn decode(from: &mut Cursor<'_>) -> Result<(u64, Self), Malformed> {
        let frames = from.u64("content")?;
        let content = Self {
            size: from.u64("content")?,
            hash: ContentHash::from_bytes(from.array("content")?),
            mtime: Mtime { seconds: from.i64("content")?, nanos: from.u32("content")? },
            stamp: Stamp {
                ctime_seconds: from.i64("content")?,
                ctime_nanos: from.u32("content")?,
                inode: from.u64("content")?,
                device: from.u64("content")?,
            },
        };
        Ok((frames, content))
    }
}

impl Journal {
    /// Begins the journal of a new push in an empty file.
    pub fn begin(mut to: File, head: &JournalHead) -> io::Result<Self> {
        to.write_all(&head.encode())?;
        Ok(Self { to, buffer: Vec::new() })
    }

    /// Goes on with the journal that `recalled` was read from; what lies behind the place to go on from is cut off.
    pub fn go_on(mut file: File, recalled: &Recalled) -> io::Result<Self> {
        file.set_len(recalled.end)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { to: file, buffer: Vec::new() })
    }

    /// Notes a frame that is about to be sent, and the contents it closes.
    pub fn note(&mut self, mark: &Mark, closed: &[Content]) -> io::Result<()> {
        self.buffer.clear();
        record(&mut self.buffer, FRAME, |to| mark.encode(to));
        for content in closed {
            record(&mut self.buffer, CONTENT, |to| content.encode(mark.frames, to));
        }
        self.to.write_all(&self.buffer)
    }

    /// Notes contents that were read and not sent, as the base or the lender has them: no frame is waited for.
    pub fn note_unsent(&mut self, contents: &[Content]) -> io::Result<()> {
        self.buffer.clear();
        for content in contents {
            record(&mut self.buffer, CONTENT, |to| content.encode(0, to));
        }
        self.to.write_all(&self.buffer)
    }
}

impl Recalled {
    /// Reads a journal up to the place after `frames` frames of `push`. None if it does not know that place.
    pub fn read(file: &mut File, push: PushId, frames: u64) -> io::Result<Option<Self>> {
        file.seek(SeekFrom::Start(0))?;
        let mut from = BufReader::with_capacity(256 * 1024, file);
        let mut head = [0u8; HEAD_BYTES];
        if !fill(&mut from, &mut head)? {
            return Ok(None);
        }
        let Ok(head) = JournalHead::decode(&mut Cursor::new(&head)) else { return Ok(None) };
        if head.push != push {
            return Ok(None);
        }
        let (mut end, mut mark, mut contents) = (HEAD_BYTES as u64, None, HashMap::new());
        while let Some((record, length)) = next(&mut from)? {
            match record {
                Record::Frame(found) if found.frames > frames => break,
                Record::Frame(found) => mark = Some(found),
                Record::Content(of, content) if of <= frames && contents.len() < CONTENTS_MAX => {
                    contents.insert((content.stamp.device, content.stamp.inode), content);
                }
                Record::Content(..) => {}
            }
            end += length;
        }
        let mark = mark.filter(|mark: &Mark| mark.frames == frames);
        Ok(mark.map(|mark| Self { head, mark, contents, end }))
    }
}

enum Record {
    Frame(Mark),
    Content(u64, Content),
}

/// u32 check, u8 kind, body.
fn record(to: &mut Vec<u8>, kind: u8, body: impl FnOnce(&mut Vec<u8>)) {
    let start = to.len();
    to.extend_from_slice(&[0, 0, 0, 0, kind]);
    body(to);
    let check = crc32fast::hash(to.get(start + 4..).unwrap_or_default());
    if let Some(place) = to.get_mut(start..start + 4) {
        place.copy_from_slice(&check.to_le_bytes());
    }
}

/// The next record and its length; none at the end, or where it is torn or wrong.
fn next(from: &mut impl Read) -> io::Result<Option<(Record, u64)>> {
    let mut bytes = [0u8; 5 + CONTENT_BYTES];
    let Some((head, rest)) = bytes.split_at_mut_checked(5) else { return Ok(None) };
    if !fill(from, head)? {
        return Ok(None);
    }
    let kind = head.last().copied().unwrap_or_default();
    let length = match kind {
        FRAME => MARK_BYTES,
        CONTENT => CONTENT_BYTES,
        _ => return Ok(None),
    };
    let Some(body) = rest.get_mut(..length) else { return Ok(None) };
    if !fill(from, body)? {
        return Ok(None);
    }
    let mut whole = Cursor::new(bytes.get(..5 + length).unwrap_or_default());
    let check = whole.u32("check").unwrap_or_default();
    if crc32fast::hash(whole.rest()) != check || whole.u8("kind").is_err() {
        return Ok(None);
    }
    let record = match kind {
        FRAME => Mark::decode(&mut whole).map(Record::Frame),
        _ => Content::decode(&mut whole).map(|(frames, content)| Record::Content(frames, content)),
    };
    Ok(record.ok().map(|record| (record, 5 + length as u64)))
}

/// False if the input ends first.
fn fill(from: &mut impl Read, to: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
