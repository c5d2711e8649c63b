//! For each entry of a manifest, what tells that its inode was not touched since.

use std::io::{self, Read, Write};

use formats::cursor::Cursor;
use formats::{Root, Version};

use crate::walk::Stamp;

const MAGIC: &[u8; 8] = b"firn.stm";
/// Magic, version, start.
pub(super) const HEAD_BYTES: u64 = 20;
/// One stamp.
pub(super) const STAMP_BYTES: u64 = 28;
/// Root and check.
pub(super) const END_BYTES: u64 = 64;

/// Writes stamps as the walk goes; the root of the manifest is known at the end.
#[derive(Debug)]
pub struct StampsWriter<W: Write> {
    to: W,
    hasher: blake3::Hasher,
}

impl<W: Write> StampsWriter<W> {
    /// Of a push that starts at `started`, seconds since 1970.
    pub fn new(to: W, started: i64) -> io::Result<Self> {
        let mut head = MAGIC.to_vec();
        Version::ONE.encode(&mut head);
        head.extend_from_slice(&started.to_le_bytes());
        let mut writer = Self { to, hasher: blake3::Hasher::new() };
        writer.write(&head)?;
        Ok(writer)
    }

    /// The stamp of the next entry.
    pub fn push(&mut self, stamp: &Stamp) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(STAMP_BYTES as usize);
        bytes.extend_from_slice(&stamp.ctime_seconds.to_le_bytes());
        bytes.extend_from_slice(&stamp.ctime_nanos.to_le_bytes());
        bytes.extend_from_slice(&stamp.inode.to_le_bytes());
        bytes.extend_from_slice(&stamp.device.to_le_bytes());
        self.write(&bytes)
    }

    /// Writes the end, and gives back what it wrote to.
    pub fn finish(mut self, root: Root) -> io::Result<W> {
        self.write(root.as_bytes())?;
        let check = self.hasher.finalize();
        self.to.write_all(check.as_bytes())?;
        self.to.flush()?;
        Ok(self.to)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.to.write_all(bytes)
    }
}

/// Reads stamps one by one. Give it a buffered reader of a file that was checked as a whole.
#[derive(Debug)]
pub struct StampsReader<R: Read> {
    from: R,
    started: i64,
}

impl<R: Read> StampsReader<R> {
    /// Reads the head.
    pub fn new(mut from: R) -> io::Result<Self> {
        let mut head = [0u8; HEAD_BYTES as usize];
        from.read_exact(&mut head)?;
        let started = start_of(&head).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { from, started })
    }

    /// When the push that recorded them started, seconds since 1970.
    pub fn started(&self) -> i64 {
        self.started
    }

    /// The stamp of the next entry.
    pub fn next_stamp(&mut self) -> io::Result<Stamp> {
        let mut bytes = [0u8; STAMP_BYTES as usize];
        self.from.read_exact(&mut bytes)?;
        let mut from = Cursor::new(&bytes);
        let read = |from: &mut Cursor<'_>| {
            Ok::<_, formats::cursor::Malformed>(Stamp {
                ctime_seconds: from.i64("stamp")?,
                ctime_nanos: from.u32("stamp")?,
                inode: from.u64("stamp")?,
                device: from.u64("stamp")?,
            })
        };
        read(&mut from).map_err(|_| io::ErrorKind::InvalidData.into())
    }
}

fn start_of(head: &[u8]) -> Option<i64> {
    let mut from = Cursor::new(head);
    let magic = from.bytes(8, "magic").ok()?;
    let version = Version::decode(&mut from).ok()?;
    let fits = magic == MAGIC && Version::ONE.check("stamps", version).is_ok();
    from.i64("start").ok().filter(|_| fits)
}
