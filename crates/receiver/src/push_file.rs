//! The one push file that grows. Between two appends it always ends with a whole frame.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::num::NonZeroU64;

use formats::session::Code;
use rustix::fs::{Advice, fadvise};
use rustix::process::{Resource, getrlimit};
use wire::partial::{Partial, Scan};

use crate::deadline::Deadline;
use crate::fault::{Result, Stop};

/// After so many bytes the kernel is asked to start writing them out, so that the fsync of the seal finds
/// little left to do (2 GiB at 400 MB/s: 4 ms instead of 550 ms).
const WRITE_OUT_BYTES: u64 = 8 << 20;

/// An open push file and how long it is.
#[derive(Debug)]
pub(crate) struct PushFile {
    file: File,
    bytes: u64,
    written_out: u64,
    /// No file of this process may be longer; beyond it the kernel would end the process instead of answering.
    bytes_max: u64,
}

impl PushFile {
    /// An empty file.
    pub(crate) fn new(file: File) -> Self {
        let bytes_max = getrlimit(Resource::Fsize).current.unwrap_or(u64::MAX);
        Self { file, bytes: 0, written_out: 0, bytes_max }
    }

    /// A file from an earlier session. Call [`PushFile::scan`] before anything else.
    pub(crate) fn reopened(file: File) -> Self {
        Self::new(file)
    }

    /// Reads the whole file and cuts off what follows its last whole frame. None if not even the header is whole. A file that
    /// cannot be read before the deadline could never be sealed.
    pub(crate) fn scan(&mut self, deadline: Deadline) -> Result<Option<Partial>> {
        const STEP: &str = "read the partial push";
        self.file.rewind().map_err(Stop::at(STEP))?;
        let mut scan = Scan::new();
        while scan.goes_on() {
            if deadline.has_passed() {
                return Err(Stop::refused(Code::TooSlow).discarding());
            }
            match self.file.read(scan.space()) {
                Ok(0) => break,
                Ok(count) => scan.filled(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Stop::at(STEP)(error).discarding()),
            }
        }
        let partial = scan.finish();
        if let Some(partial) = &partial {
            self.bytes = partial.tally.bytes();
            self.written_out = self.bytes;
            self.cut()?;
        }
        Ok(partial)
    }

    /// As [`PushFile::scan`], but from the disk and not from memory: all of it is brought there first, and then forgotten.
    pub(crate) fn read_back(&mut self, deadline: Deadline) -> Result<Option<Partial>> {
        self.sync()?;
        fadvise(&self.file, 0, None, Advice::DontNeed).map_err(Stop::at("forget the partial push"))?;
        self.scan(deadline)
    }

    /// Appends whole frames. If that fails, the file ends where it ended before.
    pub(crate) fn append(&mut self, frames: &[u8]) -> Result<()> {
        const STEP: &str = "write the push file";
        let bytes = self.bytes.saturating_add(frames.len() as u64);
        if bytes > self.bytes_max {
            return Err(Stop::at(STEP)(rustix::io::Errno::FBIG));
        }
        if let Err(error) = self.file.write_all(frames) {
            self.cut()?;
            return Err(Stop::at(STEP)(error));
        }
        self.bytes = bytes;
        if self.bytes - self.written_out >= WRITE_OUT_BYTES {
            let length = NonZeroU64::new(self.bytes - self.written_out);
            // Dirty pages are not dropped by this, only started on. It is a hint: a refusal changes nothing.
            let _ = fadvise(&self.file, self.written_out, length, Advice::DontNeed);
            self.written_out = self.bytes;
        }
        Ok(())
    }

    /// Bytes of whole frames.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Brings all of it to the disk. A failure is final: the kernel may have dropped what it could not write.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync_all().map_err(|error| Stop::at("bring the push to the disk")(error).discarding())
    }

    fn cut(&mut self) -> Result<()> {
        const STEP: &str = "cut the push file to its last whole frame";
        self.file.set_len(self.bytes).map_err(Stop::at(STEP))?;
        self.file.seek(SeekFrom::Start(self.bytes)).map_err(Stop::at(STEP))?;
        Ok(())
    }
}
