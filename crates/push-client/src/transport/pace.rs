//! No more than so many bytes a second: a bucket that fills at that rate, and holds a quarter of a second.

use std::time::{Duration, Instant};

/// Least that is written at once, so that a low limit does not cut a push into crumbs.
const PIECE_BYTES: u64 = 4 * 1024;
/// Parts of a second that the bucket holds.
const HELD_PARTS: u64 = 4;
const NANOS: u128 = 1_000_000_000;

/// How fast bytes may go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    bytes_per_second: u64,
    /// What may go at once.
    held: u64,
    /// When the bucket was last looked into, and what was in it then.
    looked: Instant,
    bytes: u64,
}

impl Pace {
    pub(super) fn new(bytes_per_second: u64, now: Instant) -> Self {
        let held = (bytes_per_second / HELD_PARTS).max(PIECE_BYTES);
        Self { bytes_per_second: bytes_per_second.max(1), held, looked: now, bytes: held }
    }

    /// How many of `wanted` bytes may go now; or how long to wait before asking again.
    pub(super) fn allow(&mut self, wanted: usize, now: Instant) -> Result<usize, Duration> {
        self.fill(now);
        let least = PIECE_BYTES.min(wanted as u64);
        if self.bytes < least {
            let nanos = u128::from(least - self.bytes) * NANOS / u128::from(self.bytes_per_second) + 1;
            return Err(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)));
        }
        Ok(usize::try_from(self.bytes).unwrap_or(usize::MAX).min(wanted))
    }

    /// So many have gone.
    pub(super) fn took(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes as u64);
    }

    fn fill(&mut self, now: Instant) {
        let nanos = now.saturating_duration_since(self.looked).as_nanos();
        let more = u64::try_from(nanos * u128::from(self.bytes_per_second) / NANOS).unwrap_or(u64::MAX);
        // A look at once after another adds nothing, and must not lose the time between them.
        if more > 0 {
            self.bytes = self.bytes.saturating_add(more).min(self.held);
            self.looked = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long `total` bytes take, in pieces of at most `piece`, by a clock of its own.
    fn took(bytes_per_second: u64, total: usize, piece: usize) -> Duration {
        let begun = Instant::now();
        let mut now = begun;
        let mut pace = Pace::new(bytes_per_second, begun);
        let mut left = total;
        while left > 0 {
            match pace.allow(left.min(piece), now) {
                Ok(bytes) => {
                    assert!(bytes > 0 && bytes <= piece);
                    pace.took(bytes);
                    left -= bytes;
                    now += Duration::from_micros(3);
                }
                Err(wait) => now += wait,
            }
        }
        now - begun
    }

    #[test]
    fn so_many_bytes_take_so_many_seconds() {
        for (rate, seconds) in [(16 * 1024, 100), (2 * 1024 * 1024, 60), (1 << 30, 10)] {
            for piece in [1 << 20, 100_000, 32_700] {
                let total = usize::try_from(rate * seconds).unwrap();
                let took = took(rate, total, piece).as_secs_f64();
                let expected = seconds as f64;
                assert!(took > expected - 0.3 && took < expected * 1.05, "{rate}, {piece}: {took}");
            }
        }
    }

    #[test]
    fn a_long_rest_is_not_saved_up() {
        let begun = Instant::now();
        let mut pace = Pace::new(1 << 20, begun);
        let later = begun + Duration::from_secs(3_600);
        assert_eq!(pace.allow(1 << 30, later), Ok((1 << 20) / 4));
    }
}
