//! Why a push did not end in a verdict of accepted.

use std::time::Duration;

use formats::manifest::ManifestError;
use formats::session::Code;
use formats::{HostId, Root};
use wire::client::WireError;

use cli::{Exit, Failure};

use super::packer::SenderGone;
use crate::commands::CommandError;
use crate::state::{BaseError, StateError};
use crate::transport::TransportError;

/// Why a push did not end in a verdict of accepted.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The server said no.
    #[error("the server refused: {code}")]
    Refused {
        /// Why.
        code: Code,
        /// When a new try makes sense; 0 for not.
        retry_seconds: u32,
    },
    /// The push was judged, and is not in the history.
    #[error("the server rejected the push: {code}")]
    Rejected {
        /// Why.
        code: Code,
    },
    /// What the server said cannot be believed.
    #[error("failed to understand the server")]
    Wire(#[from] WireError),
    /// A message that does not belong here.
    #[error("the server answered out of turn")]
    OutOfTurn,
    /// The jail belongs to another host.
    #[error("the server's jail is that of {theirs}, and this host is {ours}")]
    WrongHost {
        /// Whose jail it is.
        theirs: HostId,
        /// Who we are.
        ours: HostId,
    },
    /// The server owes an answer.
    #[error("the server said nothing for {} seconds while {waiting_for}", .waited.as_secs())]
    Silent {
        /// What was waited for.
        waiting_for: &'static str,
        /// How long.
        waited: Duration,
    },
    /// The connection is gone.
    #[error("connection to the server")]
    Transport(#[from] TransportError),
    /// The stream ended, and nobody says why.
    #[error("the connection ended while {during}")]
    Ended {
        /// What was going on.
        during: &'static str,
    },
    /// The sending thread has ended; its own error tells why.
    #[error("the sender ended early")]
    SenderGone,
    /// The walking thread has ended before the walk; it has said why.
    #[error("the walk ended early")]
    WalkGone,
    /// This machine refused something that a push needs.
    #[error("{doing}")]
    Machine {
        /// What.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The state folder.
    #[error("failed to use the client's state")]
    State(#[from] StateError),
    /// What was said to be accepted is nothing that this host has sent, as far as it remembers.
    #[error("no push with the root {root} waits here for its verdict")]
    Unremembered {
        /// The root.
        root: Root,
    },
    /// Commands of the settings.
    #[error("commands of the settings")]
    Command(#[from] CommandError),
    /// The base's files changed under us.
    #[error("failed to read the remembered base")]
    Base(#[source] BaseError),
    /// The walk made a list that is no manifest: a mistake in Firn.
    #[error("failed to list this host")]
    Manifest(#[from] ManifestError),
    /// A frame of ours breaks its own format: a mistake in Firn.
    #[error("failed to make a frame")]
    Frame(#[from] formats::cursor::Malformed),
}

impl Failure for PushError {
    fn exit(&self) -> Exit {
        match self {
            PushError::Refused { code, .. } | PushError::Rejected { code } => Exit::of(code.exit_code()),
            PushError::Wire(_) | PushError::OutOfTurn => Exit::PROTOCOL,
            PushError::WrongHost { .. } => Exit::WRONG_HOST,
            PushError::Unremembered { .. } => Exit::USAGE,
            PushError::Silent { .. } | PushError::Ended { .. } => Exit::NO_CONNECTION,
            PushError::Transport(error) => error.exit(),
            PushError::State(error) => error.exit(),
            PushError::Command(error) => error.exit(),
            PushError::Machine { .. } | PushError::Base(_) => Exit::MACHINE,
            PushError::SenderGone | PushError::WalkGone | PushError::Manifest(_) | PushError::Frame(_) => {
                Exit::BUG
            }
        }
    }

    fn advice(&self) -> Option<String> {
        match self {
            PushError::Refused { code, retry_seconds } => refused(*code, *retry_seconds),
            PushError::Rejected { code: Code::UnknownBase } => {
                Some("run push-client again: the next push will be whole".to_owned())
            }
            PushError::Rejected { .. } => {
                Some("look at the log of this host on the server: snapshotter list".to_owned())
            }
            PushError::Wire(_) | PushError::OutOfTurn => Some(
                "what answered is no Firn receiver, or one of another version; look at the account's login shell".to_owned(),
            ),
            PushError::WrongHost { .. } => {
                Some("set `host` and `server.account` so that they belong together".to_owned())
            }
            PushError::Silent { .. } | PushError::Ended { .. } => {
                Some("run push-client again: it goes on where it was cut".to_owned())
            }
            PushError::Unremembered { .. } => Some(
                "leave --accepted out: the file will hold all that has no other base".to_owned(),
            ),
            PushError::Transport(error) => error.advice(),
            PushError::State(error) => error.advice(),
            PushError::Command(error) => error.advice(),
            _ => None,
        }
    }
}

fn refused(code: Code, retry_seconds: u32) -> Option<String> {
    let advice = match code {
        Code::Busy => {
            "another push of this host is under way, too many wait to be judged, or the server has enough to do"
        }
        Code::OutOfHours => {
            "push in the hours that the server has for this host; if it cannot wait, push-client run --emergency"
        }
        Code::TooSoon => {
            "the server wants more time between pushes; if it cannot wait, push-client run --emergency"
        }
        Code::NoBudget => "raise history_bytes of this host on the server: nothing of its history is removed",
        Code::NoRoom => "make room on the server",
        Code::TooLarge => "raise push_bytes in the server's settings, or push less",
        Code::TooSlow => "run push-client again: it goes on where it was cut",
        Code::NotReady => "on the server, run: snapshotter host add; then snapshotter ingest",
        Code::Protocol => "use the same version of Firn on both sides",
        Code::WrongHost => "set `host` and `server.account` so that they belong together",
        _ => "look at the server's log",
    };
    Some(match retry_seconds {
        0 => advice.to_owned(),
        seconds => format!("{advice}; try again in {seconds} seconds"),
    })
}

impl From<SenderGone> for PushError {
    fn from(SenderGone: SenderGone) -> Self {
        PushError::SenderGone
    }
}
