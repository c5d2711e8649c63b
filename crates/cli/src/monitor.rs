//! How the parts of a program tell what goes on, without knowing who listens.

use crate::console::Meter;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something to look at; always printed.
    Warning,
    /// What is done, step by step; printed from `-v`.
    Info,
    /// What a developer asks for; printed from `-vv`.
    Detail,
}

/// The size of a task, in what it is counted in. The total may be unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// Bytes.
    Bytes(Option<u64>),
    /// Files, entries, segments: things.
    Items(Option<u64>),
}

impl Amount {
    /// The total, where it is known.
    #[must_use]
    pub fn total(self) -> Option<u64> {
        match self {
            Amount::Bytes(total) | Amount::Items(total) => total,
        }
    }

    /// `n` in this unit, for people.
    #[must_use]
    pub fn describe(self, n: u64) -> String {
        match self {
            Amount::Bytes(_) => indicatif::HumanBytes(n).to_string(),
            Amount::Items(_) => indicatif::HumanCount(n).to_string(),
        }
    }
}

/// Who listens. Parts of a program report to this trait; only the edge prints.
///
/// Lines are single sentences in lower case; bytes from outside are in them only as [`crate::shown`] gives them.
pub trait Monitor: Send + Sync {
    /// One line.
    fn say(&self, level: Level, text: &str);

    /// Begins a task that takes a while. It ends when the task is dropped. Tasks may run side by side.
    fn task(&self, name: &str, amount: Amount) -> Task;

    /// A line of [`Level::Warning`].
    fn warn(&self, text: &str) {
        self.say(Level::Warning, text);
    }

    /// A line of [`Level::Info`].
    fn info(&self, text: &str) {
        self.say(Level::Info, text);
    }

    /// A line of [`Level::Detail`].
    fn detail(&self, text: &str) {
        self.say(Level::Detail, text);
    }
}

/// A task under way.
#[derive(Debug)]
pub struct Task(Option<Meter>);

impl Task {
    /// A task nobody watches.
    #[must_use]
    pub fn silent() -> Task {
        Task(None)
    }

    pub(crate) fn watched(meter: Meter) -> Task {
        Task(Some(meter))
    }

    /// `by` more are done.
    pub fn advance(&self, by: u64) {
        if let Some(meter) = &self.0 {
            meter.advance(by);
        }
    }
}

/// Nobody listens: for tests, and for children whose parent reports.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Monitor for Silent {
    fn say(&self, _level: Level, _text: &str) {}

    fn task(&self, _name: &str, _amount: Amount) -> Task {
        Task::silent()
    }
}
