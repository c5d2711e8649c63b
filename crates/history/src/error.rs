//! What can be wrong with a history.

use std::io;

use formats::manifest::ManifestError;
use formats::records::RecordError;

/// The result of every call here.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a history could not be read or added to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused something about a file or folder of the history.
    #[error("history")]
    Folder(#[from] durable::Error),
    /// Reading or writing failed half-way.
    #[error("{doing} of {host}")]
    Stream {
        /// What was being done, to which file.
        doing: &'static str,
        /// Whose history.
        host: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The log is not what was written: nothing may be added to it, and nothing removed because of it.
    #[error("snapshot log of {host}, line {line}")]
    Log {
        /// Whose log.
        host: String,
        /// Which line, from 1.
        line: u64,
        /// What is wrong with it.
        source: LogDefect,
    },
    /// A manifest is not what was written.
    #[error("manifest of snapshot {name}")]
    Manifest {
        /// Which snapshot.
        name: String,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// There is no such host.
    #[error("no history of host {host}")]
    NoHost {
        /// The id that was asked for.
        host: String,
    },
    /// There is no such snapshot.
    #[error("no snapshot {name} of host {host}")]
    NoSnapshot {
        /// Whose history.
        host: String,
        /// The name that was asked for.
        name: String,
    },
    /// There was such a snapshot.
    #[error("snapshot {name} of host {host} was pruned at {time}")]
    Pruned {
        /// Whose history.
        host: String,
        /// The name that was asked for.
        name: String,
        /// When.
        time: String,
    },
    /// Somebody keeps all readers from a snapshot, for longer than a prune does: a redaction at work, or whoever may read it.
    #[error(
        "snapshot {name} of host {host} is locked by somebody: by a redaction at work, or by a reader who locks it alone"
    )]
    Locked {
        /// Whose history.
        host: String,
        /// Which snapshot.
        name: String,
    },
    /// An event that cannot be a line of the log.
    #[error("log line")]
    Line(#[from] RecordError),
    /// An earlier append failed, so what the file holds is not known.
    #[error("an earlier write to the snapshot log failed")]
    Poisoned,
}

impl Error {
    /// The history itself is wrong, rather than the system, the caller or the moment.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Error::Log { .. } => true,
            Error::Manifest { source, .. } => !matches!(source, ManifestError::Io(_)),
            _ => false,
        }
    }
}

/// What is wrong with a line of the log.
#[derive(Debug, thiserror::Error)]
pub enum LogDefect {
    /// Longer than a line may be.
    #[error("longer than a line may be")]
    TooLong,
    /// The line's own check does not match its bytes.
    #[error("its bytes do not match its check")]
    Check,
    /// Not a log line.
    #[error("not a log line")]
    Record(#[from] RecordError),
    /// The number is not the next one: a line is missing, repeated or out of place.
    #[error("says it is line {found}")]
    Number {
        /// What it says.
        found: u64,
    },
    /// The hash is not that of the line before.
    #[error("does not follow from the line before")]
    Chain,
    /// The log is shorter than it was when this line was signed.
    #[error("it was signed, and is not there any more")]
    Gone,
    /// It is another line than the one that was signed.
    #[error("it is another one than was signed")]
    Another,
    /// The fields of an ingest contradict each other or the lines before.
    #[error("{0}")]
    Ingest(&'static str),
    /// It is about a snapshot that is not there, or may not be removed.
    #[error("{0}")]
    Snapshot(&'static str),
}
