//! The most memory that a push takes, on both sides, and what the server does with it afterwards.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::disk;
use crate::trouble::{Result, Trouble};

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Resident memory, in bytes; of several processes of one name at one time, the sum.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Peak {
    pub(crate) client: u64,
    pub(crate) receiver: u64,
    pub(crate) snapshotter: u64,
}

impl Peak {
    pub(crate) fn max(self, other: Peak) -> Peak {
        Peak {
            client: self.client.max(other.client),
            receiver: self.receiver.max(other.receiver),
            snapshotter: self.snapshotter.max(other.snapshotter),
        }
    }
}

/// Looks at all of them while `work` runs.
pub(crate) fn watch<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Peak)> {
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut peak = Peak::default();
            while !ended.load(Ordering::Relaxed) {
                peak = peak.max(look());
                std::thread::sleep(LOOK_EVERY);
            }
            peak
        });
        let done = work();
        ended.store(true, Ordering::Relaxed);
        let peak = looking.join().map_err(|_| Trouble::new("the thread that looks ended in panic"))?;
        Ok((done?, peak))
    })
}

fn look() -> Peak {
    let mut sum = Peak::default();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        let status = fs::read_to_string(process.path().join("status")).unwrap_or_default();
        match status.lines().find_map(|line| line.strip_prefix("Name:")).map(str::trim) {
            Some("push-client") => sum.client += mark(&status),
            Some("receiver") => sum.receiver += mark(&status),
            _ if is_snapshotter(&process.path()) => sum.snapshotter += mark(&status),
            _ => {}
        }
    }
    sum
}

/// By its file: what it starts of itself has another name to the kernel. Those of others on this machine are passed over.
fn is_snapshotter(process: &Path) -> bool {
    let file = fs::read_link(process.join("exe")).unwrap_or_default();
    file.starts_with(disk::folder()) && file.ends_with("bin/snapshotter")
}

/// The kernel's own mark of the most resident memory that a process ever had, in bytes, from its `/proc/PID/status`.
pub(super) fn mark(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
