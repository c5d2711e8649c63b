//! Why a server cannot be reached.

use std::io;

use cli::{Exit, Failure};

use super::ending::Ending;
use crate::openssh::KeyError;

/// Why a server cannot be reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The key file cannot be used.
    #[error("read the key")]
    Key(#[from] KeyError),
    /// The name has no address.
    #[error("look up {address}")]
    Name {
        /// The name.
        address: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// Nobody answered.
    #[error("connect to {address} port {port}")]
    Connect {
        /// Name or number.
        address: String,
        /// TCP port.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// None is named in the settings.
    #[error("no key file is named in the settings")]
    NoKey,
    /// A file of ssh's settings cannot be used.
    #[error("{path}: {what}")]
    Config {
        /// The file.
        path: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The pinned host key could not be written for ssh.
    #[error("write the pinned host key to the state folder")]
    Pin(#[source] io::Error),
    /// The child could not be started.
    #[error("start the transport")]
    Start(#[source] io::Error),
    /// The child gave up.
    #[error("{}: {words}", what(*.ending))]
    Ended {
        /// Why, as a code.
        ending: EndingCode,
        /// Why, in its words.
        words: String,
    },
    /// The system's ssh, which nobody asked for, does not do here.
    #[error("{}: {words}", what(*.ending))]
    Unfit {
        /// Why, as a code.
        ending: EndingCode,
        /// Why, in its words.
        words: String,
    },
    /// The child was killed, or is no transport.
    #[error("the transport ended without a reason: {words}")]
    Died {
        /// What is known.
        words: String,
    },
}

/// How a child ended; opaque outside of this module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndingCode(pub(super) Ending);

fn what(ending: EndingCode) -> &'static str {
    match ending.0 {
        Ending::Done => "the connection ended",
        Ending::Handover => "the transport was not told what to do",
        Ending::Confinement => "the transport could not confine itself",
        Ending::Agreement => "no agreement with the server on how to talk",
        Ending::HostKey => "the server's host key is not the pinned one; nothing was sent",
        Ending::Login => "the server does not let us in",
        Ending::Channel => "the server opened no channel",
        Ending::Lost => "the connection was lost",
        Ending::Stalled => "the server was too slow",
        Ending::Remote => "the program on the server failed",
        Ending::Unreachable => "the server cannot be reached",
        Ending::Between => "what ssh goes through to the server failed",
        Ending::Asked => "ssh does not take what it was told",
        Ending::Disk => "the push file cannot be written",
    }
}

impl TransportError {
    /// The server showed another key than the pinned one.
    pub fn is_host_key(&self) -> bool {
        matches!(self, TransportError::Ended { ending: EndingCode(Ending::HostKey), .. })
    }
}

impl Failure for TransportError {
    fn exit(&self) -> Exit {
        match self {
            TransportError::Key(error) => error.exit(),
            TransportError::NoKey | TransportError::Config { .. } => Exit::USAGE,
            TransportError::Start(_) | TransportError::Pin(_) => Exit::MACHINE,
            TransportError::Ended { ending, .. } | TransportError::Unfit { ending, .. } => match ending.0 {
                Ending::Confinement | Ending::Disk => Exit::MACHINE,
                Ending::Asked => Exit::USAGE,
                _ => Exit::NO_CONNECTION,
            },
            _ => Exit::NO_CONNECTION,
        }
    }

    fn advice(&self) -> Option<String> {
        let advice = match self {
            TransportError::Key(error) => return error.advice(),
            TransportError::Name { .. } => "look at `server.address`, and at this machine's name service",
            TransportError::Connect { source, .. } => match source.kind() {
                io::ErrorKind::ConnectionRefused => {
                    "nothing listens there: is sshd running, and `server.port` right?"
                }
                io::ErrorKind::TimedOut => "no answer: is the server up, and does a firewall let us through?",
                _ => "look at `server.address` and `server.port`",
            },
            TransportError::Ended { ending, .. } => match ending.0 {
                Ending::HostKey => {
                    "if the server really has a new key, ask its administrator for it, and set `server.host_key`; if not, somebody stands between"
                }
                Ending::Login => {
                    "give the public key (ssh-keygen -y -f KEY) to the server: snapshotter host add HOST --key FILE; and look at `server.account`"
                }
                Ending::Agreement => {
                    "the server needs an ed25519 host key, and one of the ciphers in `server.ciphers`; is it sshd that listens there?"
                }
                Ending::Remote => {
                    "look at the server's log; the account's login shell there must be Firn's receiver"
                }
                Ending::Lost | Ending::Stalled | Ending::Done | Ending::Channel => {
                    "run push-client again: it goes on where it was cut"
                }
                Ending::Unreachable => {
                    "look at `server.address` and `server.port`: is sshd running there, and does a firewall let us through?"
                }
                Ending::Between => {
                    "look at ProxyJump and ProxyCommand in the file that `server.ssh.config` names"
                }
                Ending::Asked => {
                    "look at `[server.ssh]`, `server.ciphers`, and the file that `server.ssh.config` names"
                }
                Ending::Disk => {
                    "name a new file in a folder of the user that runs push-client, with room for it"
                }
                Ending::Handover | Ending::Confinement => return None,
            },
            TransportError::Unfit { .. } => {
                "set transport = \"ssh2\" in [server] to do without the ssh of this machine; or look at `server.ciphers`"
            }
            TransportError::NoKey => "set `server.key`",
            TransportError::Config { .. } => {
                "make it a file that only root, or the user that runs push-client, can change"
            }
            TransportError::Start(_) | TransportError::Pin(_) | TransportError::Died { .. } => return None,
        };
        Some(advice.to_owned())
    }
}
