//! How long a server is put up with.

use std::time::{Duration, Instant};

/// How long a server is put up with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Longest time without progress, while it owes us some.
    idle: Duration,
    /// Longest time in all. A server that takes a byte now and then makes progress, and would hold us for ever.
    session: Duration,
    end: Instant,
}

impl Patience {
    pub(super) fn new(idle_seconds: u32, session_seconds: u32) -> Self {
        let session = Duration::from_secs(session_seconds.into());
        Self { idle: Duration::from_secs(idle_seconds.into()), session, end: Instant::now() + session }
    }

    /// How long to wait for a server that has owed us progress since then; or why no longer.
    pub(super) fn left(&self, since: Instant) -> Result<Duration, String> {
        let of_session = self.of_session()?;
        let of_idle = self.idle.saturating_sub(since.elapsed());
        match of_idle.is_zero() {
            true => Err(format!("nothing moved for {} seconds", self.idle.as_secs())),
            false => Ok(of_idle.min(of_session)),
        }
    }

    /// How long to wait for one that owes nothing; or why no longer.
    pub(super) fn of_session(&self) -> Result<Duration, String> {
        let left = self.end.saturating_duration_since(Instant::now());
        match left.is_zero() {
            true => Err(format!("the session took longer than {} seconds", self.session.as_secs())),
            false => Ok(left),
        }
    }
}
