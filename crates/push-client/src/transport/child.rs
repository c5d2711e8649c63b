//! The child's life: take the handover, give everything up, be let in, carry bytes, say how it ended.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use rustix::io::ioctl_fionbio;
use sandbox::{Confinement, Landlock, Profile, limits};

use super::alive::Alive;
use super::ending::{Ended, Ending};
use super::handover::{Ends, Handover};
use super::login::login;
use super::patience::Patience;
use super::pump::Pump;

/// Memory is for libssh2's buffers and ours; a few megabytes are used.
const MEMORY_BYTES: u64 = 512 * 1024 * 1024;
const OPEN_FILES: u64 = 16;

/// The hidden verb `transport`.
pub fn transport() -> ExitCode {
    let ended = match carry() {
        Ok(()) => Ended::new(Ending::Done, ""),
        Err(ended) => ended,
    };
    if !ended.words.is_empty() {
        // The parent may be gone.
        let _ = writeln!(io::stderr(), "{}", ended.words);
    }
    ended.ending.code().into()
}

fn carry() -> Result<(), Ended> {
    let handed = |error: io::Error| Ended::new(Ending::Handover, error.to_string());
    let output = io::stdout().as_fd().try_clone_to_owned().map_err(handed)?;
    let (handover, Ends { socket, input }) = received()?;
    let watched = socket.try_clone().map_err(handed)?;
    for fd in [&input, &output] {
        ioctl_fionbio(fd, true).map_err(|errno| handed(errno.into()))?;
    }
    // Its tables are set up before files are out of reach.
    let session = ssh2::Session::new().map_err(|error| Ended::new(Ending::Agreement, error.to_string()))?;
    confine()?;
    let channel = login(&handover, session.clone(), socket)?;
    let patience = Patience::new(handover.idle_seconds, handover.session_seconds);
    let alive = Alive::new(&session, handover.keepalive_seconds);
    Pump::new(session, channel, watched, (input, output), (patience, alive)).run()
}

/// What the parent hands over on standard input.
pub(super) fn received() -> Result<(Handover, Ends<OwnedFd>), Ended> {
    let handed = |error: io::Error| Ended::new(Ending::Handover, error.to_string());
    let over = io::stdin().as_fd().try_clone_to_owned().map_err(handed)?;
    Handover::receive(&mut UnixStream::from(over)).map_err(handed)
}

/// No file, no capability, no new socket, no other process: from before the first byte of the server is read.
pub(super) fn confine() -> Result<(), Ended> {
    let confined = limits::die_with_parent()
        .and_then(|()| limits::limit_core_zero())
        .and_then(|()| limits::limit_memory(MEMORY_BYTES))
        .and_then(|()| limits::limit_open_files(OPEN_FILES))
        .and_then(|()| limits::limit_file_size(0))
        // The filter of system calls has no way to open a file either, so an older kernel will do.
        .and_then(|()| Confinement::new(Profile::Transport).landlock(Landlock::IfAvailable).apply());
    match confined {
        Ok(_report) => Ok(()),
        Err(error) => Err(Ended::new(Ending::Confinement, cli::chain(&error))),
    }
}
