//! One session from start to end, in the one order that is safe: open, confine, lock, tidy up, talk.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use durable::{Dir, Lock, Name};
use formats::HostId;
use formats::attempt::End;
use formats::published::{Limits, Sandbox};
use formats::session::Code;
use rustix::fs::Mode;
use sandbox::{Confinement, Landlock, Profile, SandboxError};
use wire::server::{Jail, refusal};

use crate::attempts;
use crate::clock::now;
use crate::deadline::Deadline;
use crate::fault::{Result, Stop};
use crate::leftover;
use crate::pipe::Pipe;
use crate::queue::Queue;
use crate::session::{Seen, Session};
use crate::slot;
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
        let opened = open(jail);
        let host = opened.as_ref().ok().map(|opened| opened.state.seen().host.clone());
        let ended = opened.and_then(|opened| session(opened, &pipe, started));
        if let Err(stop) = &ended {
            last_word(&pipe, stop, host.as_ref());
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

fn last_word(pipe: &Pipe, stop: &Stop, host: Option<&HostId>) {
    let Some(code) = stop.code() else { return };
    let mut bytes = Vec::new();
    if refusal(code, host, stop.wait_seconds()).encode(&mut bytes).is_ok() {
        // A host that does not listen learns it from the end of the session.
        let _ = pipe.say(&bytes, Instant::now() + LAST_WORD);
    }
}

/// What is open of a jail.
struct Opened {
    spool: Spool,
    state: State,
    /// The place of this session among those of all hosts.
    slot: Result<Option<Lock>>,
}

fn session(opened: Opened, pipe: &Pipe, started: Instant) -> Result<()> {
    let Opened { spool, mut state, slot } = opened;
    let limits = state.seen().limits;
    confine(&spool, &state, &limits)?;
    let mut seen = Seen::default();
    let ended = slot.and_then(|_slot| talk(&spool, &mut state, pipe, started, &mut seen));
    let end = match ended {
        Ok(()) if seen.is_sealed => End::Sealed,
        Ok(()) => End::Talked,
        Err(Stop::Gone) => End::Gone,
        Err(Stop::Refused { code, .. } | Stop::Fault { code, .. }) => End::Refused(code),
    };
    attempts::note(spool.incoming(), end, seen.role, now());
    ended
}

fn talk(spool: &Spool, state: &mut State, pipe: &Pipe, started: Instant, seen: &mut Seen) -> Result<()> {
    let limits = state.seen().limits;
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
    let (file, partial) = leftover::take_up(spool, state, &mut queue, deadline)?.unzip();
    let published = state.seen().clone();
    let deadline = deadline.host_begins(&published.admission);
    let mut session = Session {
        pipe,
        spool,
        state,
        deadline,
        file,
        space_checked: 0,
        seen: Seen::default(),
        holdings: None,
    };
    let Queue { ids: queued, waiting, sealed_last, emergencies } = queue;
    let talked = session.run(Jail { published, partial, queued, waiting, sealed_last, emergencies });
    *seen = session.seen;
    if let Err(stop) = &talked {
        session.settle(stop.fate())?;
    }
    talked
}

/// The folders of the jail. The jail itself does not stay open.
fn open(jail: &Path) -> Result<Opened> {
    let jail = Dir::open_root(jail).map_err(Stop::at("open the jail"))?;
    let state = State::open(jail.open_dir(Name::literal("state")).map_err(Stop::at("open the state"))?)?;
    Ok(Opened { spool: Spool::open(&jail)?, state, slot: slot::take(&jail) })
}

/// From here on this process reaches the spool, the state, its own slot and the descriptors it was started with, and nothing else. Those are 0, 1
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
