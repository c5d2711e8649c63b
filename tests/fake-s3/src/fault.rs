//! Named faults: each breaks one rule, and counts how often it did.

use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};
use std::sync::{Mutex, PoisonError};

/// A way for the server to be dishonest or unwell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A completed multipart upload has no lock, whatever its creation asked for.
    LockLostOnMultipart,
    /// A new object's lock ends this many days earlier than asked for.
    LockShortened(u32),
    /// GetObjectRetention answers 500.
    RetentionReadBackFails,
    /// The bytes of an upload are stored damaged, and its checksums are taken for right.
    WrongChecksumAccepted,
    /// Any request is answered 503 `ServiceUnavailable`, and not done.
    ServerError503Storm,
    /// Any request is answered 429 `SlowDown`, and not done.
    SlowDown429,
    /// The connection is closed in the middle of a part, which is not kept.
    CutPart,
    /// The connection is closed after an object was put or an upload completed, before the answer.
    CutAnswer,
    /// The connection is closed after an upload was created, before the answer.
    CutCreation,
    /// The connection is closed in the middle of the bytes of an object.
    CutGet,
    /// Lists do not show the newest so many versions.
    StaleList(usize),
    /// DeleteObject (which lays a delete marker) is done although policies refuse it.
    DeleteAllowed,
    /// A version is deleted although policies or its lock refuse it.
    DeleteVersionAllowed,
    /// A lock is shortened, weakened or removed although the rules refuse it.
    ShortenAllowed,
    /// A put to a key that exists replaces its versions, locked or not.
    OverwriteReplaces,
    /// The bypass header is honoured without permission, and against COMPLIANCE.
    BypassAllowed,
    /// The bucket's policy is written or deleted although policies refuse it.
    PolicyWritable,
    /// Lifecycle rules are written although policies refuse it.
    LifecycleWritable,
    /// Versioning is suspended although policies or object lock refuse it.
    VersioningSuspendable,
    /// `If-None-Match: *` does not keep an object from being put over another.
    IgnoreIfNoneMatch,
    /// A version is deleted, whatever protects it, and the answer says that it was refused.
    DeletedAndDenied,
    /// A document that is none is refused with 400 before it is asked who sends it.
    MalformedBeforeDenied,
    /// Settings of inventory, acceleration and others unheard of are taken for CreateBucket, and refused with 400 to whoever is known.
    SettingsUnknown,
    /// One bit of an answer to GetObject is wrong; what is stored is not.
    FlippedBit,
}

/// How often a fault strikes before it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// So many times.
    Count(u64),
    /// Once, when so many chances have gone by.
    After(u64),
    /// Until it is disarmed, when so many chances have gone by.
    From(u64),
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
            match times {
                Times::Always | Times::From(0) => {}
                Times::From(left) => {
                    *left -= 1;
                    return None;
                }
                Times::Count(left) => *left = left.checked_sub(1)?,
                Times::After(0) => *times = Times::Count(0),
                Times::After(left) => {
                    *left -= 1;
                    return None;
                }
            }
            let fault = *fault;
            *armed.hits.entry(kind).or_default() += 1;
            Some(fault)
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Armed) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
