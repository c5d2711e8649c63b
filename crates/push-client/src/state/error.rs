//! Why the state folder cannot be used. What is in it may be wrong; that is no error.

use std::io;
use std::path::PathBuf;

use cli::{Exit, Failure, shown};

/// Why the state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be made or opened.
    #[error("state folder {}", shown(.path.as_os_str().as_encoded_bytes()))]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It belongs to somebody else.
    #[error("state folder {} belongs to another user (number {owner})", shown(.path.as_os_str().as_encoded_bytes()))]
    Owner {
        /// The folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// Another run holds it.
    #[error("another push-client is at work with the same state folder")]
    Busy,
    /// Something in it cannot be written.
    #[error("state folder")]
    Durable(#[from] durable::Error),
    /// A file in it cannot be read or written.
    #[error("state file {name}")]
    File {
        /// Which file.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// No random numbers.
    #[error("ask the kernel for random bytes")]
    Random(#[source] io::Error),
}

impl Failure for StateError {
    fn exit(&self) -> Exit {
        match self {
            StateError::Busy => Exit::BUSY,
            _ => Exit::MACHINE,
        }
    }

    fn advice(&self) -> Option<String> {
        match self {
            StateError::Busy => {
                Some("wait until it has ended; only one push of a host runs at a time".to_owned())
            }
            StateError::Owner { .. } => {
                Some("run push-client as the owner, or name another folder with `state`".to_owned())
            }
            StateError::Durable(error) if error.is_no_space() => {
                Some("make room on the file system of the state folder".to_owned())
            }
            _ => None,
        }
    }
}
