//! A command that prints credentials: run without a shell, and not for ever.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use zeroize::Zeroizing;

use super::lines;

/// Longest life of the command. A program that asks a person would wait for ever in a timer's run.
pub(super) const WAIT: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The system refused to run it, or to wait for it.
    Run(io::Error),
    /// It took too long, and was ended.
    TooLong,
    /// It failed, or said more than credentials are long.
    Failed,
}

/// What the command prints. It, and what it started in its process group, does not outlive an error.
pub(super) fn output(
    program: &str,
    arguments: &[String],
    wait: Duration,
) -> Result<Zeroizing<Vec<u8>>, Trouble> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    // A group of its own: it is ended together with what it started.
    let mut child = command.process_group(0).spawn().map_err(Trouble::Run)?;
    let answer = answer(&mut child, Instant::now() + wait);
    if answer.is_err() {
        end(&child);
    }
    let status = child.wait().map_err(Trouble::Run)?;
    answer.and_then(|bytes| if status.success() { Ok(bytes) } else { Err(Trouble::Failed) })
}

/// Reads to the end, and waits until the command has ended; it is not reaped yet.
fn answer(child: &mut Child, deadline: Instant) -> Result<Zeroizing<Vec<u8>>, Trouble> {
    let pid = Pid::from_child(child);
    let ended = pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| Trouble::Run(errno.into()))?;
    let output = File::from(OwnedFd::from(child.stdout.take().ok_or(Trouble::Failed)?));
    let bytes = lines::read(&output, || ready(&output, deadline)).map_err(trouble)?;
    drop(output);
    ready(&ended, deadline).map_err(trouble)?;
    Ok(bytes)
}

fn trouble(error: io::Error) -> Trouble {
    match error.kind() {
        io::ErrorKind::TimedOut => Trouble::TooLong,
        io::ErrorKind::FileTooLarge => Trouble::Failed,
        _ => Trouble::Run(error),
    }
}

/// Waits until there is something to read, or the end of it.
fn ready(fd: impl AsFd, deadline: Instant) -> io::Result<()> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&left)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Err(rustix::io::Errno::INTR) => {}
            answer => return answer.map(drop).map_err(Into::into),
        }
    }
}

/// The child is not reaped yet, so that its number, and its group's, cannot be another's.
fn end(child: &Child) {
    // Gone already: then there is nothing to end.
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{Mode, OFlags};
    use std::io::Read;

    #[test]
    fn a_command_that_takes_too_long_is_ended_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut alive = File::from(rustix::fs::open(&fifo, flags, Mode::empty()).unwrap());
        // Holds the fifo open for as long as one of them lives, and says so once it does.
        let script = format!("exec 3>'{}'; sleep 10000 & printf x >&3; wait", fifo.display());
        let arguments = ["-c".to_owned(), script];
        let mut said = [0];
        // On a slow machine the command may not have begun when its time is over: then it gets more.
        for wait in (0..).map(|doublings| Duration::from_millis(200 << doublings)) {
            assert!(matches!(output("sh", &arguments, wait), Err(Trouble::TooLong)));
            if matches!(alive.read(&mut said), Ok(1)) {
                break;
            }
        }
        let soon = Timespec { tv_sec: 10, tv_nsec: 0 };
        assert_eq!(poll(&mut [PollFd::new(&alive, PollFlags::IN)], Some(&soon)), Ok(1), "one of them lives");
        assert_eq!(alive.read(&mut said).unwrap(), 0, "nobody holds it open");
    }

    #[test]
    fn a_command_that_hides_its_end_is_not_waited_for() {
        // It ends at once, and what it leaves behind keeps the pipe open.
        let arguments = ["-c".to_owned(), "sleep 10000 & exit 0".to_owned()];
        let error = output("sh", &arguments, Duration::from_millis(200));
        assert!(matches!(error, Err(Trouble::TooLong)), "{error:?}");
        // It closes the pipe and goes on.
        let arguments = ["-c".to_owned(), "exec >&-; sleep 10000".to_owned()];
        let error = output("sh", &arguments, Duration::from_millis(200));
        assert!(matches!(error, Err(Trouble::TooLong)), "{error:?}");
    }
}
