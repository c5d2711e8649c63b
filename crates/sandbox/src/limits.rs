//! What a process may use up. Each call lowers a limit for good, and never raises one.

use rustix::process::{Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit};

use crate::{Result, SandboxError};

/// Address space, in bytes: an allocation beyond it fails.
pub fn limit_memory(bytes: u64) -> Result<()> {
    lower(Resource::As, bytes, "limit memory")
}

/// Memory of its own that a process may write to, in bytes: an allocation beyond it fails. Unlike [`limit_memory`], what is only set aside does not
/// count, as each thread does for its allocations.
pub fn limit_data(bytes: u64) -> Result<()> {
    lower(Resource::Data, bytes, "limit data")
}

/// Processor time, in seconds: beyond it the kernel ends the process (SIGXCPU).
pub fn limit_cpu(seconds: u64) -> Result<()> {
    lower(Resource::Cpu, seconds, "limit processor time")
}

/// Length of any file that is written, in bytes: beyond it the kernel ends the process (SIGXFSZ).
pub fn limit_file_size(bytes: u64) -> Result<()> {
    lower(Resource::Fsize, bytes, "limit file size")
}

/// Open descriptors.
pub fn limit_open_files(count: u64) -> Result<()> {
    lower(Resource::Nofile, count, "limit open files")
}

/// No core file: it would hold what was in memory.
pub fn limit_core_zero() -> Result<()> {
    lower(Resource::Core, 0, "limit core files")
}

/// The kernel ends this process when the thread that started it ends. A Landlocked parent of ABI 6 or later cannot reach
/// a child from before its confinement, unless it named it ([`crate::Confinement::child`]).
pub fn die_with_parent() -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(SandboxError::at("bind to the parent's life"))
}

fn lower(resource: Resource, value: u64, step: &'static str) -> Result<()> {
    let hard = getrlimit(resource).maximum;
    let value = Some(hard.map_or(value, |hard| hard.min(value)));
    setrlimit(resource, Rlimit { current: value, maximum: value }).map_err(SandboxError::at(step))
}
