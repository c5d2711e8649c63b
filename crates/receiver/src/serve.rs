//! One session from start to end, in the one order that is safe: open, confine, lock, tidy up, talk.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use durable::{Dir, Name};
use formats::published::{Limits, Sandbox};
use formats::session::Code;
use rustix::fs::Mode;
use sandbox::{Confinement, Landlock, Profile, SandboxError};
use wire::server::{Jail, refusal};

use crate::deadline::Deadline;
use crate::fault::{Result, Stop};
use crate::leftover;
use crate::pipe::Pipe;
use crate::queue::Queue;
use crate::session::Session;
use crate::spool::Spool;
use crate::state::State;

/// Memory of this process: two buffers of fixed size, and room to spare.
const MEMORY_BYTES: u64 = 256 << 20;
const OPEN_FILES: u64 = 64;
/// How long a last word may take, whatever the deadlines say.
const LAST_WORD: Duration = Duration::from_secs(2);

/// Serves one session in this jail, and tells how it ended.
pub(crate) fn serve(jail: &Path) -> ExitCode {
    let started = Instant::now();
    rustix::process::umask(Mode::from_raw_mode(0o027));
    let ended = Pipe::new().and_then(|pipe| {
        let ended = session(jail, &pipe, started);
        if let Some(code) = ended.as_ref().err().and_then(Stop::code) {
            last_word(&pipe, code);
        }
        ended
    });
    match ended {
        Ok(()) | Err(Stop::Gone) => ExitCode::SUCCESS,
        Err(stop) => {
            // Fixed words only; if nobody listens, the exit code still says it.
            let _ = writeln!(std::io::stderr(), "receiver: {stop}");
            ExitCode::from(stop.code().map_or(1, Code::exit_code))
        }
    }
}

fn last_word(pipe: &Pipe, code: Code) {
    let mut bytes = Vec::new();
    if refusal(code).encode(&mut bytes).is_ok() {
        // A host that does not listen learns it from the end of the session.
        let _ = pipe.say(&bytes, Instant::now() + LAST_WORD);
    }
}

fn session(jail: &Path, pipe: &Pipe, started: Instant) -> Result<()> {
    let (spool, mut state) = open(jail)?;
    let limits = state.seen().limits;
    confine(&spool, &state, &limits)?;
    let _lock = spool.lock()?;
    // The queue before the published state: the snapshotter publishes a verdict before it takes a push out of the queue, so
    // a push cannot be missing from both.
    let mut queue = Queue::read(spool.sealed())?;
    if queue.waiting > 0 {
        // A session that died after a renaming has told nobody. This one tells what waits, so its names must last.
        spool.sync_names()?;
    }
    state.read_again()?;
    let deadline = Deadline::new(started, &limits);
    let (file, partial) = leftover::take_up(&spool, &state, &mut queue, deadline)?.unzip();
    let mut session = Session { pipe, spool: &spool, state: &mut state, deadline, file, space_checked: 0 };
    let published = session.state.seen().clone();
    let talked = session.run(Jail { published, partial, queued: queue.ids, waiting: queue.waiting });
    if let Err(stop) = &talked {
        session.settle(stop.fate())?;
    }
    talked
}

/// The folders of the jail. The jail itself does not stay open.
fn open(jail: &Path) -> Result<(Spool, State)> {
    let jail = Dir::open_root(jail).map_err(Stop::at("open the jail"))?;
    let state = State::open(jail.open_dir(Name::literal("state")).map_err(Stop::at("open the state"))?)?;
    Ok((Spool::open(&jail)?, state))
}

/// From here on this process reaches the spool, the state and the descriptors it was started with, and nothing else. Those are 0, 1
/// and 2: sshd closes all others before it starts a shell or a command, and nothing here could close what it does not know.
fn confine(spool: &Spool, state: &State, limits: &Limits) -> Result<()> {
    let landlock = match limits.sandbox {
        Sandbox::Required => Landlock::Required,
        Sandbox::ChrootAccepted => Landlock::IfAvailable,
    };
    let fault = |error| Stop::at(not_confined(&error))(rustix::io::Errno::PERM);
    sandbox::limits::limit_core_zero().map_err(fault)?;
    sandbox::limits::limit_memory(MEMORY_BYTES).map_err(fault)?;
    sandbox::limits::limit_open_files(OPEN_FILES).map_err(fault)?;
    // What is required was asked for; what else is in force is the kernel's to give.
    let _report = Confinement::new(Profile::Receiver)
        .write_files_beneath(spool.incoming())
        .write_files_beneath(spool.sealed())
        .read_beneath(state.dir())
        .landlock(landlock)
        .apply()
        .map_err(fault)?;
    Ok(())
}

/// The step that failed, in fixed words: what is missing is for the administrator to know.
fn not_confined(error: &SandboxError) -> &'static str {
    match error {
        SandboxError::System { step, .. } => step,
        SandboxError::NoLandlock => {
            "confine its files: this kernel has no landlock of abi 2 or later in force"
        }
        SandboxError::Landlock(_) => "confine its files with landlock",
        SandboxError::Filter(_) | SandboxError::NoArchitecture => "confine its system calls with seccomp",
        _ => "confine itself",
    }
}
