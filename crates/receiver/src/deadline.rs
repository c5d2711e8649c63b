//! How long a session may last, how long it may be silent, and how slowly it may creep. Counted here from the first instant; no peer can
//! move it but by sending as fast as it should.

use std::time::{Duration, Instant};

use formats::Admission;
use formats::published::Limits;

/// The deadlines of one session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    end: Instant,
    idle: Duration,
    creep: Option<Creep>,
}

/// When a session that creeps ends: each byte puts it off by a little.
#[derive(Debug, Clone, Copy)]
struct Creep {
    end: Instant,
    least_bytes_second: u32,
}

impl Creep {
    fn put_off(&mut self, by: Duration) {
        self.end = self.end.checked_add(by).unwrap_or(self.end);
    }
}

impl Deadline {
    /// Counted from the start of the process.
    pub(crate) fn new(started: Instant, limits: &Limits) -> Self {
        Self {
            end: started + Duration::from_secs(limits.session_seconds.into()),
            idle: Duration::from_secs(limits.idle_seconds.into()),
            creep: None,
        }
    }

    /// From now on the host is waited for.
    pub(crate) fn host_begins(mut self, admission: &Admission) -> Self {
        let Admission { grace_seconds, least_bytes_second, .. } = *admission;
        let end = Instant::now() + Duration::from_secs(grace_seconds.into());
        self.creep = (least_bytes_second > 0).then_some(Creep { end, least_bytes_second });
        self
    }

    /// So many bytes have come.
    pub(crate) fn received(&mut self, bytes: usize) {
        if let Some(creep) = &mut self.creep {
            let nanoseconds =
                (bytes as u64).saturating_mul(1_000_000_000) / u64::from(creep.least_bytes_second);
            creep.put_off(Duration::from_nanos(nanoseconds));
        }
    }

    /// The host has waited for this side since then.
    pub(crate) fn host_waited(&mut self, since: Instant) {
        if let Some(creep) = &mut self.creep {
            creep.put_off(since.elapsed());
        }
    }

    /// When to stop a wait that begins now: for the host to send something, or to take something.
    pub(crate) fn of_wait(&self) -> Instant {
        self.of_talk().min(Instant::now() + self.idle)
    }

    /// The end of the session, whatever happens.
    pub(crate) fn end(&self) -> Instant {
        self.end
    }

    /// Whether the session has lasted too long.
    pub(crate) fn has_passed(&self) -> bool {
        Instant::now() >= self.of_talk()
    }

    fn of_talk(&self) -> Instant {
        self.creep.map_or(self.end, |creep| creep.end.min(self.end))
    }
}
