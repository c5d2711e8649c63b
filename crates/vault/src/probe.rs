//! What came of the attempts to break a lock.

use std::fmt;

/// One attempt, and its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The call, in the words of the store, and its form.
    pub call: &'static str,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was refused.
    Refused {
        /// By which answer.
        by: String,
    },
    /// It added a version on top, which whoever may put can do; the first one was read back with its bytes and its lock.
    Shadowed,
    /// It was done, and changes nothing: the object was read back with its bytes, locked for as long as before.
    Held {
        /// What holds it.
        by: &'static str,
    },
    /// It cannot be done here, or would do harm if it were permitted.
    NotApplicable {
        /// Why.
        why: String,
    },
    /// The answer tells nothing about who may do it.
    Unclear {
        /// The answer.
        why: String,
    },
    /// Nothing but agreement stands against it: a warning where a vault cannot have more.
    ByAgreement {
        /// What would make it more.
        why: &'static str,
    },
    /// It was not done, and only for another reason than that it is not permitted.
    Permitted {
        /// The answer that shows it.
        by: String,
    },
    /// It was done.
    Done {
        /// What was done.
        what: String,
    },
}

impl Outcome {
    /// True if the lock does not hold against this call.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        matches!(self, Outcome::Permitted { .. } | Outcome::Done { .. })
    }

    /// One word for machines.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Refused { .. } => "refused",
            Outcome::Shadowed => "shadowed",
            Outcome::Held { .. } => "held",
            Outcome::NotApplicable { .. } => "not-applicable",
            Outcome::Unclear { .. } => "unclear",
            Outcome::ByAgreement { .. } => "by-agreement",
            Outcome::Permitted { .. } => "permitted",
            Outcome::Done { .. } => "done",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Refused { by } => write!(f, "refused: {by}"),
            Outcome::Shadowed => f.write_str("a version on top; the first one is whole and locked"),
            Outcome::Held { by } => write!(f, "taken, and locked for as long as before: {by}"),
            Outcome::NotApplicable { why } => write!(f, "not applicable: {why}"),
            Outcome::Unclear { why } => write!(f, "unclear: {why}"),
            Outcome::ByAgreement { why } => write!(f, "held by agreement only: {why}"),
            Outcome::Permitted { by } => write!(f, "PERMITTED: {by}"),
            Outcome::Done { what } => write!(f, "DONE: {what}"),
        }
    }
}
