//! Why a push was refused or rejected: number, exit code and fixed words of each reason.

use crate::cursor::{Malformed, malformed};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, exit $exit:literal, $text:literal;)*) => {
        /// Why a push was refused (by the receiver) or rejected (by the snapshotter).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// All codes, for tables and tests.
            pub const ALL: &'static [Code] = &[$(Code::$name),*];

            /// The number in messages and records.
            pub const fn number(self) -> u16 {
                match self { $(Code::$name => $number,)* }
            }

            /// The exit code push-client ends with.
            pub const fn exit_code(self) -> u8 {
                match self { $(Code::$name => $exit,)* }
            }

            /// The fixed words for it.
            pub const fn text(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// The code with that number.
            pub fn from_number(number: u16) -> Result<Self, Malformed> {
                match number { $($number => Ok(Code::$name),)* _ => malformed("code") }
            }
        }
    };
}

codes! {
    /// Another session of this jail lives, too many pushes are queued, or the server has as many sessions as it bears.
    Busy = 1, exit 10, "busy";
    /// The server has no space for this push.
    NoRoom = 2, exit 11, "no room on the server";
    /// Over the limit of one push.
    TooLarge = 3, exit 12, "push too large";
    /// The session's deadline has passed.
    TooSlow = 4, exit 13, "session too slow";
    /// The jail has no published state yet.
    NotReady = 5, exit 14, "jail not ready";
    /// A message out of order or malformed, or of another version.
    Protocol = 6, exit 15, "protocol violated";
    /// An error on the server's side.
    ServerFault = 7, exit 16, "fault on the server";
    /// The header names another host than the jail.
    WrongHost = 8, exit 17, "wrong host";
    /// The host may not push at this hour.
    OutOfHours = 9, exit 10, "outside the hours of this host";
    /// The host pushed too short a time ago.
    TooSoon = 10, exit 10, "too soon after the last push";
    /// The history of this host may not grow.
    NoBudget = 11, exit 11, "history budget of this host used up";
    /// Frame counts or hashes do not match the seal.
    BrokenFrames = 20, exit 20, "frames do not match the seal";
    /// The push file breaks a rule of its format.
    MalformedPush = 21, exit 21, "malformed push";
    /// A content does not have the hash that closes it.
    ContentHash = 22, exit 22, "content does not have its hash";
    /// An entry refers to a content neither in the push nor in its base.
    MissingContent = 23, exit 23, "content neither in the push nor in its base";
    /// The base is not in the history.
    UnknownBase = 24, exit 24, "base not in the history";
    /// The result does not have the sealed root or number of entries.
    WrongRoot = 25, exit 25, "result does not have the sealed root";
    /// It expands beyond the limits.
    OverBudget = 26, exit 26, "over the limits of this host";
    /// Another push came under the id of one that was judged before.
    Replayed = 27, exit 27, "push id judged before";
}

impl Code {
    /// As a client of this minor version knows it: with the same exit code.
    #[must_use]
    pub const fn known_to(self, minor: u16) -> Self {
        match self {
            Code::OutOfHours | Code::TooSoon if minor == 0 => Code::Busy,
            Code::NoBudget if minor == 0 => Code::NoRoom,
            code => code,
        }
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}
