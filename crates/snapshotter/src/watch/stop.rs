//! The wish to end: SIGTERM, SIGINT. It is taken note of, and obeyed between two pushes.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGINT, SIGTERM};

/// Listens for signals.
#[derive(Debug)]
pub(crate) struct Stop {
    /// The handler writes a byte at its other end.
    told: UnixStream,
    is_asked: bool,
}

impl Stop {
    /// From now on these signals end nothing by themselves.
    pub(crate) fn new() -> io::Result<Self> {
        let (told, tells) = UnixStream::pair()?;
        told.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(SIGINT, tells.try_clone()?)?;
        signal_hook::low_level::pipe::register(SIGTERM, tells)?;
        Ok(Self { told, is_asked: false })
    }

    /// True from the first signal on.
    pub(crate) fn is_asked(&mut self) -> bool {
        self.is_asked = self.is_asked || matches!(self.told.read(&mut [0; 16]), Ok(1..));
        self.is_asked
    }

    /// Sleeps until there is a signal, an event, or the time is over.
    pub(crate) fn wait(&self, events: Option<BorrowedFd<'_>>, patience: Duration) {
        let mut on = vec![PollFd::from_borrowed_fd(self.told.as_fd(), PollFlags::IN)];
        on.extend(events.map(|events| PollFd::from_borrowed_fd(events, PollFlags::IN)));
        let time = Timespec::try_from(patience).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        // Interrupted, or refused for want of memory: the caller looks at everything and comes back.
        if poll(&mut on, Some(&time)).is_err_and(|error| error != rustix::io::Errno::INTR) {
            std::thread::sleep(Duration::from_secs(1).min(patience));
        }
    }
}
