//! What `run` and `check` give up before they listen to a server.

use std::os::fd::AsFd;

use cli::{Exit, Failure, Monitor};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sandbox::{Confinement, Keep, Landlock, LandlockState, Profile, SandboxError, Threads, capabilities};

use crate::plan::{Commands, Plan, Trusted};

/// The process could not be confined.
#[derive(Debug, thiserror::Error)]
#[error("failed to confine this process")]
pub(super) struct ConfineError(#[from] SandboxError);

impl Failure for ConfineError {
    fn exit(&self) -> Exit {
        Exit::MACHINE
    }

    fn advice(&self) -> Option<String> {
        matches!(self.0, SandboxError::NoLandlock).then(|| {
            "commands in push.toml need a kernel with landlock (Linux 5.19, and in the list of `lsm=`): without it, who takes over the reading of files could change what is run"
                .to_owned()
        })
    }
}

/// The filter of system calls and the lost capabilities hold without it. But this process keeps root's name, and so may write what is
/// root's; where the settings name commands, what it wrote there would be run.
fn landlock(commands: &Commands) -> Landlock {
    if commands.is_empty() { Landlock::IfAvailable } else { Landlock::Required }
}

/// From here on: files are read beneath `top`, and written in `state` only; no socket, no program, no capability but the one
/// to read, or to see `trusted.*` attributes. `child` can be waited for and killed.
pub(super) fn confine(
    top: &impl AsFd,
    state: Option<&impl AsFd>,
    child: Option<u32>,
    plan: &Plan,
    monitor: &dyn Monitor,
) -> Result<(), ConfineError> {
    let trusted = plan.trusted;
    // Each folder on the way down is held.
    let limit = getrlimit(Resource::Nofile);
    // Refused: then deep trees are left out, by name.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let keep = match trusted {
        Trusted::Keep => Keep::ReadSearchAndTrusted,
        Trusted::LeaveOut => Keep::ReadSearch,
    };
    let mut confinement = Confinement::new(Profile::Client)
        .read_beneath(top)
        .landlock(landlock(&plan.commands))
        .keep(keep)
        .threads(Threads::More);
    if let Some(state) = state {
        confinement = confinement.write_files_beneath(state);
    }
    if let Some(child) = child {
        confinement = confinement.child(child);
    }
    let report = confinement.apply()?;
    if report.landlock == LandlockState::Absent {
        monitor.info("this kernel has no landlock: writing is confined by permissions alone");
    }
    match (trusted, report.trusted) {
        (Trusted::Keep, capabilities::Trusted::Hidden) => {
            monitor.warn("trusted.* attributes are left out: they need CAP_SYS_ADMIN, which this process does not have");
        }
        (Trusted::LeaveOut, _) => {
            monitor.info("trusted.* attributes are left out, as they are not asked for")
        }
        (Trusted::Keep, capabilities::Trusted::Seen) => {}
    }
    Ok(())
}
