//! Waits where reading would be too fast.

use std::time::{Duration, Instant};

/// As fast as was set.
#[derive(Debug)]
pub(super) struct Pace {
    bytes_per_second: u64,
    began: Instant,
    bytes: u64,
}

impl Pace {
    /// So many bytes a second; 0 for as many as can be.
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second, began: Instant::now(), bytes: 0 }
    }

    /// So many were read.
    pub(super) fn step(&mut self, bytes: u64) {
        if self.bytes_per_second == 0 {
            return;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        let due = Duration::try_from_secs_f64(self.bytes as f64 / self.bytes_per_second as f64);
        let left = due.unwrap_or(Duration::MAX).saturating_sub(self.began.elapsed());
        if left.is_zero() {
            // What took long because nobody read does not entitle to a rush.
            (self.began, self.bytes) = (Instant::now(), 0);
        }
        std::thread::sleep(left);
    }
}
