//! The bytes of one put on their way in: in pieces, hashed, and compared with what was announced before anything of them can count.

use std::io::{self, Read};

use bytes::Bytes;
use formats::ContentHash;

use crate::{Content, ObjectName, Result, VaultError};

/// A content being read.
pub(crate) struct Incoming<'a, 'c> {
    name: &'a ObjectName,
    content: Content<'c>,
    hasher: blake3::Hasher,
    rest: u64,
}

impl<'a, 'c> Incoming<'a, 'c> {
    pub(crate) fn new(name: &'a ObjectName, content: Content<'c>) -> Self {
        let rest = content.bytes;
        Incoming { name, content, hasher: blake3::Hasher::new(), rest }
    }

    /// Bytes still to come.
    pub(crate) fn rest(&self) -> u64 {
        self.rest
    }

    /// The next bytes: `longest` of them, or all that are announced.
    pub(crate) fn piece(&mut self, longest: u64) -> Result<Bytes> {
        let length = longest.min(self.rest);
        let mut piece = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        let read = (&mut *self.content.reader).take(length).read_to_end(&mut piece);
        read.map_err(|error| self.wrong("the bytes to be stored could not be read", Some(error)))?;
        if piece.len() as u64 != length {
            return Err(self.wrong("there are fewer bytes to be stored than announced", None));
        }
        self.hasher.update(&piece);
        self.rest -= length;
        Ok(Bytes::from(piece))
    }

    /// At the end: nothing is left over, and the hash is the one announced.
    pub(crate) fn finish(self) -> Result<()> {
        let mut one = Vec::new();
        let read = (&mut *self.content.reader).take(1).read_to_end(&mut one);
        read.map_err(|error| wrong(self.name, "the bytes to be stored could not be read", Some(error)))?;
        if !one.is_empty() {
            return Err(wrong(self.name, "there are more bytes to be stored than announced", None));
        }
        if ContentHash::from_bytes(*self.hasher.finalize().as_bytes()) != self.content.hash {
            return Err(wrong(self.name, "the bytes to be stored do not have the hash announced", None));
        }
        Ok(())
    }

    fn wrong(&self, what: &'static str, source: Option<io::Error>) -> VaultError {
        wrong(self.name, what, source)
    }
}

fn wrong(name: &ObjectName, what: &'static str, source: Option<io::Error>) -> VaultError {
    VaultError::Content { object: name.clone(), what, source }
}
