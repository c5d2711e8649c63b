//! How a transport child ends: a code for its parent, and one line of words on its standard error.

/// Why a transport child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Both sides closed in good order.
    Done,
    /// The handover from the parent was not there or not whole.
    Handover,
    /// It could not confine itself, and did nothing.
    Confinement,
    /// No agreement on keys and ciphers, or the connection was lost while looking for one.
    Agreement,
    /// The server showed another host key than the pinned one. Nothing secret was sent.
    HostKey,
    /// The server does not take our key for this account.
    Login,
    /// The server opened no channel.
    Channel,
    /// The connection was lost.
    Lost,
    /// The server took nothing for too long.
    Stalled,
    /// The program on the server ended with a failure of its own.
    Remote,
    /// Nobody answers at that address.
    Unreachable,
    /// Another program between us and the server failed.
    Between,
    /// The system's ssh does not take what it was told.
    Asked,
    /// The push file could not be written.
    Disk,
}

impl Ending {
    const ALL: [Ending; 14] = [
        Ending::Done,
        Ending::Handover,
        Ending::Confinement,
        Ending::Agreement,
        Ending::HostKey,
        Ending::Login,
        Ending::Channel,
        Ending::Lost,
        Ending::Stalled,
        Ending::Remote,
        Ending::Unreachable,
        Ending::Between,
        Ending::Asked,
        Ending::Disk,
    ];

    /// The exit code between child and parent; nobody else sees it.
    pub(super) fn code(self) -> u8 {
        match self {
            Ending::Done => 0,
            Ending::Handover => 60,
            Ending::Confinement => 61,
            Ending::Agreement => 62,
            Ending::HostKey => 63,
            Ending::Login => 64,
            Ending::Channel => 65,
            Ending::Lost => 66,
            Ending::Stalled => 67,
            Ending::Remote => 68,
            Ending::Unreachable => 69,
            Ending::Between => 70,
            Ending::Asked => 71,
            Ending::Disk => 72,
        }
    }

    /// It has nothing to do with the server: another carrier may do better.
    pub(super) fn is_of_the_carrier(self) -> bool {
        matches!(self, Ending::Handover | Ending::Confinement | Ending::Asked)
    }

    pub(super) fn of_code(code: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| i32::from(ending.code()) == code)
    }
}

/// A child's end with its words.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) ending: Ending,
    pub(super) words: String,
}

impl Ended {
    pub(super) fn new(ending: Ending, words: impl Into<String>) -> Self {
        Self { ending, words: words.into() }
    }
}
