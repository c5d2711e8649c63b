//! The one table of exit codes. `docs/exit-codes.md` lists the same codes; a test holds the two together.

use std::fmt;

/// What a program tells the one that started it. Only codes of [`TABLE`] and 128+n can be made; an unknown code means failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Exit(u8);

/// The ranges of codes, so that a script can tell what kind of trouble it met without knowing each code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// 0: all that was asked is done.
    Whole,
    /// 1 to 9: this machine, this program, its settings or its command line.
    Here,
    /// 10 to 19: the other side refused, has not answered yet, or was not reached.
    Refused,
    /// 20 to 29: something is not what its hash, its seal or its format says.
    Integrity,
    /// 30 to 39: sealing, storing or locking ice.
    ColdStorage,
    /// 40 to 49: proving or restoring ice.
    Drill,
    /// 129 to 192: ended by a signal.
    Signal,
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The code.
    pub exit: Exit,
    /// Its name, unique in the table.
    pub word: &'static str,
    /// What it means, as a sentence.
    pub meaning: &'static str,
}

macro_rules! table {
    ($(#[doc = $meaning:literal] $name:ident = $code:literal, $word:literal;)*) => {
        impl Exit {
            $(#[doc = $meaning] pub const $name: Exit = Exit($code);)*
        }
        /// Every code below 128, ascending.
        pub const TABLE: &[Row] = &[$(Row { exit: Exit($code), word: $word, meaning: $meaning.trim_ascii() },)*];
    };
}

table! {
    /// All that was asked is done; a push is accepted.
    WHOLE = 0, "whole";
    /// A mistake in Firn itself.
    BUG = 1, "bug";
    /// The command line or the settings are wrong.
    USAGE = 2, "usage";
    /// Finished, but something was left out; each is named.
    LEFT_OUT = 3, "left out";
    /// This machine failed: a local file or folder could not be read or written, or a needed feature of the system is missing.
    MACHINE = 4, "machine";
    /// Something is late or missing; each is named.
    OVERDUE = 5, "overdue";
    /// A requirement does not hold; each is named.
    AUDIT_FAILED = 6, "audit failed";
    /// A command that the settings name failed, took too long or gave too little; nothing was sealed.
    COMMAND = 7, "command failed";
    /// Not now: another session of this jail lives, too many pushes are queued, the server has enough sessions, or it is not this host's time.
    BUSY = 10, "busy";
    /// The server has no space for this push, or the host's history is at its budget.
    NO_ROOM = 11, "no room";
    /// The push is over the server's limit of bytes or frames.
    TOO_LARGE = 12, "too large";
    /// The session's deadline has passed, or it crept.
    TOO_SLOW = 13, "too slow";
    /// The jail has no published state yet.
    NOT_READY = 14, "not ready";
    /// A message was out of order, malformed or of another version.
    PROTOCOL = 15, "protocol";
    /// An error on the server's side; nothing sealed is lost.
    SERVER_FAULT = 16, "server fault";
    /// The push names another host than the jail's.
    WRONG_HOST = 17, "wrong host";
    /// The push is sealed on the server, and its verdict is still pending.
    PENDING = 18, "pending";
    /// The connection failed, or the server's host key is not the pinned one.
    NO_CONNECTION = 19, "no connection";
    /// Frame counts or hashes do not match the seal.
    BROKEN_FRAMES = 20, "broken frames";
    /// A push file breaks a rule of its format.
    MALFORMED = 21, "malformed";
    /// A content does not have the hash that closes it.
    CONTENT_HASH = 22, "content hash";
    /// An entry refers to a content neither in the push nor in its base.
    MISSING_CONTENT = 23, "missing content";
    /// The base is not in the history; the next push will be whole.
    UNKNOWN_BASE = 24, "unknown base";
    /// The resulting manifest does not have the sealed root or number of entries.
    WRONG_ROOT = 25, "wrong root";
    /// The push expands beyond the limits for its host.
    OVER_BUDGET = 26, "over budget";
    /// Another push came under the id of one that was judged before.
    REPLAYED = 27, "replayed";
    /// A local file fails its own check, or is of a version this program cannot read.
    DAMAGED = 28, "damaged";
    /// A snapshot is not what its manifest or the log says.
    SNAPSHOT_DIFFERS = 29, "snapshot differs";
    /// The vault cannot be reached or used.
    VAULT_UNREACHABLE = 30, "vault unreachable";
    /// An object that should lie in the vault is missing.
    OBJECT_MISSING = 31, "object missing";
    /// A retention lock is missing, shorter than asked, was refused, or can be broken.
    LOCK_MISSING = 32, "lock missing";
    /// A recipient's certificate cannot be used: expired, revoked, without an encryption key, secret, or not the pinned one.
    CERTIFICATE = 33, "certificate";
    /// There is no room to stage the image.
    NO_STAGING = 34, "no staging";
    /// The ice is archived, and must be thawed before it can be read.
    FROZEN = 35, "frozen";
    /// The provider of a vault refused the credentials, or what they may do.
    VAULT_DENIED = 36, "vault denied";
    /// A vault holds other bytes than were put there.
    ALTERED = 37, "altered";
    /// What a run is about to put would bring the month above the budget.
    TOO_COSTLY = 38, "too costly";
    /// The secret key or its passphrase is the wrong one.
    WRONG_KEY = 40, "wrong key";
    /// The restored image differs from its manifest.
    IMAGE_DIFFERS = 41, "image differs";
    /// Decryption failed: the ciphertext is damaged or cut short.
    DECRYPTION = 42, "decryption failed";
    /// There is nothing to verify or restore under that name.
    NOTHING = 43, "nothing to verify";
    /// The catalogue of an ice is not signed by a server that the settings name, or does not fit its record.
    UNSIGNED = 44, "unsigned";
}

impl Exit {
    /// The exit for a code that crossed a wire or a pipe. A code outside the table is a [`Exit::BUG`].
    #[must_use]
    pub fn of(code: u8) -> Exit {
        let known = TABLE.iter().any(|row| row.exit.0 == code) || (129..=192).contains(&code);
        if known { Exit(code) } else { Exit::BUG }
    }

    /// Ended by signal `number`: 128+n.
    #[must_use]
    pub fn signal(number: u8) -> Exit {
        if (1..=64).contains(&number) { Exit(128 + number) } else { Exit::BUG }
    }

    /// The number itself.
    #[must_use]
    pub fn code(self) -> u8 {
        self.0
    }

    /// The range the code lies in.
    #[must_use]
    pub fn class(self) -> Class {
        match self.0 {
            0 => Class::Whole,
            10..=19 => Class::Refused,
            20..=29 => Class::Integrity,
            30..=39 => Class::ColdStorage,
            40..=49 => Class::Drill,
            129..=192 => Class::Signal,
            _ => Class::Here,
        }
    }

    /// Its name in the table.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.row().map_or("signal", |row| row.word)
    }

    /// Its meaning in the table.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        self.row().map_or("Ended by a signal.", |row| row.meaning)
    }

    fn row(self) -> Option<&'static Row> {
        TABLE.iter().find(|row| row.exit == self)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0, self.word())
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn the_document_lists_exactly_the_codes_of_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/exit-codes.md");
        let document = std::fs::read_to_string(path).unwrap();
        let mut listed = BTreeMap::new();
        let table = document.split("\n## ").next().unwrap();
        for line in table.lines() {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let Some(code) = cells.get(1).and_then(|cell| cell.parse::<u8>().ok()) else { continue };
            let row = (cells[2].to_owned(), cells[3].to_owned());
            assert!(listed.insert(code, row).is_none(), "{code} is listed twice");
        }
        let known =
            TABLE.iter().map(|row| (row.exit.0, (row.word.to_owned(), row.meaning.to_owned()))).collect();
        assert_eq!(listed, known);
    }

    #[test]
    fn every_code_a_server_can_send_is_in_the_table() {
        use formats::session::Code;
        let sent: BTreeSet<u8> = Code::ALL.iter().map(|code| code.exit_code()).collect();
        let known: BTreeSet<u8> = TABLE.iter().map(|row| row.exit.0).collect();
        assert_eq!(sent.difference(&known).collect::<Vec<_>>(), Vec::<&u8>::new());
        assert_eq!(sent, (10..=17).chain(20..=27).collect());
    }

    #[test]
    fn codes_ascend_and_words_are_unique() {
        assert!(TABLE.windows(2).all(|pair| pair[0].exit < pair[1].exit));
        let words: BTreeSet<_> = TABLE.iter().map(|row| row.word).collect();
        assert_eq!(words.len(), TABLE.len());
    }

    #[test]
    fn a_code_outside_the_table_is_a_bug_and_never_a_success() {
        for code in 0..=u8::MAX {
            let exit = Exit::of(code);
            assert!(exit.code() == code || exit == Exit::BUG, "{code}");
            assert_eq!(exit.class() == Class::Whole, code == 0);
        }
        assert_eq!(Exit::of(9), Exit::BUG);
        assert_eq!(Exit::signal(9).code(), 137);
        assert_eq!(Exit::signal(0), Exit::BUG);
    }

    #[test]
    fn every_code_lies_in_the_range_of_its_class() {
        let first = |class| TABLE.iter().find(|row| row.exit.class() == class).map(|row| row.exit.code());
        assert_eq!(first(Class::Here), Some(1));
        assert_eq!(first(Class::Refused), Some(10));
        assert_eq!(first(Class::Integrity), Some(20));
        assert_eq!(first(Class::ColdStorage), Some(30));
        assert_eq!(first(Class::Drill), Some(40));
        assert_eq!(Exit::signal(15).class(), Class::Signal);
    }
}
