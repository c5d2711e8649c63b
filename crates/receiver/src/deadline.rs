//! How long a session may last, and how long it may be silent. Counted here from the first instant; no peer can move it.

use std::time::{Duration, Instant};

use formats::published::Limits;

/// The two deadlines of one session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    end: Instant,
    idle: Duration,
}

impl Deadline {
    /// Counted from the start of the process.
    pub(crate) fn new(started: Instant, limits: &Limits) -> Self {
        Self {
            end: started + Duration::from_secs(limits.session_seconds.into()),
            idle: Duration::from_secs(limits.idle_seconds.into()),
        }
    }

    /// When to stop a wait that begins now: for the host to send something, or to take something.
    pub(crate) fn of_wait(&self) -> Instant {
        self.end.min(Instant::now() + self.idle)
    }

    /// The end of the session, whatever happens.
    pub(crate) fn end(&self) -> Instant {
        self.end
    }

    /// Whether the session has lasted too long.
    pub(crate) fn has_passed(&self) -> bool {
        Instant::now() >= self.end
    }
}
