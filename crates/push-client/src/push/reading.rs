//! What comes of reading a file.

use std::fs::File;
use std::io::{self, Read};

use formats::{ContentHash, Mtime};
use rustix::io::Errno;

use crate::walk::Facts;

/// What came of reading a file.
#[derive(Debug)]
pub(super) enum Reading {
    /// Its content is in the push.
    Whole(Copied),
    /// The content of the last reading is in the push, and the file changed during each.
    Unsteady(Copied),
    /// The name was gone.
    Vanished,
    /// The name no longer led to a regular file, again and again.
    NoFile,
    /// It could not be opened or read.
    Refused(Errno),
}

/// A content that is in the push, and the file it is of.
#[derive(Debug)]
pub(super) struct Copied {
    pub(super) size: u64,
    pub(super) hash: ContentHash,
    /// The facts of the open file after it was read.
    pub(super) facts: Facts,
    /// Still open, for what else is to be read of it.
    pub(super) file: File,
}

/// What the base has at a path: a content that need not be sent, if it is still there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    pub(super) size: u64,
    pub(super) mtime: Mtime,
    pub(super) hash: ContentHash,
}

/// Reads until `to` is full or the file ends: where `ends_at` says that it does, that is not asked again.
pub(super) fn fill(file: &mut File, to: &mut [u8], ends_at: Option<usize>) -> Result<usize, Errno> {
    let mut filled = 0;
    while let Some(space) = to.get_mut(filled..).filter(|space| !space.is_empty()) {
        match file.read(space) {
            Ok(0) => break,
            Ok(length) => {
                filled += length;
                // Less than was asked for, and as much as there should be: whether it grew meanwhile, the caller's look afterwards tells.
                if ends_at == Some(filled) {
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(errno(&error));
            }
        }
    }
    Ok(filled)
}

pub(super) fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error)
}
