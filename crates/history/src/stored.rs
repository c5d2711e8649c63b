//! How a manifest lies in the history: squeezed, or plain, as all were written once. What is read are the manifest's own bytes, either way.
//!
//! A squeezed one (docs/formats/squeezed-manifest.md) is a head and blocks, each a frame of zstd that is expanded by itself: no more memory is taken
//! than the longest block may need, whatever a file says.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::FileExt;

use formats::manifest::{ManifestError, ManifestReader};
use formats::squeezed::{BLOCK_BYTES, BLOCK_BYTES_MAX, HEAD_BYTES, check_head, head, is_squeezed};
use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, ErrorCode, compress_bound, find_frame_compressed_size, get_error_name,
    get_frame_content_size,
};

/// How much is read at a time.
const READ_BYTES: usize = 256 * 1024;
/// The fastest level: the next ones squeeze no better what is hashes and repeated words, and take twice as long.
const LEVEL: i32 = -1;
/// The head of a frame of zstd is no longer.
const FRAME_HEAD_BYTES: usize = 18;
/// A bit of it that zstd does not look at (RFC 8878, section 3.1.1.1.1).
const DESCRIPTOR_PLACE: usize = 4;
const UNUSED_BIT: u8 = 0x10;

/// A manifest that is being read.
pub type Manifest = ManifestReader<ManifestBytes>;

/// The form of a manifest's file.
#[derive(Debug)]
pub enum Stored {
    /// The manifest's bytes as they are.
    Plain(File),
    /// In blocks.
    Squeezed(Blocks),
}

impl Stored {
    /// Looks at the first bytes of a file that was opened just now.
    pub fn of(file: File) -> Result<Self, ManifestError> {
        let mut first = [0; HEAD_BYTES];
        let mut read = 0;
        while read < first.len() {
            match file.read_at(first.get_mut(read..).unwrap_or_default(), read as u64) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        if !is_squeezed(&first) {
            return Ok(Stored::Plain(file));
        }
        check_head(&first)?;
        Ok(Stored::Squeezed(Blocks { file, at: HEAD_BYTES as u64, held: Vec::new(), start: 0, end: 0 }))
    }
}

/// The bytes of a manifest, in order.
#[derive(Debug)]
pub struct ManifestBytes(Bytes);

#[derive(Debug)]
enum Bytes {
    Plain(BufReader<File>),
    Squeezed { blocks: Blocks, expander: Expander, place: usize },
}

impl ManifestBytes {
    /// Of a file that was opened just now.
    pub fn of(file: File) -> Result<Self, ManifestError> {
        Ok(ManifestBytes(match Stored::of(file)? {
            Stored::Plain(file) => Bytes::Plain(BufReader::with_capacity(READ_BYTES, file)),
            Stored::Squeezed(blocks) => Bytes::Squeezed { blocks, expander: Expander::default(), place: 0 },
        }))
    }
}

/// Reads the manifest in a file that was opened just now.
pub fn read_manifest(file: File) -> Result<Manifest, ManifestError> {
    ManifestReader::new(ManifestBytes::of(file)?)
}

impl Read for ManifestBytes {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let (blocks, expander, place) = match &mut self.0 {
            Bytes::Plain(file) => return file.read(to),
            Bytes::Squeezed { blocks, expander, place } => (blocks, expander, place),
        };
        if *place == expander.length {
            *place = 0;
            if blocks.next(expander)?.is_none() {
                return Ok(0);
            }
        }
        let count = expander.block().get(*place..).unwrap_or_default().read(to)?;
        *place += count;
        Ok(count)
    }
}

/// The blocks of a squeezed manifest, one after the other.
#[derive(Debug)]
pub struct Blocks {
    file: File,
    /// Where in the file what is held ends.
    at: u64,
    held: Vec<u8>,
    start: usize,
    end: usize,
}

impl Blocks {
    /// Expands the next block; none at the end. After an error there is none.
    pub fn next<'e>(&mut self, expander: &'e mut Expander) -> io::Result<Option<&'e [u8]>> {
        expander.length = 0;
        let Some(frame) = self.frame()? else { return Ok(None) };
        let packed = self.held.get(self.start..self.start + frame.packed).unwrap_or_default();
        expander.expand(packed, frame.expanded)?;
        self.start += frame.packed;
        Ok(Some(expander.block()))
    }

    /// Holds no memory until the next block is asked for.
    pub fn rest(&mut self) {
        self.at -= (self.end - self.start) as u64;
        (self.held, self.start, self.end) = (Vec::new(), 0, 0);
    }

    /// Reads until a whole frame is held; none at the end of the file.
    fn frame(&mut self) -> io::Result<Option<Frame>> {
        loop {
            let held = self.held.get(self.start..self.end).unwrap_or_default();
            if let Some(frame) = Frame::first_of(held)? {
                return Ok(Some(frame));
            }
            let length = held.len();
            if length >= compress_bound(BLOCK_BYTES_MAX) {
                return Err(damaged("a block is longer than one may be"));
            }
            if self.fill()? == 0 {
                return if length == 0 { Ok(None) } else { Err(damaged("a block is cut short")) };
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        self.held.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.held.len() < self.end + READ_BYTES / 2 {
            self.held.resize(self.end + READ_BYTES, 0);
        }
        loop {
            match self.file.read_at(self.held.get_mut(self.end..).unwrap_or_default(), self.at) {
                Ok(read) => {
                    (self.end, self.at) = (self.end + read, self.at + read as u64);
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// How long a block is.
#[derive(Debug, Clone, Copy)]
struct Frame {
    packed: usize,
    expanded: usize,
}

impl Frame {
    /// None if more bytes are needed to tell.
    fn first_of(held: &[u8]) -> io::Result<Option<Frame>> {
        let expanded = match get_frame_content_size(held) {
            Ok(Some(bytes)) => usize::try_from(bytes).unwrap_or(usize::MAX),
            Ok(None) => return Err(damaged("a block does not say how long it is")),
            Err(_) if held.len() < FRAME_HEAD_BYTES => return Ok(None),
            Err(_) => return Err(damaged("no block where one should be")),
        };
        if held.get(DESCRIPTOR_PLACE).is_some_and(|descriptor| descriptor & UNUSED_BIT != 0) {
            return Err(damaged("a block has a bit that none has"));
        }
        // A frame that is passed over counts as empty.
        if expanded == 0 || expanded > BLOCK_BYTES_MAX {
            return Err(damaged("a block is longer or shorter than one may be"));
        }
        Ok(find_frame_compressed_size(held).ok().map(|packed| Frame { packed, expanded }))
    }
}

/// Expands blocks, of whichever manifest, into one place.
pub struct Expander {
    context: DCtx<'static>,
    block: Vec<u8>,
    length: usize,
}

impl Default for Expander {
    fn default() -> Self {
        Self { context: DCtx::create(), block: Vec::new(), length: 0 }
    }
}

impl Expander {
    fn block(&self) -> &[u8] {
        self.block.get(..self.length).unwrap_or_default()
    }

    fn expand(&mut self, packed: &[u8], length: usize) -> io::Result<()> {
        if self.block.len() < length {
            self.block.resize(length, 0);
        }
        let to = self.block.get_mut(..length).unwrap_or_default();
        match self.context.decompress(to, packed) {
            Ok(expanded) if expanded == length => {
                self.length = length;
                Ok(())
            }
            _ => Err(damaged("a block cannot be expanded")),
        }
    }
}

impl fmt::Debug for Expander {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Expander").field("length", &self.length).finish_non_exhaustive()
    }
}

fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Squeezes the manifest that is written to it. What is written by one call is in one block.
pub struct Squeezer<W: Write> {
    to: W,
    context: CCtx<'static>,
    block: Vec<u8>,
    packed: Vec<u8>,
}

impl<W: Write> Squeezer<W> {
    /// Writes the head.
    pub fn new(mut to: W) -> io::Result<Self> {
        let mut context = CCtx::create();
        context.set_parameter(CParameter::CompressionLevel(LEVEL)).map_err(refused)?;
        context.set_parameter(CParameter::ChecksumFlag(true)).map_err(refused)?;
        to.write_all(&head())?;
        let packed = vec![0; compress_bound(BLOCK_BYTES)];
        Ok(Self { to, context, block: Vec::with_capacity(BLOCK_BYTES), packed })
    }

    fn end_block(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let bound = compress_bound(self.block.len());
        if self.packed.len() < bound {
            self.packed.resize(bound, 0);
        }
        let length = self.context.compress2(self.packed.as_mut_slice(), &self.block).map_err(refused)?;
        self.block.clear();
        self.to.write_all(self.packed.get(..length).unwrap_or_default())
    }
}

impl<W: Write> Write for Squeezer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.block.len() + bytes.len() > BLOCK_BYTES {
            self.end_block()?;
        }
        self.block.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.end_block()?;
        self.to.flush()
    }
}

impl<W: Write> fmt::Debug for Squeezer<W> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Squeezer").field("block", &self.block.len()).finish_non_exhaustive()
    }
}

fn refused(code: ErrorCode) -> io::Error {
    io::Error::other(get_error_name(code))
}
