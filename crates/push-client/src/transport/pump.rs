//! Carries bytes both ways between two descriptors and a channel, in one thread.
//!
//! libssh2 is not made for two: a thread that reads holds the session while it waits. So nothing here blocks but one poll, on
//! everything that could go on. After EAGAIN libssh2 must be given the very same bytes again; therefore a buffer is filled
//! only when it is empty, and never moved.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use ssh2::{BlockDirections, Channel, Session};

use super::alive::Alive;
use super::ending::{Ended, Ending};
use super::outward::timespec;
use super::patience::Patience;

/// Whole packets of libssh2 (32,700 bytes), so that none is cut short at the end of a buffer.
const OUT_BYTES: usize = 8 * 32_700;
const BACK_BYTES: usize = 32 * 1024;
/// A socket that takes nothing is looked at again after this long.
const SHORT: Duration = Duration::from_millis(100);

/// Bytes on their way in one direction.
struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    fn new(bytes: usize) -> Self {
        Self { bytes: vec![0; bytes], start: 0, end: 0 }
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    fn filled(&mut self, length: usize) {
        self.start = 0;
        self.end = length.min(self.bytes.len());
    }

    fn taken(&mut self, length: usize) {
        self.start = self.start.saturating_add(length).min(self.end);
    }
}

/// What the channel waits for on the socket.
#[derive(Debug, Clone, Copy, Default)]
struct Waits {
    to_read: bool,
    to_write: bool,
}

/// A channel and the two descriptors it is joined to.
pub(super) struct Pump {
    session: Session,
    channel: Channel,
    socket: OwnedFd,
    input: File,
    output: File,
    out: Buffer,
    back: Buffer,
    input_open: bool,
    end_sent: bool,
    server_done: bool,
    /// Of the socket, in either direction.
    last_progress: Instant,
    patience: Patience,
    alive: Alive,
}

impl Pump {
    /// Both descriptors must be non-blocking.
    pub(super) fn new(
        session: Session,
        channel: Channel,
        socket: OwnedFd,
        (input, output): (OwnedFd, OwnedFd),
        (patience, alive): (Patience, Alive),
    ) -> Self {
        Self {
            session,
            channel,
            socket,
            input: input.into(),
            output: output.into(),
            out: Buffer::new(OUT_BYTES),
            back: Buffer::new(BACK_BYTES),
            input_open: true,
            end_sent: false,
            server_done: false,
            last_progress: Instant::now(),
            patience,
            alive,
        }
    }

    /// Carries until the server's side has ended and all it said is passed on.
    pub(super) fn run(mut self) -> Result<(), Ended> {
        loop {
            let mut waits = Waits::default();
            let moved = self.fill()? | self.send(&mut waits)? | self.receive(&mut waits)? | self.pass_on()?;
            if self.server_done && self.back.is_empty() {
                return self.remote_end();
            }
            if !moved {
                self.wait(waits)?;
            }
        }
    }

    /// From the parent.
    fn fill(&mut self) -> Result<bool, Ended> {
        if !self.input_open || !self.out.is_empty() {
            return Ok(false);
        }
        match self.input.read(&mut self.out.bytes) {
            Err(error) if is_again(&error) => return Ok(false),
            Ok(length) if length > 0 => self.out.filled(length),
            // The end, or the parent is gone.
            Ok(_) | Err(_) => self.input_open = false,
        }
        // From now on the server owes us progress.
        self.last_progress = Instant::now();
        Ok(true)
    }

    /// To the server.
    fn send(&mut self, waits: &mut Waits) -> Result<bool, Ended> {
        let sent = if !self.out.is_empty() {
            self.write_out()
        } else if !self.input_open && !self.end_sent {
            self.channel.send_eof().map(|()| self.end_sent = true).map_err(io::Error::from)
        } else {
            return Ok(false);
        };
        match sent {
            Ok(()) => {
                self.last_progress = Instant::now();
                Ok(true)
            }
            Err(error) if is_again(&error) => {
                self.note(waits);
                Ok(false)
            }
            // The server has closed: what it said before is still to be read.
            Err(_) if self.channel.eof() => {
                self.out.filled(0);
                self.input_open = false;
                self.end_sent = true;
                Ok(true)
            }
            Err(error) => Err(Ended::new(Ending::Lost, error.to_string())),
        }
    }

    /// Packet after packet, as long as they go; an error counts only for the first.
    fn write_out(&mut self) -> io::Result<()> {
        let length = self.channel.write(self.out.rest())?;
        self.out.taken(length);
        while !self.out.is_empty() {
            match self.channel.write(self.out.rest()) {
                Ok(length) => self.out.taken(length),
                // Met again, and dealt with, at the next call: with the same bytes, as libssh2 wants it.
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// From the server.
    fn receive(&mut self, waits: &mut Waits) -> Result<bool, Ended> {
        if self.server_done || !self.back.is_empty() {
            return Ok(false);
        }
        match self.channel.read(&mut self.back.bytes) {
            Ok(0) if self.channel.eof() => {
                self.server_done = true;
                Ok(true)
            }
            Ok(0) => {
                waits.to_read = true;
                Ok(false)
            }
            Ok(length) => {
                self.back.filled(length);
                self.last_progress = Instant::now();
                Ok(true)
            }
            Err(error) if is_again(&error) => {
                self.note(waits);
                waits.to_read = true;
                Ok(false)
            }
            Err(error) => Err(Ended::new(Ending::Lost, error.to_string())),
        }
    }

    /// To the parent.
    fn pass_on(&mut self) -> Result<bool, Ended> {
        if self.back.is_empty() {
            return Ok(false);
        }
        match self.output.write(self.back.rest()) {
            Ok(length) => {
                self.back.taken(length);
                Ok(true)
            }
            Err(error) if is_again(&error) => Ok(false),
            Err(error) => Err(Ended::new(Ending::Handover, error.to_string())),
        }
    }

    fn note(&self, waits: &mut Waits) {
        let (read, write) = match self.session.block_directions() {
            BlockDirections::None => (true, false),
            BlockDirections::Inbound => (true, false),
            BlockDirections::Outbound => (false, true),
            BlockDirections::Both => (true, true),
        };
        waits.to_read |= read;
        waits.to_write |= write;
    }

    /// How long to wait: while the server owes us progress, not without end.
    fn left(&self) -> Result<Duration, Ended> {
        let left = match !self.out.is_empty() || !self.input_open {
            true => self.patience.left(self.last_progress),
            false => self.patience.of_session(),
        };
        left.map_err(|why| Ended::new(Ending::Stalled, why))
    }

    /// Waits until something can go on.
    fn wait(&mut self, waits: Waits) -> Result<(), Ended> {
        // Half of something may be under way only while the socket is waited for to take it; and while our parent does not listen,
        // nobody looks for an answer.
        let may_ask = self.out.is_empty() && self.back.is_empty() && !waits.to_write;
        if may_ask && takes_more(&self.socket) {
            self.alive.ask(&self.session)?;
        }
        let mut left = self.left()?;
        if let Some(due) = self.alive.due().filter(|_| may_ask) {
            left = left.min(due.max(SHORT));
        }
        let timeout = timespec(left);
        let mut socket = PollFlags::empty();
        socket.set(PollFlags::IN, waits.to_read);
        socket.set(PollFlags::OUT, waits.to_write);
        let mut fds = Vec::with_capacity(3);
        if !socket.is_empty() {
            fds.push(PollFd::new(&self.socket, socket));
        }
        if self.input_open && self.out.is_empty() {
            fds.push(PollFd::new(&self.input, PollFlags::IN));
        }
        if !self.back.is_empty() {
            fds.push(PollFd::new(&self.output, PollFlags::OUT));
        }
        let polled = poll(&mut fds, Some(&timeout));
        let heard = !socket.is_empty() && fds.first().is_some_and(|fd| fd.revents().contains(PollFlags::IN));
        if heard {
            self.alive.heard();
        }
        match polled {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(Ended::new(Ending::Lost, errno.to_string())),
        }
    }

    /// What became of the program on the server.
    fn remote_end(mut self) -> Result<(), Ended> {
        // Its status comes with, or just before, the end of the channel.
        self.session.set_blocking(true);
        self.session.set_timeout(1_000);
        let _ = self.channel.wait_close();
        match self.channel.exit_status() {
            Ok(0) | Err(_) => Ok(()),
            Ok(status) => Err(Ended::new(Ending::Remote, format!("it ended with status {status}"))),
        }
    }
}

/// A small packet then goes whole.
fn takes_more(socket: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(socket, PollFlags::OUT)];
    poll(&mut fds, Some(&timespec(Duration::ZERO))).is_ok_and(|ready| ready > 0)
}

fn is_again(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
