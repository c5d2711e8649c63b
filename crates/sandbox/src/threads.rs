//! Is this the only thread? Asked of the kernel, as `/proc` may be out of reach.

use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::UnshareFlags;

use crate::{Result, SandboxError};

/// A thread that was joined is still counted until the kernel has buried it.
const PATIENCE: u32 = 200;

/// Fails if another thread runs in this process.
pub(crate) fn require_single() -> Result<()> {
    for _ in 0..PATIENCE {
        match ask() {
            Err(SandboxError::MoreThanOneThread) => std::thread::sleep(Duration::from_millis(1)),
            answer => return answer,
        }
    }
    Err(SandboxError::MoreThanOneThread)
}

fn ask() -> Result<()> {
    // unshare(2): in a process of one thread CLONE_THREAD does nothing, in any other it is EINVAL. That makes it a
    // question without a side effect.
    let alone = UnshareFlags::from_bits_retain(libc::CLONE_THREAD.cast_unsigned());
    #[expect(
        deprecated,
        reason = "unsafe only for the flags that split file descriptors; this one changes nothing"
    )]
    match rustix::thread::unshare(alone) {
        Ok(()) => Ok(()),
        Err(Errno::INVAL) => Err(SandboxError::MoreThanOneThread),
        Err(_) => count_in_proc(),
    }
}

/// Where an outer filter forbids `unshare`.
fn count_in_proc() -> Result<()> {
    let tasks =
        std::fs::read_dir("/proc/self/task").map_err(SandboxError::at("count this process's threads"))?;
    if tasks.count() == 1 { Ok(()) } else { Err(SandboxError::MoreThanOneThread) }
}
