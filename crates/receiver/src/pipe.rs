//! Bytes in and out on standard input and output, never blocking for longer than allowed.

use std::io::{Stdin, Stdout};
use std::os::fd::AsFd;
use std::time::Instant;

use formats::session::Code;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, read, write};
use rustix::pipe::fcntl_setpipe_size;

use crate::fault::{Result, Stop};

/// The largest pipe that needs no privilege: fewer and larger reads.
const PIPE_BYTES: usize = 1 << 20;

/// What reading came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// That many bytes.
    Bytes(usize),
    /// Nothing now.
    Silence,
    /// Nothing ever again.
    End,
}

/// Both ends of the talk with a host.
#[derive(Debug)]
pub(crate) struct Pipe {
    from: Stdin,
    to: Stdout,
}

impl Pipe {
    /// Standard input and output, from now on without blocking.
    pub(crate) fn new() -> Result<Self> {
        let pipe = Self { from: std::io::stdin(), to: std::io::stdout() };
        for end in [pipe.from.as_fd(), pipe.to.as_fd()] {
            let flags = fcntl_getfl(end).map_err(Stop::at("use standard input and output"))?;
            fcntl_setfl(end, flags | OFlags::NONBLOCK).map_err(Stop::at("use standard input and output"))?;
        }
        // Only a pipe has a size, and a user has only so many large ones: any size will do.
        let _ = fcntl_setpipe_size(&pipe.from, PIPE_BYTES);
        Ok(pipe)
    }

    /// What is there now.
    pub(crate) fn read(&self, to: &mut [u8]) -> Result<Heard> {
        loop {
            return match read(&self.from, &mut *to) {
                Ok(0) => Ok(Heard::End),
                Ok(count) => Ok(Heard::Bytes(count)),
                Err(Errno::AGAIN) => Ok(Heard::Silence),
                Err(Errno::INTR) => continue,
                Err(_) => Ok(Heard::End),
            };
        }
    }

    /// Waits until there is something to read; false if there was nothing until then.
    pub(crate) fn wait(&self, until: Instant) -> Result<bool> {
        ready(&self.from, PollFlags::IN, until).map(|found| !found.is_empty())
    }

    /// Waits, and tells at once if nobody listens any more.
    pub(crate) fn listened_to(&self, until: Instant) -> Result<bool> {
        ready(&self.to, PollFlags::empty(), until).map(|found| found.is_empty())
    }

    /// Says all of it. A host that has not taken it by then is too slow.
    pub(crate) fn say(&self, mut bytes: &[u8], until: Instant) -> Result<()> {
        while !bytes.is_empty() {
            match write(&self.to, bytes) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    if ready(&self.to, PollFlags::OUT, until)?.is_empty() {
                        return Err(Stop::refused(Code::TooSlow));
                    }
                }
                Err(_) => return Err(Stop::Gone),
            }
        }
        Ok(())
    }
}

/// What happened on a descriptor until then.
fn ready(fd: &impl AsFd, events: PollFlags, until: Instant) -> Result<PollFlags> {
    let mut polled = [PollFd::new(fd, events)];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(|_| Stop::Gone)?;
        match poll(&mut polled, Some(&timeout)) {
            Ok(_) => return Ok(polled.iter().fold(PollFlags::empty(), |all, one| all | one.revents())),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(Stop::at("wait for the host")(errno)),
        }
    }
}
