//! A file of the history on its way into an image.

use std::error::Error as _;
use std::fs::File;
use std::io::{self, Read};
use std::rc::Rc;

use cli::{Task, shown};
use formats::{ContentHash, RelPath};
use history::Tree;

use crate::seal::hash_of;

/// What is wrong with a file of the history.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is no such file where the manifest says there is one.
    #[error("history: {path} is missing or is no file")]
    Missing {
        /// Which, escaped.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It cannot be opened or read.
    #[error("history: read {path}")]
    Unreadable {
        /// Which, escaped.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its bytes are not those of the manifest.
    #[error("history: {path} is not what its manifest says")]
    Differs {
        /// Which, escaped.
        path: String,
    },
}

impl SourceError {
    /// The history lacks what its manifest promises, rather than the machine failing to read it.
    pub(super) fn is_damage(&self) -> bool {
        !matches!(self, SourceError::Unreadable { .. })
    }
}

/// Reads one file of a snapshot. It is opened beneath the held tree, through no link, when the first byte is wanted, and closed after the last
/// one. Its end is told only after size and hash were found to be those of the manifest.
pub(super) struct Source<'t> {
    tree: Rc<Tree>,
    path: RelPath,
    size: u64,
    wanted: Wanted,
    task: &'t Task,
    state: State,
}

/// What a file should be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted {
    Content(ContentHash),
    /// Nothing but zeros: its content was redacted.
    Zeros,
}

enum State {
    Waiting,
    Reading { file: File, hasher: Box<blake3::Hasher>, bytes: u64 },
    Done,
}

impl<'t> Source<'t> {
    pub(super) fn new(tree: &Rc<Tree>, path: RelPath, size: u64, wanted: Wanted, task: &'t Task) -> Self {
        Self { tree: Rc::clone(tree), path, size, wanted, task, state: State::Waiting }
    }

    fn step(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        loop {
            match &mut self.state {
                State::Done => return Ok(0),
                State::Waiting => {
                    let file = self.tree.open_file(&self.path).map_err(|error| self.not_opened(error))?;
                    self.state = State::Reading { file, hasher: Box::default(), bytes: 0 };
                }
                State::Reading { file, hasher, bytes } => {
                    let read = match file.read(buffer) {
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                        answer => answer.map_err(|error| SourceError::Unreadable {
                            path: shown(self.path.as_bytes()),
                            source: error,
                        })?,
                    };
                    let piece = buffer.get(..read).unwrap_or_default();
                    *bytes += read as u64;
                    let is_other = match self.wanted {
                        // A content that was to go, and is there, goes into no image.
                        Wanted::Zeros => piece.iter().any(|byte| *byte != 0),
                        Wanted::Content(content) => {
                            hasher.update(piece);
                            read == 0 && hash_of(hasher) != content
                        }
                    };
                    let wrong = is_other || *bytes > self.size || read == 0 && *bytes != self.size;
                    if wrong {
                        return Err(SourceError::Differs { path: shown(self.path.as_bytes()) });
                    }
                    if read == 0 {
                        self.state = State::Done;
                    }
                    self.task.advance(read as u64);
                    return Ok(read);
                }
            }
        }
    }

    fn not_opened(&self, error: history::Error) -> SourceError {
        let path = shown(self.path.as_bytes());
        match error {
            history::Error::Folder(error) if is_absent(&error) => {
                SourceError::Missing { path, source: error.into() }
            }
            history::Error::Folder(error) => SourceError::Unreadable { path, source: error.into() },
            other => SourceError::Unreadable { path, source: io::Error::other(other) },
        }
    }
}

/// Nothing, or something that is no regular file, is under this name: a folder, a link, a device.
fn is_absent(error: &durable::Error) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    let kinds = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory, io::ErrorKind::InvalidInput];
    error.is_escape() || source.is_some_and(|source| kinds.contains(&source.kind()))
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.step(buffer).map_err(io::Error::other)
    }
}
