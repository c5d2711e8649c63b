//! A trap: something that happens at the n-th moment of the server's work, while the request waits.
//!
//! A request has three moments: when its head is there, when its body is, and when it is done and not yet answered.

use std::fmt;
use std::sync::{Mutex, PoisonError};

type Act = Box<dyn FnOnce() + Send>;

/// How many moments have passed, and what is to happen at which.
#[derive(Default)]
pub(crate) struct Trap(Mutex<State>);

#[derive(Default)]
struct State {
    passed: u64,
    set: Option<(u64, Act)>,
}

impl fmt::Debug for Trap {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("Trap")
    }
}

impl Trap {
    /// Counts anew, and lets `act` happen at the `moment`-th.
    pub(crate) fn set(&self, moment: u64, act: Act) {
        self.with(|state| *state = State { passed: 0, set: Some((moment, act)) });
    }

    pub(crate) fn passed(&self) -> u64 {
        self.with(|state| state.passed)
    }

    /// One more moment.
    pub(crate) fn pass(&self) {
        let act = self.with(|state| {
            state.passed += 1;
            let is_now = state.set.as_ref().is_some_and(|(moment, _)| *moment == state.passed);
            if is_now { state.set.take() } else { None }
        });
        if let Some((_, act)) = act {
            act();
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
