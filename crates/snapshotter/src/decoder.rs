//! The decoder as its parent sees it: a child to be started, heard, waited for, and not believed.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use formats::session::Code;
use rustix::event::{PollFd, PollFlags, Timespec};

use crate::account::this_program;
use crate::args::Budget;
use crate::decode::event::{EventReader, Heard};

/// What the pipe holds, so that both ends can work at the same time.
const PIPE_BYTES: usize = 1 << 20;
/// How much is read at a time.
const READ_BYTES: usize = 256 * 1024;
/// Longest time without a word: the decoder only reads a local file and computes.
const SILENCE_MAX: Duration = Duration::from_secs(600);

/// What a Rust program ends with after a panic.
const PANIC: i32 = 101;

/// A started decoder. It is ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Decoder {
    child: Child,
    events: EventReader<BufReader<Pipe>>,
}

/// How a decoder ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself, all said.
    Well,
    /// Because of what it read: the push is to blame.
    Failed(Code),
    /// Because of this machine, or of somebody on it: the push may be good.
    Disturbed,
}

#[derive(Debug)]
struct Pipe(File);

impl Decoder {
    /// Starts one on an open push file. Call it before this process confines itself: afterwards nothing can be started.
    pub(crate) fn start(push: File, budget: Budget) -> io::Result<Self> {
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        // A smaller pipe is only slower.
        let _ = rustix::pipe::fcntl_setpipe_size(&writer, PIPE_BYTES);
        let child = command(budget).stdin(push).stdout(writer).spawn()?;
        let pipe = BufReader::with_capacity(READ_BYTES, Pipe(File::from(reader)));
        Ok(Self { child, events: EventReader::new(pipe) })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it says next.
    pub(crate) fn next(&mut self) -> io::Result<Heard<'_>> {
        self.events.next()
    }

    /// Waits for its end, after the pipe was closed, and tells whose fault that end is.
    pub(crate) fn end(&mut self) -> io::Result<Ended> {
        self.child.wait().map(judge)
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // It may have ended long ago; then both answers are errors, and nobody needs them.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(budget: Budget) -> Command {
    let mut command = this_program();
    command.arg("decode").env_clear().stderr(Stdio::null()).current_dir("/");
    command.args(["--memory-bytes", &budget.memory_bytes.to_string()]);
    command.args(["--cpu-seconds", &budget.cpu_seconds.to_string()]);
    command.args(["--expanded-bytes", &budget.expanded_bytes.to_string()]);
    if budget.without_landlock {
        command.arg("--without-landlock");
    }
    command
}

/// A decoder that crashed, crashed because of what it read. One that was killed, did not start or could not confine itself, did not.
fn judge(status: ExitStatus) -> Ended {
    use rustix::process::Signal;
    match (status.code(), status.signal()) {
        (Some(0), _) => Ended::Well,
        (Some(PANIC), _) => Ended::Failed(Code::MalformedPush),
        (None, Some(signal)) if signal == Signal::XCPU.as_raw() => Ended::Failed(Code::OverBudget),
        (None, Some(signal)) if is_crash(signal) => Ended::Failed(Code::MalformedPush),
        _ => Ended::Disturbed,
    }
}

fn is_crash(signal: i32) -> bool {
    use rustix::process::Signal;
    [Signal::SEGV, Signal::BUS, Signal::ABORT, Signal::ILL, Signal::FPE, Signal::TRAP, Signal::SYS]
        .iter()
        .any(|crash| crash.as_raw() == signal)
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let timeout = Timespec { tv_sec: SILENCE_MAX.as_secs().cast_signed(), tv_nsec: 0 };
        let mut ready = [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN)];
        match rustix::io::retry_on_intr(|| rustix::event::poll(&mut ready, Some(&timeout)))? {
            0 => Err(io::ErrorKind::TimedOut.into()),
            _ => self.0.read(buffer),
        }
    }
}
