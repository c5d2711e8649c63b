//! The child that reads a push file: frames, order, seal, expanding. It holds two descriptors, the file and a pipe, and nothing else; what it
//! writes is not trusted by the one who reads it.

pub(crate) mod event;
mod expand;
mod frames;

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;

use cli::Exit;
use formats::session::Code;
use sandbox::{Confinement, Landlock, Profile, limits};

use crate::args::Budget;
use event::{Event, EventWriter};

/// Descriptors it could hold at most: the three it begins with, and the two copies it works on.
const OPEN_FILES: u64 = 16;

/// Why reading ended early.
enum End {
    /// The push file is not what it should be.
    Refused(Code),
    /// This side failed: the file cannot be read, or nobody listens any more.
    Fault,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        End::Fault
    }
}

/// Runs the child. It says nothing on standard error, where what a host sent could reach a terminal.
pub(crate) fn run(budget: Budget) -> ExitCode {
    let Ok((file, mut events)) = confine(budget) else { return Exit::MACHINE.into() };
    let said = match frames::read(file, budget.expanded_bytes, &mut events) {
        Ok(()) => Ok(()),
        Err(End::Refused(code)) => events.write(Event::Refused(code.number())),
        Err(End::Fault) => events.write(Event::Fault),
    };
    match said.and_then(|()| events.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => Exit::MACHINE.into(),
    }
}

/// Gives up everything but the two descriptors, before the first byte is read.
fn confine(budget: Budget) -> Result<(File, EventWriter), sandbox::SandboxError> {
    let machine = |step| move |source| sandbox::SandboxError::System { step, source };
    let file = std::io::stdin().as_fd().try_clone_to_owned().map_err(machine("take over the push file"))?;
    let pipe = std::io::stdout().as_fd().try_clone_to_owned().map_err(machine("take over the pipe"))?;
    limits::die_with_parent()?;
    limits::limit_core_zero()?;
    limits::limit_memory(budget.memory_bytes)?;
    limits::limit_cpu(budget.cpu_seconds)?;
    limits::limit_open_files(OPEN_FILES)?;
    let landlock = if budget.without_landlock { Landlock::IfAvailable } else { Landlock::Required };
    let _in_force = Confinement::new(Profile::Decoder).landlock(landlock).apply()?;
    Ok((File::from(file), EventWriter::new(File::from(pipe))))
}
