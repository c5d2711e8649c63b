//! How long each part of a run took.

use std::time::{Duration, Instant};

/// The parts of a run, in their order. The names are those of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Reaching the server, until it has spoken.
    Connect,
    /// Walking, reading, sending.
    Walk,
    /// From the last frame until the server says that it has the push.
    Seal,
    /// Waiting for the verdict.
    Verdict,
}

impl Phase {
    /// All of them.
    pub const ALL: [Phase; 4] = [Phase::Connect, Phase::Walk, Phase::Seal, Phase::Verdict];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Connect => "connect",
            Phase::Walk => "walk",
            Phase::Seal => "seal",
            Phase::Verdict => "verdict",
        }
    }
}

/// A clock that is always in one phase, or in none.
#[derive(Debug, Default)]
pub(super) struct Phases {
    spent: [Duration; Phase::ALL.len()],
    now: Option<(Phase, Instant)>,
}

impl Phases {
    /// Ends the phase that is under way, and begins `next`, if there is one.
    pub(super) fn enter(&mut self, next: Option<Phase>) {
        let now = Instant::now();
        if let Some((phase, since)) = self.now.take()
            && let Some(spent) = self.spent.get_mut(phase as usize)
        {
            *spent += now.saturating_duration_since(since);
        }
        self.now = next.map(|phase| (phase, now));
    }

    pub(super) fn spent(&self, phase: Phase) -> Duration {
        self.spent.get(phase as usize).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_counted_in_the_phase_it_was_spent_in() {
        let mut phases = Phases::default();
        phases.enter(Some(Phase::Connect));
        std::thread::sleep(Duration::from_millis(20));
        phases.enter(Some(Phase::Verdict));
        phases.enter(None);
        std::thread::sleep(Duration::from_millis(20));
        phases.enter(None);
        assert!(phases.spent(Phase::Connect) >= Duration::from_millis(20));
        assert!(phases.spent(Phase::Verdict) < Duration::from_millis(20));
        assert_eq!(phases.spent(Phase::Walk), Duration::ZERO);
    }
}
