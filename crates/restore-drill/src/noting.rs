//! A reader that remembers what went wrong beneath it. Libraries that parse wrap such an error in one of their own, which looks as if the bytes were
//! bad; but a disk that cannot be read is this machine's fault.

use std::io::{self, Read, Seek};
use std::sync::{Arc, Mutex, PoisonError};

/// What the reader met first; none if it met nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trouble(Arc<Mutex<Option<io::Error>>>);

impl Trouble {
    /// The error, once.
    pub(crate) fn take(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Passes everything on.
#[derive(Debug)]
pub(crate) struct Noting<R> {
    from: R,
    trouble: Trouble,
}

impl<R> Noting<R> {
    pub(crate) fn new(from: R) -> (Noting<R>, Trouble) {
        let trouble = Trouble::default();
        (Noting { from, trouble: trouble.clone() }, trouble)
    }

    fn note<T>(&self, outcome: io::Result<T>) -> io::Result<T> {
        match outcome {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                let kind = error.kind();
                let mut first = self.trouble.0.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert(error);
                Err(kind.into())
            }
            outcome => outcome,
        }
    }
}

impl<R: Read> Read for Noting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer);
        self.note(read)
    }
}

impl<R: Seek> Seek for Noting<R> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let at = self.from.seek(to);
        self.note(at)
    }
}
