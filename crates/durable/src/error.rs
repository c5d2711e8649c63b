//! What went wrong: the step, the name, and the system's answer.

use std::fmt;
use std::io;

use rustix::io::Errno;

/// The result of every call here.
pub type Result<T> = std::result::Result<T, Error>;

/// One step that failed, on one name.
#[derive(Debug, thiserror::Error)]
#[error("{step} {}", Quoted(.name))]
pub struct Error {
    step: Step,
    name: Vec<u8>,
    source: io::Error,
}

/// What was being done. Displays as words that fit after "failed to".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// A component was checked before any use.
    Name,
    /// A folder was opened.
    OpenFolder,
    /// A file was opened.
    Open,
    /// A file was created.
    Create,
    /// A folder was created.
    MakeFolder,
    /// The names in a folder were read.
    List,
    /// The facts of a name were read.
    Stat,
    /// Bytes were written.
    Write,
    /// A file or a folder was brought to the disk.
    Sync,
    /// A name was moved.
    Rename,
    /// A hard link was made.
    Link,
    /// A symbolic link was made or read.
    Symlink,
    /// A name was removed.
    Remove,
    /// A lock was taken.
    Lock,
    /// Permissions were set.
    SetMode,
    /// An access list was read or set.
    AccessList,
    /// Free space was asked for.
    FreeSpace,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Name => "accept the name",
            Step::OpenFolder => "open the folder",
            Step::Open => "open the file",
            Step::Create => "create the file",
            Step::MakeFolder => "make the folder",
            Step::List => "list the folder",
            Step::Stat => "look at",
            Step::Write => "write",
            Step::Sync => "bring to disk",
            Step::Rename => "rename",
            Step::Link => "link",
            Step::Symlink => "symlink",
            Step::Remove => "remove",
            Step::Lock => "lock",
            Step::SetMode => "set the permissions of",
            Step::AccessList => "read or set",
            Step::FreeSpace => "ask for free space at",
        })
    }
}

impl Error {
    pub(crate) fn new(step: Step, name: &[u8], source: impl Into<io::Error>) -> Self {
        Error { step, name: name.to_vec(), source: source.into() }
    }

    /// Closure for `map_err`.
    pub(crate) fn at<E: Into<io::Error>>(step: Step, name: &[u8]) -> impl FnOnce(E) -> Error + '_ {
        move |source| Error::new(step, name, source)
    }

    /// What was being done.
    #[must_use]
    pub fn step(&self) -> Step {
        self.step
    }

    /// The raw bytes of the name it was done to; `.` is the held folder itself.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The system's error number, if the system refused.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        self.source.raw_os_error()
    }

    /// The disk or the quota is full.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        self.is(Errno::NOSPC) || self.is(Errno::DQUOT)
    }

    /// The name is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.is(Errno::NOENT)
    }

    /// The name is already there.
    #[must_use]
    pub fn is_exists(&self) -> bool {
        self.is(Errno::EXIST)
    }

    /// The name led out of the held folder or through a symbolic link, and was refused.
    #[must_use]
    pub fn is_escape(&self) -> bool {
        self.is(Errno::XDEV) || self.is(Errno::LOOP)
    }

    fn is(&self, errno: Errno) -> bool {
        self.source.raw_os_error() == Some(errno.raw_os_error())
    }
}

impl From<Error> for io::Error {
    /// Keeps the kind, for callers whose own error is an `io::Error`.
    fn from(error: Error) -> Self {
        io::Error::new(error.source.kind(), error)
    }
}

/// Raw name bytes in quotes, with everything but printable ASCII escaped, so that a hostile name cannot write to a
/// terminal or forge a log line.
struct Quoted<'a>(&'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}
