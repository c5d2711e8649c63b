//! What can go wrong between history and image.

use std::io;

use backhand::BackhandError;
use cli::{Exit, Failure};

use super::source::SourceError;

/// Why there is no image that counts.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The history cannot be read.
    #[error(transparent)]
    History(#[from] history::Error),
    /// A snapshot's manifest is not the one its log names.
    #[error("manifest of snapshot {name} is not the one that the log names")]
    Root {
        /// Which snapshot.
        name: String,
    },
    /// A snapshot of the log has no manifest.
    #[error("manifest of snapshot {name} is missing")]
    NoManifest {
        /// Which snapshot.
        name: String,
    },
    /// A snapshot lies there that the log does not name: the log has lost lines, and what it calls the newest is not.
    #[error("{name} of {host} is not in the snapshot log")]
    Stranger {
        /// Whose history.
        host: String,
        /// Which snapshot.
        name: String,
    },
    /// A file of the history is not what its manifest says.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// There would be too many segments.
    #[error("the image has more than {most} segments of {segment_bytes} bytes")]
    Segments {
        /// How many there may be.
        most: usize,
        /// The setting.
        segment_bytes: u64,
    },
    /// The disk refused to take or to give the image.
    #[error("{doing} the image")]
    Disk {
        /// What was being done.
        doing: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The image writer refused what it was given.
    #[error("write the image")]
    Writer(#[source] BackhandError),
    /// What was written is not what should have been written.
    #[error("the image was read back and differs from the manifest: {path}: {what}")]
    Differs {
        /// Where, escaped.
        path: String,
        /// In what.
        what: &'static str,
    },
    /// What was written cannot be read.
    #[error("the image cannot be read back")]
    Unreadable(#[source] BackhandError),
}

impl Failure for ImageError {
    fn exit(&self) -> Exit {
        match self {
            ImageError::History(history::Error::NoHost { .. } | history::Error::NoSnapshot { .. })
            | ImageError::Segments { .. } => Exit::USAGE,
            ImageError::History(history::Error::Locked { .. }) => Exit::BUSY,
            ImageError::History(error) if error.is_damage() => Exit::DAMAGED,
            ImageError::Stranger { .. } => Exit::DAMAGED,
            ImageError::Root { .. } | ImageError::NoManifest { .. } => Exit::SNAPSHOT_DIFFERS,
            ImageError::Source(error) if error.is_damage() => Exit::SNAPSHOT_DIFFERS,
            ImageError::Differs { .. } | ImageError::Unreadable(_) => Exit::DAMAGED,
            ImageError::Writer(_) => Exit::BUG,
            ImageError::Disk { source, .. } if is_full(source) => Exit::NO_STAGING,
            ImageError::History(_) | ImageError::Source(_) | ImageError::Disk { .. } => Exit::MACHINE,
        }
    }

    fn advice(&self) -> Option<String> {
        let advice = match self {
            ImageError::Segments { .. } => "raise segment_bytes in the settings",
            ImageError::Differs { .. } | ImageError::Unreadable(_) => {
                "nothing was uploaded; check the disk of the staging folder, then try again"
            }
            ImageError::Disk { source, .. } if is_full(source) => "free some space in the staging folder",
            _ => return None,
        };
        Some(advice.to_owned())
    }
}

impl ImageError {
    /// Closure for `map_err`.
    pub(crate) fn disk(doing: &'static str) -> impl FnOnce(io::Error) -> ImageError {
        move |source| ImageError::Disk { doing, source }
    }

    /// Sorts what the image writer says into whose fault it was.
    pub(super) fn from_writer(error: BackhandError) -> ImageError {
        match error {
            BackhandError::StdIo(error) => match error.downcast::<SourceError>() {
                Ok(source) => ImageError::Source(source),
                Err(source) => ImageError::Disk { doing: "write", source },
            },
            other => ImageError::Writer(other),
        }
    }
}

/// The disk or the quota is full.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
