//! What a push is given, and what comes of it.

use formats::session::{Code, Role};
use formats::{PushId, Root};

use crate::commands::Runner;
use crate::plan::Plan;
use crate::walk::Ahead;

/// What is to be pushed.
#[derive(Debug)]
pub struct Job<'a> {
    /// The settings.
    pub plan: &'a Plan,
    /// The walk over the host, which has begun.
    pub ahead: Ahead,
    /// Now, in seconds since 1970.
    pub started: i64,
    /// The host's time zone.
    pub zone: String,
    /// How many entries there may be, for an estimate.
    pub entries_expected: Option<u64>,
    /// When the last run that walked to its end started, if that is known.
    pub walked_before: Option<i64>,
    /// Why it is pushed.
    pub role: Role,
    /// How it gets there.
    pub delivery: Delivery,
    /// Runs the dumps, if there are any.
    pub runner: Option<&'a mut Runner>,
}

/// How a push gets to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// In this session: sealed, it is there.
    Session,
    /// By a file, that may be under way for long.
    File,
}

/// A push that is sealed and not rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Which push.
    pub push: PushId,
    /// The state it brings.
    pub root: Root,
    /// What it applies to.
    pub base: Option<Root>,
    /// The server has it in its history. If not: not yet.
    pub is_accepted: bool,
    /// Why an earlier push was rejected, as this one has learnt.
    pub earlier: Option<Code>,
}
