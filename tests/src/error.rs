//! Why the rig could not do something: always the machine or a mistake of ours, never a result of a test.

use std::io;
use std::path::PathBuf;

/// What went wrong in the rig.
#[derive(Debug, thiserror::Error)]
pub enum RigError {
    /// A step on a file or folder failed.
    #[error("{step} {}", .path.display())]
    File {
        /// What was tried: `create`, `read`.
        step: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("start {program}")]
    Start {
        /// Its name or path.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program ended with a code that was not expected.
    #[error("{command}: ended with {code}, not {expected}\n{said}")]
    Ended {
        /// The command line.
        command: String,
        /// The code; 128+n for a signal.
        code: i32,
        /// The codes that would have been right.
        expected: String,
        /// The end of what it wrote to standard error and standard output.
        said: String,
    },
    /// Debian packages are missing, and this user cannot install them.
    #[error("packages are missing; as root:\n    {line}")]
    Missing {
        /// The one line that installs them.
        line: String,
    },
    /// Something is not as the rig needs it.
    #[error("{0}")]
    State(String),
}

/// What the rig's functions return.
pub type Result<T> = std::result::Result<T, RigError>;

/// Names the step and the file of an I/O error.
pub(crate) trait At<T> {
    /// `step` on `path` failed.
    fn at(self, step: &'static str, path: impl Into<PathBuf>) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, step: &'static str, path: impl Into<PathBuf>) -> Result<T> {
        self.map_err(|source| RigError::File { step, path: path.into(), source })
    }
}
