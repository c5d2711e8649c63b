//! The walk's side: what it may say to the runner, and what it hears.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use cli::Monitor;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::ended::{Ended, How, Kind};
use super::error::CommandError;
use super::messages::{Ask, Greeting, as_file};
use super::stop;
use crate::plan::{Commands, Task};

/// When all is said, the runner has this long to end.
const ENDING: Duration = Duration::from_secs(5);
const NAP: Duration = Duration::from_millis(2);
/// What has ended has closed its output, unless it left something behind.
const CLOSING: Duration = Duration::from_secs(2);
/// Longest pipe that an account may make.
const PIPE_BYTES_MAX: usize = 1024 * 1024;
/// How often the wish to end is looked for where nothing wakes us.
const LOOK: Duration = Duration::from_millis(200);

/// The process that runs commands, and how far it has come.
#[derive(Debug)]
pub struct Runner {
    to: File,
    outputs: Vec<Option<OwnedFd>>,
    child: Child,
}

impl Runner {
    /// Starts it. To be called before anything is given up. It holds `lock` for as long as it lives: if we are killed, what comes after is
    /// run before another push begins.
    pub(crate) fn start(settings: &Path, commands: &Commands, lock: OwnedFd) -> Result<Self, CommandError> {
        let settings = std::path::absolute(settings).map_err(CommandError::Start)?;
        Self::start_as(Path::new("/proc/self/exe"), &settings, commands, lock.into())
    }

    /// The same of another copy of this program, for a test that is not one.
    pub fn start_as(
        program: &Path,
        settings: &Path,
        commands: &Commands,
        lock: Stdio,
    ) -> Result<Self, CommandError> {
        let (ours, theirs) = UnixStream::pair().map_err(CommandError::Start)?;
        let mut child = Command::new(program)
            .arg("run-commands")
            .arg("--config")
            .arg(settings)
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            // It says nothing there, and its commands have one of their own.
            .stdout(lock)
            .spawn()
            .map_err(CommandError::Start)?;
        let greeting = Greeting::receive(&ours).map_err(CommandError::Start)?;
        let Some(Greeting { fingerprint, outputs }) = greeting else {
            let _ = child.wait();
            return Err(CommandError::Gone);
        };
        let to = as_file(ours);
        let runner = Self { to, outputs: outputs.into_iter().map(Some).collect(), child };
        match fingerprint == commands.fingerprint() {
            true => Ok(runner),
            false => Err(CommandError::Changed),
        }
    }

    /// Runs all that comes before, one after the other, until one fails.
    pub fn before(&mut self, commands: &Commands, monitor: &dyn Monitor) -> Result<(), CommandError> {
        for (number, task) in (1..).zip(&commands.before) {
            monitor.info(&format!("running before {number}: {}", task.line()));
            self.ask(Kind::Before, number)?;
            let how = self.ended(Kind::Before, number)?;
            judge(Kind::Before, number, task, how)?;
        }
        go_on()
    }

    /// Has a dump begun; what it gives comes out of the [`Output`].
    pub fn dump<'a>(&'a mut self, number: u8, task: &'a Task) -> Result<Output<'a>, CommandError> {
        self.ask(Kind::Dump, number)?;
        let place = usize::from(number).saturating_sub(1);
        let pipe = self.outputs.get_mut(place).and_then(Option::take).ok_or(CommandError::Gone)?;
        Ok(Output {
            runner: self,
            pipe: File::from(pipe),
            number,
            task,
            how: None,
            closing: None,
            closing_bytes: 0,
        })
    }

    /// Runs all that comes after, and tells how each ended; the runner then ends.
    pub fn after(mut self, commands: &Commands, exit: u8, monitor: &dyn Monitor) -> Vec<(String, How)> {
        for (number, task) in (1u8..).zip(&commands.after) {
            monitor.info(&format!("running after {number}: {}", task.line()));
        }
        let asked = self.ask(Kind::After, exit);
        let mut endings = Vec::new();
        for (number, task) in (1..).zip(&commands.after) {
            let how = match (&asked, self.answer(Kind::After, number)) {
                (Ok(()), Ok(how)) => how,
                _ => How::NotStarted,
            };
            endings.push((format!("after {number} ({})", task.name()), how));
        }
        // Out of reach of our signals by now; it has nothing left to do.
        let until = Instant::now() + ENDING;
        while Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            sleep(NAP);
        }
        endings
    }

    fn ask(&mut self, kind: Kind, number: u8) -> Result<(), CommandError> {
        self.to.write_all(&Ask { kind, number }.encode()).map_err(|_| CommandError::Gone)
    }

    /// Waits for the end of a command, or a signal.
    fn ended(&mut self, kind: Kind, number: u8) -> Result<How, CommandError> {
        loop {
            go_on()?;
            let mut on = vec![PollFd::new(&self.to, PollFlags::IN)];
            on.extend(stop::told().map(|told| PollFd::from_borrowed_fd(told, PollFlags::IN)));
            // Interrupted, or refused for want of memory: everything is looked at again.
            let _ = poll(&mut on, Some(&time(LOOK)));
            if on.first().is_some_and(|fd| !fd.revents().is_empty()) {
                return self.answer(kind, number);
            }
        }
    }

    /// What was stopped is answered first.
    fn answer(&mut self, kind: Kind, number: u8) -> Result<How, CommandError> {
        let is_it = |ended: &Ended| (ended.kind, ended.number) == (kind, number);
        let answer = (0..2).find_map(|_| Ended::read(&mut self.to).filter(is_it));
        answer.map(|ended| ended.how).ok_or(CommandError::Gone)
    }
}

/// An error if a signal came.
fn go_on() -> Result<(), CommandError> {
    if stop::is_asked() { Err(CommandError::Stopped) } else { Ok(()) }
}

/// What a failure of it comes to. One that a signal brought about is the signal's.
fn judge(kind: Kind, number: u8, task: &Task, how: How) -> Result<(), CommandError> {
    go_on()?;
    match how.is_good() {
        true => Ok(()),
        false => Err(CommandError::Failed { what: kind.word(), number, name: task.name(), how }),
    }
}

/// What a dump gives, as it comes, and in the end whether it was good.
#[derive(Debug)]
pub struct Output<'a> {
    runner: &'a mut Runner,
    pipe: File,
    number: u8,
    task: &'a Task,
    how: Option<How>,
    /// It has ended, and this is when its output must.
    closing: Option<Instant>,
    /// What came since.
    closing_bytes: usize,
}

/// What a look at a dump has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// So many bytes.
    Bytes(usize),
    /// None for the time that was asked for.
    Nothing,
    /// Its output ended.
    End,
}

impl Output<'_> {
    /// Reads what there is; waits for it, but no longer than `patience`.
    pub fn read(&mut self, to: &mut [u8], patience: Duration) -> Result<Came, CommandError> {
        let until = Instant::now() + patience;
        loop {
            go_on()?;
            if self.is_ready(until.saturating_duration_since(Instant::now()).min(LOOK))? {
                return match self.pipe.read(to) {
                    Ok(0) => Ok(Came::End),
                    Ok(length) => self.came(length),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Came::Nothing),
                    Err(_) => Err(CommandError::Gone),
                };
            }
            if self.closing.is_some_and(|closing| Instant::now() > closing) {
                return Err(self.held_open());
            }
            if Instant::now() >= until {
                return Ok(Came::Nothing);
            }
        }
    }

    /// What has ended left a full pipe at most: more is by somebody else.
    fn came(&mut self, length: usize) -> Result<Came, CommandError> {
        if self.closing.is_some() {
            self.closing_bytes = self.closing_bytes.saturating_add(length);
        }
        match self.closing_bytes > PIPE_BYTES_MAX {
            true => Err(self.held_open()),
            false => Ok(Came::Bytes(length)),
        }
    }

    fn held_open(&self) -> CommandError {
        CommandError::HeldOpen { number: self.number, name: self.task.name() }
    }

    /// An error unless the command, once its output has ended, ends well.
    pub fn end(self) -> Result<(), CommandError> {
        let how = match self.how {
            Some(how) => how,
            None => self.runner.ended(Kind::Dump, self.number)?,
        };
        judge(Kind::Dump, self.number, self.task, how)
    }

    fn is_ready(&mut self, patience: Duration) -> Result<bool, CommandError> {
        let mut on = vec![PollFd::new(&self.pipe, PollFlags::IN)];
        if self.how.is_none() {
            on.push(PollFd::new(&self.runner.to, PollFlags::IN));
        }
        let _ = poll(&mut on, Some(&time(patience)));
        let is = |at: usize| on.get(at).is_some_and(|fd| !fd.revents().is_empty());
        let (is_ready, has_spoken) = (is(0), is(1));
        if has_spoken {
            self.how = Some(self.runner.answer(Kind::Dump, self.number)?);
            self.closing = Some(Instant::now() + CLOSING);
        }
        Ok(is_ready)
    }
}

fn time(patience: Duration) -> Timespec {
    Timespec::try_from(patience).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 })
}
