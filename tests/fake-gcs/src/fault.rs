//! Named faults: each breaks one rule, and counts how often it did.

use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};
use std::sync::{Mutex, PoisonError};

/// A way for the server to be dishonest or unwell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A new object has no lock, whatever was asked for.
    LockLost,
    /// A new object's lock ends this many days earlier than asked for.
    LockShortened(u32),
    /// A change of a lock is answered with success, and not made.
    ChangeIgnored,
    /// The bytes of a new object are stored damaged, and the checksum is that of the right ones.
    DamagedBytes,
    /// The bytes of a new object are stored damaged, and so is the checksum: it is theirs.
    WrongChecksum,
    /// Any request is answered 503, and not done.
    Storm503,
    /// Any request is answered 429 with `Retry-After: 1`, and not done.
    TooMany429,
    /// The connection is closed in the middle of a part. What came is kept, in whole steps of 256 KiB.
    CutPart,
    /// So many bytes of a part are kept, in whole steps of 256 KiB, and the rest is not.
    KeepLess(usize),
    /// An upload forgets all it had.
    ForgetUpload,
    /// The connection is closed after a part was kept or an object stored, before the answer.
    CutAnswer,
    /// A body breaks off in the middle.
    CutBody,
    /// An upload is to go on at another server.
    Elsewhere,
    /// The list shows nothing.
    EmptyList,
    /// Preconditions are not looked at.
    IgnorePrecondition,
    /// An object is deleted or replaced although permissions or its lock refuse it.
    DeleteAllowed,
    /// A lock is shortened or removed although the rules refuse it.
    ShortenAllowed,
}

/// How often a fault strikes before it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// So many times.
    Count(u64),
    /// Until it is disarmed.
    Always,
}

#[derive(Debug, Default)]
struct Armed {
    faults: HashMap<Discriminant<Fault>, (Fault, Times)>,
    hits: HashMap<Discriminant<Fault>, u64>,
}

/// What is armed, and what has struck.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Armed>);

impl Faults {
    pub(crate) fn arm(&self, fault: Fault, times: Times) {
        self.with(|armed| armed.faults.insert(discriminant(&fault), (fault, times)));
    }

    pub(crate) fn disarm(&self, fault: Fault) {
        self.with(|armed| armed.faults.remove(&discriminant(&fault)));
    }

    pub(crate) fn hits(&self, fault: Fault) -> u64 {
        self.with(|armed| armed.hits.get(&discriminant(&fault)).copied().unwrap_or(0))
    }

    /// Asks whether a fault of this kind strikes now, as it was armed; a strike is counted. Its own numbers in `kind` do not matter.
    pub(crate) fn strike(&self, kind: Fault) -> Option<Fault> {
        let kind = discriminant(&kind);
        self.with(|armed| {
            let (fault, times) = armed.faults.get_mut(&kind)?;
            if let Times::Count(left) = times {
                *left = left.checked_sub(1)?;
            }
            let fault = *fault;
            *armed.hits.entry(kind).or_default() += 1;
            Some(fault)
        })
    }

    /// Whether it strikes now.
    pub(crate) fn strikes(&self, kind: Fault) -> bool {
        self.strike(kind).is_some()
    }

    fn with<T>(&self, act: impl FnOnce(&mut Armed) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
