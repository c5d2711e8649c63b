//! The passphrase of a secret key: from a file, or from the person at the terminal. It is in no argument, variable, log or report.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use cli::{Exit, Failure, Monitor, shown};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use sequoia_openpgp::crypto::Password;
use sequoia_openpgp::crypto::mem::Protected;

/// Longest passphrase.
const PASSPHRASE_BYTES_MAX: usize = 4096;

/// Why there is no passphrase.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PassphraseError {
    #[error("{}: failed to read the passphrase", shown(.path.as_os_str().as_encoded_bytes()))]
    File { path: PathBuf, source: io::Error },
    #[error("the key has a passphrase, and there is no terminal to ask for it")]
    NoTerminal(#[source] io::Error),
    #[error("the passphrase is longer than {PASSPHRASE_BYTES_MAX} bytes")]
    TooLong,
}

impl Failure for PassphraseError {
    fn exit(&self) -> Exit {
        match self {
            PassphraseError::File { .. } | PassphraseError::TooLong => Exit::USAGE,
            PassphraseError::NoTerminal(_) => Exit::WRONG_KEY,
        }
    }

    fn advice(&self) -> Option<String> {
        match self {
            PassphraseError::NoTerminal(_) => Some("name a file with --passphrase-file".to_owned()),
            _ => None,
        }
    }
}

/// The first line of `path`. Warns if others may read the file.
pub(crate) fn from_file(path: &Path, monitor: &dyn Monitor) -> Result<Password, PassphraseError> {
    let failed = |source| PassphraseError::File { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.mode() & 0o077 != 0 {
        let name = shown(path.as_os_str().as_encoded_bytes());
        monitor.warn(&format!("{name}: others on this machine may read this passphrase"));
    }
    first_line(&mut file, failed)
}

/// What the person at the terminal types, without showing it.
pub(crate) fn from_terminal(key: &str) -> Result<Password, PassphraseError> {
    let opened = File::options().read(true).write(true).open("/dev/tty");
    let mut terminal = opened.map_err(PassphraseError::NoTerminal)?;
    write!(terminal, "passphrase of {key}: ").map_err(PassphraseError::NoTerminal)?;
    let quiet = Quiet::begin(terminal.try_clone().map_err(PassphraseError::NoTerminal)?)?;
    let passphrase = first_line(&mut terminal, PassphraseError::NoTerminal);
    drop(quiet);
    // The typed line end was not shown either.
    let _ = writeln!(terminal);
    passphrase
}

/// Reads bytes into memory that is wiped when it is given back.
fn first_line(
    from: &mut impl Read,
    failed: impl Fn(io::Error) -> PassphraseError,
) -> Result<Password, PassphraseError> {
    let mut line = Protected::new(PASSPHRASE_BYTES_MAX + 1);
    let mut length = 0;
    while let Some(room) = line.get_mut(length..).filter(|room| !room.is_empty()) {
        let read = match from.read(room) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        length += read;
        if read == 0 || line.get(..length).is_some_and(|bytes| bytes.contains(&b'\n')) {
            break;
        }
    }
    let read = line.get(..length).unwrap_or_default();
    let first = read.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let first = first.strip_suffix(b"\r").unwrap_or(first);
    if first.len() > PASSPHRASE_BYTES_MAX { Err(PassphraseError::TooLong) } else { Ok(Password::from(first)) }
}

/// A terminal that does not show what is typed, until this is dropped.
struct Quiet {
    terminal: File,
    before: Termios,
}

impl Quiet {
    fn begin(terminal: File) -> Result<Quiet, PassphraseError> {
        let failed = |errno: rustix::io::Errno| PassphraseError::NoTerminal(errno.into());
        let before = tcgetattr(&terminal).map_err(failed)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Flush, &quiet).map_err(failed)?;
        Ok(Quiet { terminal, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // Nobody to tell if the terminal is gone.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}
