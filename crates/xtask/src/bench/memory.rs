//! The most memory that a push takes, on both sides.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::trouble::{Result, Trouble};

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Resident memory, in bytes; of several processes of one name at one time, the sum.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Peak {
    pub(crate) client: u64,
    pub(crate) receiver: u64,
}

impl Peak {
    pub(crate) fn max(self, other: Peak) -> Peak {
        Peak { client: self.client.max(other.client), receiver: self.receiver.max(other.receiver) }
    }
}

/// Looks at both sides while `work` runs.
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
        let of = |what: &str| status.lines().find_map(|line| line.strip_prefix(what)).map(str::trim);
        // The kernel's own mark of the most it ever had.
        let kib = of("VmHWM:").and_then(|text| text.trim_end_matches(" kB").parse::<u64>().ok());
        match of("Name:") {
            Some("push-client") => sum.client += kib.unwrap_or_default() * 1024,
            Some("receiver") => sum.receiver += kib.unwrap_or_default() * 1024,
            _ => {}
        }
    }
    sum
}
