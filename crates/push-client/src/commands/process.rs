//! One command, from its start to the end of all it has started.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, pidfd_send_signal, waitid,
};

use super::PATH;
use super::account::{Account, Who};
use super::ended::How;
use super::said::{Said, say};
use crate::plan::Task;

/// After it was asked to end, a command has this long.
const ENDING: Duration = Duration::from_secs(5);
const PIECE_BYTES: usize = 16 * 1024;

/// A command that is to be run.
#[derive(Debug)]
pub(super) struct Errand<'a> {
    pub(super) task: &'a Task,
    /// `dump 1 (pg_dumpall)`.
    pub(super) whose: String,
    /// Beyond what all commands find in their environment.
    pub(super) environment: Vec<(&'static str, String)>,
    /// Where its standard output goes; to the journal if nowhere else.
    pub(super) output: Option<OwnedFd>,
}

/// One that was started.
struct Running {
    child: Child,
    group: Pid,
    /// Readable when it has ended.
    alive: OwnedFd,
    said: Option<File>,
}

impl Errand<'_> {
    /// Runs it until it ends, its time is over, or something comes from `walk`.
    pub(super) fn run(self, walk: Option<BorrowedFd<'_>>) -> How {
        let mut said = Said::by(self.whose.clone());
        let (deadline, whose) = (Instant::now() + self.task.patience, self.whose.clone());
        let how = match self.start() {
            Ok(mut running) => {
                let how = running.watch(deadline, walk, &mut said);
                running.hear_out(&mut said);
                how
            }
            Err(error) => {
                say(&format!("{whose}: could not be started: {error}"));
                How::NotStarted
            }
        };
        said.finish(&mut io::stderr().lock());
        how
    }

    fn start(self) -> io::Result<Running> {
        let (from, to) = pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&from, true)?;
        let (mut command, who) = self.command()?;
        command
            .env_clear()
            .env("PATH", PATH)
            .env("LANG", "C.UTF-8")
            .env("HOME", who.home)
            .env("USER", &who.name)
            .env("LOGNAME", who.name)
            .envs(self.environment)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(match self.output {
                Some(output) => Stdio::from(output),
                None => Stdio::from(to.try_clone()?),
            })
            .stderr(Stdio::from(to));
        let mut child = command.spawn()?;
        // What is ours of its pipes goes with it.
        drop(command);
        let group = Pid::from_child(&child);
        match pidfd_open(group, PidfdFlags::empty()) {
            Ok(alive) => Ok(Running { child, group, alive, said: Some(File::from(from)) }),
            Err(errno) => {
                let _ = kill_process_group(group, Signal::KILL);
                let _ = child.wait();
                Err(errno.into())
            }
        }
    }

    /// And as whom.
    fn command(&self) -> io::Result<(Command, Who)> {
        let words = &self.task.words;
        let account = match &self.task.user {
            Some(name) => {
                let none =
                    || io::Error::other(format!("there is no account {}", cli::shown(name.as_bytes())));
                Some(Account::named(name)?.ok_or_else(none)?).filter(|account| !account.is_ours())
            }
            None => None,
        };
        let Some(account) = account else {
            let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
            let mut command = Command::new(program);
            command.args(arguments);
            return Ok((command, Account::own()));
        };
        let mut command = Command::new("/proc/self/exe");
        command.arg("become-user").args(account.arguments()).args(words);
        Ok((command, Who { name: account.name, home: account.home }))
    }
}

impl Running {
    fn watch(&mut self, deadline: Instant, walk: Option<BorrowedFd<'_>>, said: &mut Said) -> How {
        loop {
            match self.wait(deadline, walk, said) {
                Event::Ended => break,
                Event::TimeOver => return self.end(How::TooLong, said),
                Event::FromWalk => return self.end(How::Stopped, said),
                Event::Other => {}
            }
        }
        // Not taken note of yet: so nobody else can have its number, by which its group is ended.
        let _ = kill_process_group(self.group, Signal::KILL);
        match self.child.wait() {
            Ok(status) => match (status.code(), status.signal()) {
                (Some(code), _) => How::Status(u8::try_from(code).unwrap_or(u8::MAX)),
                (None, Some(signal)) => How::Signal(u8::try_from(signal).unwrap_or(u8::MAX)),
                (None, None) => How::Signal(u8::MAX),
            },
            Err(_) => How::Signal(u8::MAX),
        }
    }

    /// Asks its group to end, and makes it.
    fn end(&mut self, how: How, said: &mut Said) -> How {
        self.signal(Signal::TERM);
        let _ = self.wait_out(said);
        self.signal(Signal::KILL);
        match self.wait_out(said) {
            Event::Ended => {
                let _ = self.child.wait();
            }
            // Who waits in the kernel, or became somebody whom we may not end: nobody waits for it.
            _ => say(&format!("process {} cannot be ended, and is left behind", self.child.id())),
        }
        how
    }

    /// To its group, and to itself, which can have left it.
    fn signal(&self, signal: Signal) {
        let _ = kill_process_group(self.group, signal);
        let _ = pidfd_send_signal(&self.alive, signal);
    }

    /// Gives it the time to end.
    fn wait_out(&mut self, said: &mut Said) -> Event {
        let until = Instant::now() + ENDING;
        loop {
            match self.wait(until, None, said) {
                event @ (Event::Ended | Event::TimeOver) => return event,
                Event::FromWalk | Event::Other => {}
            }
        }
    }

    fn wait(&mut self, until: Instant, walk: Option<BorrowedFd<'_>>, said: &mut Said) -> Event {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Event::TimeOver;
        }
        let mut on = vec![PollFd::new(&self.alive, PollFlags::IN)];
        let walk_at = on.len();
        on.extend(walk.map(|walk| PollFd::from_borrowed_fd(walk, PollFlags::IN)));
        let said_at = on.len();
        on.extend(self.said.as_ref().map(|said| PollFd::new(said, PollFlags::IN)));
        let time = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        if poll(&mut on, Some(&time)).is_err() {
            // Interrupted: everything is looked at again.
            return Event::Other;
        }
        let is = |at: usize| on.get(at).is_some_and(|fd| !fd.revents().is_empty());
        let (has_ended, walk_spoke, has_said) = (is(0), walk.is_some() && is(walk_at), is(said_at));
        if has_said {
            self.listen(said);
        }
        match (has_ended, walk_spoke) {
            (true, _) if self.has_ended() => Event::Ended,
            (_, true) => Event::FromWalk,
            _ => Event::Other,
        }
    }

    fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        matches!(waitid(WaitId::Pid(self.group), options), Ok(Some(_)))
    }

    fn listen(&mut self, said: &mut Said) {
        let Some(from) = &mut self.said else { return };
        let mut piece = [0; PIECE_BYTES];
        match from.read(&mut piece) {
            Ok(0) => self.said = None,
            Ok(length) => {
                said.take(piece.get(..length).unwrap_or_default(), &mut io::stderr().lock());
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => self.said = None,
        }
    }

    /// What it said last. Others may hold its pipe open: nobody waits for them.
    fn hear_out(&mut self, said: &mut Said) {
        for _ in 0..64 {
            let Some(from) = &self.said else { return };
            let mut on = [PollFd::from_borrowed_fd(from.as_fd(), PollFlags::IN)];
            match poll(&mut on, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
                Ok(1..) => self.listen(said),
                _ => return,
            }
        }
    }
}

/// What was waited for.
enum Event {
    Ended,
    TimeOver,
    FromWalk,
    Other,
}
