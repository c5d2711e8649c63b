//! Why commands were of no use.

use std::io;

use cli::{Exit, Failure};

use super::ended::How;

/// Why commands were of no use.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A command failed.
    #[error("{what} {number} ({name}) {how}")]
    Failed {
        /// Of which kind: `before`, `dump`.
        what: &'static str,
        /// Its number among those, from 1.
        number: u8,
        /// Its program.
        name: String,
        /// How.
        how: How,
    },
    /// Its program or its account is not there.
    #[error("{what} {number} ({name}) cannot be run: {why}")]
    CannotRun {
        /// Of which kind.
        what: &'static str,
        /// Its number among those, from 1.
        number: u8,
        /// Its program.
        name: String,
        /// What is not there.
        why: String,
    },
    /// A dump gave too little.
    #[error("dump {number} ({name}) gave {bytes} bytes, and least_bytes is {least}")]
    TooShort {
        /// Its number.
        number: u8,
        /// Its program.
        name: String,
        /// What it gave.
        bytes: u64,
        /// What it must give.
        least: u64,
    },
    /// A dump ended, and something it started goes on writing.
    #[error("dump {number} ({name}) ended, and left something behind that holds its output open")]
    HeldOpen {
        /// Its number.
        number: u8,
        /// Its program.
        name: String,
    },
    /// A dump's place is below what is no folder.
    #[error("dump {number} cannot lie below /{at}, which is no folder here")]
    Place {
        /// Its number.
        number: u8,
        /// What is there.
        at: String,
    },
    /// The process that runs them could not be had.
    #[error("failed to start the process that runs commands")]
    Start(#[source] io::Error),
    /// It ended, or said what makes no sense.
    #[error("the process that runs commands ended early")]
    Gone,
    /// It has read other settings.
    #[error("the settings changed while the push began")]
    Changed,
    /// A signal came.
    #[error("stopped by a signal")]
    Stopped,
}

impl Failure for CommandError {
    fn exit(&self) -> Exit {
        match self {
            CommandError::Failed { .. }
            | CommandError::CannotRun { .. }
            | CommandError::TooShort { .. }
            | CommandError::HeldOpen { .. } => Exit::COMMAND,
            CommandError::Place { .. } => Exit::USAGE,
            CommandError::Start(_) | CommandError::Gone | CommandError::Changed => Exit::MACHINE,
            CommandError::Stopped => Exit::signal(15),
        }
    }

    fn advice(&self) -> Option<String> {
        let advice = match self {
            CommandError::Failed { .. } | CommandError::TooShort { .. } => {
                "nothing was sealed, and the last push that was stays; what the command said is above"
            }
            CommandError::HeldOpen { .. } => "let the command wait for all that it starts",
            CommandError::Place { .. } => {
                "set its `path` below a folder, or below what a symbolic link points to"
            }
            CommandError::Gone => "what it said is above",
            CommandError::Changed => "run push-client again",
            CommandError::CannotRun { .. } | CommandError::Start(_) | CommandError::Stopped => return None,
        };
        Some(advice.to_owned())
    }
}
