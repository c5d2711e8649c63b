//! How a command ended.

use std::fmt;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// By itself, with this status.
    Status(u8),
    /// By this signal.
    Signal(u8),
    /// It took too long, and was ended.
    TooLong,
    /// The push ended first, and it was ended.
    Stopped,
    /// It could not be started.
    NotStarted,
}

/// When a command is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are the documentation")]
pub enum Kind {
    Before,
    Dump,
    After,
}

/// A command that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Of which kind.
    pub kind: Kind,
    /// Its number among those of its kind, from 1.
    pub number: u8,
    /// How.
    pub how: How,
}

impl Kind {
    /// As in the settings.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Before => "before",
            Kind::Dump => "dump",
            Kind::After => "after",
        }
    }

    pub(super) fn number(self) -> u8 {
        match self {
            Kind::Before => 1,
            Kind::Dump => 2,
            Kind::After => 3,
        }
    }

    pub(super) fn of(number: u8) -> Option<Self> {
        [Kind::Before, Kind::Dump, Kind::After].into_iter().find(|kind| kind.number() == number)
    }
}

impl How {
    /// It did what it was asked to.
    pub fn is_good(self) -> bool {
        self == How::Status(0)
    }

    pub(super) fn encode(self) -> [u8; 2] {
        match self {
            How::Status(status) => [0, status],
            How::Signal(signal) => [1, signal],
            How::TooLong => [2, 0],
            How::Stopped => [3, 0],
            How::NotStarted => [4, 0],
        }
    }

    pub(super) fn decode(bytes: [u8; 2]) -> Option<Self> {
        match bytes {
            [0, status] => Some(How::Status(status)),
            [1, signal] => Some(How::Signal(signal)),
            [2, 0] => Some(How::TooLong),
            [3, 0] => Some(How::Stopped),
            [4, 0] => Some(How::NotStarted),
            _ => None,
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            How::Status(status) => write!(f, "ended with status {status}"),
            How::Signal(signal) => write!(f, "was ended by signal {signal}"),
            How::TooLong => f.write_str("took longer than its timeout_seconds, and was ended"),
            How::Stopped => f.write_str("was ended, as the push ended"),
            How::NotStarted => f.write_str("could not be started"),
        }
    }
}
