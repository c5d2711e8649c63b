//! One case: what is sent, which way, and what must come of it.

use pipeline_tests::rawpush::{Draft, Entry, Talk, put};

use super::ground::Facts;

/// What must come of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// The receiver refuses with this code; nothing is sealed.
    Refused(u16),
    /// The receiver seals it, knowing nothing of its inside; the snapshotter rejects it with this code.
    Rejected(u16),
    /// It is strange, and harmless: it becomes a snapshot.
    Accepted,
    /// The receiver has this push already and answers so; nothing is written.
    Answered,
    /// The receiver has forgotten this push, or was left out; the snapshotter has not: the file goes, and nothing else happens.
    Repeated,
    /// The session ends, or is ended, without a refusal; nothing is sealed.
    Nothing,
}

/// What is sent.
pub(crate) enum Attack {
    /// A whole session: `new`, the frames, `bye`.
    Push(Draft),
    /// Any bytes to the receiver, after its base message; then the end of the input.
    Talk(Vec<u8>),
    /// Bytes to one session, and after its end bytes to another.
    Twice(Vec<u8>, Vec<u8>),
    /// A session driven step by step, then the end of the input.
    Act(Act),
    /// A file among the sealed ones, without the receiver.
    File(Vec<u8>),
}

/// Drives a session. What it does not hear itself is collected afterwards.
pub(crate) type Act = Box<dyn Fn(&mut Talk)>;

type Make = Box<dyn Fn(&Facts) -> Attack>;

/// One case.
pub(crate) struct Case {
    /// What the host does.
    pub(crate) name: String,
    /// What must come of it.
    pub(crate) expect: Expect,
    /// Makes what is sent, from what the host knows.
    pub(crate) make: Make,
}

/// A case.
pub(crate) fn case(
    name: impl Into<String>,
    expect: Expect,
    make: impl Fn(&Facts) -> Attack + 'static,
) -> Case {
    Case { name: name.into(), expect, make: Box::new(make) }
}

/// A push without a base of these entries, with these contents.
pub(crate) fn whole(
    name: impl Into<String>,
    expect: Expect,
    contents: &'static [&'static [u8]],
    entries: impl Fn() -> Vec<Entry> + 'static,
) -> Case {
    case(name, expect, move |facts| Attack::Push(Draft::whole(&facts.header, contents, &entries())))
}

/// A push against the base: these changes, sealed for this result.
pub(crate) fn delta(facts: &Facts, changes: &[Vec<u8>], result: &[Entry]) -> Attack {
    Attack::Push(Draft::new(&facts.header.clone().on(facts.base)).changes(changes).sealed(result))
}

/// A push against the base that puts these entries, sealed for what results when they replace or join the base's.
pub(crate) fn puts(facts: &Facts, entries: &[Entry]) -> Attack {
    let changes: Vec<_> = entries.iter().map(put).collect();
    delta(facts, &changes, &facts.with(entries))
}
