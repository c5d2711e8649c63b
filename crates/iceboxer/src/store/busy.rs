//! For how much of a run something was at work: what tells whether sealing or sending is the brake.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A kind of work that several may do at a time.
#[derive(Debug, Default)]
pub(super) struct Busy(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    active: usize,
    since: Option<Instant>,
    total: Duration,
}

/// Work under way; it ends when this is dropped.
pub(super) struct At<'b>(&'b Busy);

impl Busy {
    /// One more is at work.
    pub(super) fn begin(&self) -> At<'_> {
        self.with(|state| {
            if state.active == 0 {
                state.since = Some(Instant::now());
            }
            state.active += 1;
        });
        At(self)
    }

    /// How long at least one was at work.
    pub(super) fn total(&self) -> Duration {
        self.with(|state| state.total)
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for At<'_> {
    fn drop(&mut self) {
        self.0.with(|state| {
            state.active = state.active.saturating_sub(1);
            if let (0, Some(since)) = (state.active, state.since) {
                state.total += since.elapsed();
                state.since = None;
            }
        });
    }
}

/// How long the segments of an image took.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Timing {
    /// From the first to the last.
    pub(crate) whole: Duration,
    /// At least one worker sealed.
    pub(crate) sealing: Duration,
    /// A segment was put.
    pub(crate) putting: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_which_two_are_at_work_counts_once() {
        let busy = Busy::default();
        let began = Instant::now();
        let one = busy.begin();
        let two = busy.begin();
        std::thread::sleep(Duration::from_millis(20));
        drop(one);
        assert_eq!(busy.total(), Duration::ZERO, "one is still at work");
        drop(two);
        let total = busy.total();
        assert!(total >= Duration::from_millis(20) && total <= began.elapsed());
        drop(busy.begin());
        assert!(busy.total() >= total && busy.total() <= began.elapsed());
    }
}
