//! The wish to end, where commands are run: it is obeyed in good order, so that what comes after can undo what came before.
//!
//! Signals are the whole process's, and so is this.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// None where signals end this process at once, as nothing is to be undone.
static STOP: OnceLock<Stop> = OnceLock::new();

#[derive(Debug)]
struct Stop {
    asked: Arc<AtomicBool>,
    /// A handler writes a byte to the other end.
    told: OwnedFd,
    /// The child that carries the push lives, and its number is its own.
    is_carried: AtomicBool,
    /// The run gave way to it.
    is_obeyed: AtomicBool,
}

/// From now on SIGTERM, SIGINT and SIGHUP end nothing by themselves.
pub(crate) fn listen() -> io::Result<()> {
    let (told, tells) = pipe_with(PipeFlags::CLOEXEC)?;
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&asked))?;
        signal_hook::low_level::pipe::register(signal, tells.try_clone()?)?;
    }
    let stop = Stop { asked, told, is_carried: AtomicBool::default(), is_obeyed: AtomicBool::default() };
    STOP.set(stop).map_err(|_| io::ErrorKind::AlreadyExists.into())
}

/// True from the first signal on.
pub(crate) fn is_asked() -> bool {
    STOP.get().is_some_and(|stop| stop.asked.load(Ordering::SeqCst))
}

/// Readable from the first signal on.
pub(super) fn told() -> Option<BorrowedFd<'static>> {
    STOP.get().map(|stop| stop.told.as_fd())
}

/// From now on a signal ends the child that carries the push, on which all else here waits. To be called after this process is confined.
pub(crate) fn ends(carrier: Option<u32>) -> io::Result<()> {
    let pid = carrier.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    let (Some(pid), Some(stop)) = (pid, STOP.get()) else { return Ok(()) };
    let mut told = File::from(stop.told.try_clone()?);
    stop.is_carried.store(true, Ordering::SeqCst);
    let wait = move || {
        if matches!(told.read(&mut [0]), Ok(1..)) && stop.is_carried.load(Ordering::SeqCst) {
            let _ = kill_process(pid, Signal::KILL);
        }
    };
    thread::Builder::new().name("stop".to_owned()).spawn(wait).map(drop)
}

/// The push is over: a signal ends nobody any more.
pub(crate) fn is_over() {
    if let Some(stop) = STOP.get() {
        stop.is_carried.store(false, Ordering::SeqCst);
    }
}

/// The run ends because of it.
pub(crate) fn obey() {
    if let Some(stop) = STOP.get() {
        stop.is_obeyed.store(true, Ordering::SeqCst);
    }
}

/// Ends the process as SIGTERM would have, if that is why the run ended. All is said and done by now.
pub(crate) fn end_as_told() {
    if STOP.get().is_some_and(|stop| stop.is_obeyed.load(Ordering::SeqCst)) {
        let _ = signal_hook::low_level::emulate_default_handler(SIGTERM);
    }
}
