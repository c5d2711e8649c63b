//! Named faults: each breaks one rule, and counts how often it did.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// A way for the server to be dishonest or unwell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// What an upload is answered names another tree hash than that of what is stored.
    WrongTreeHash,
    /// Any request is answered 503, and not done.
    ServerError503,
    /// The connection is closed after an archive was made, before the answer.
    CutAnswer,
    /// DeleteArchive is done although rights or the vault lock refuse it.
    DeleteAllowed,
    /// DeleteArchive is done, and answered as refused; the lock is gone too.
    UnlockedAndDenied,
    /// One bit of an archive's output is wrong; what is stored, and the hash that goes with it, are not.
    FlippedBit,
}

/// How often a fault strikes before it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// So many times.
    Count(u64),
    /// For good.
    Always,
}

#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<HashMap<Fault, (Times, u64)>>);

impl Faults {
    pub(crate) fn arm(&self, fault: Fault, times: Times) {
        self.with(|armed| armed.insert(fault, (times, 0)));
    }

    pub(crate) fn hits(&self, fault: Fault) -> u64 {
        self.with(|armed| armed.get(&fault).map_or(0, |(_, hits)| *hits))
    }

    /// Whether a fault strikes now; a strike is counted.
    pub(crate) fn strike(&self, fault: Fault) -> bool {
        self.with(|armed| {
            let Some((times, hits)) = armed.get_mut(&fault) else { return false };
            if matches!(times, Times::Count(most) if *hits >= *most) {
                return false;
            }
            *hits += 1;
            true
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<Fault, (Times, u64)>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
