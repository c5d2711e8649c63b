//! What the base message teaches: which earlier pushes were judged, what the server has, where a cut push stands.

use formats::Root;
use formats::published::Verdict;
use formats::push::Order;
use formats::session::{BaseMessage, Code};

use cli::Monitor;

use crate::state::{Base, Memory, Pending, Recalled, StateFolder};

/// How this push begins.
#[derive(Debug)]
pub(super) enum Course {
    /// Anew.
    New,
    /// The walk was cut: it is done again, without the contents that arrived.
    GoOn(Recalled),
    /// The list of changes was cut: it is sent again, as it was.
    Finish(Recalled, Pending),
}

/// Takes in the verdicts on pushes that waited for one. Returns why the last of them was rejected, if one was.
pub(super) fn learn(memory: &mut Memory, base: &BaseMessage, monitor: &dyn Monitor) -> Option<Code> {
    let mut rejected = None;
    for Pending { push, by_file, .. } in memory.pending.clone() {
        // The base alone tells nothing: it stays the same while pushes are rejected.
        memory.whole &= !matches!(base.published.verdict(push), Some(Verdict::Accepted { .. }));
        let arrived = base.queued.contains(&push) || base.partial.is_some_and(|(partial, _)| partial == push);
        match base.published.verdict(push) {
            Some(Verdict::Rejected { code }) => {
                monitor.warn(&format!("an earlier push ({push}) was rejected: {code}"));
                memory.forget(push);
                rejected = Some(code);
            }
            // If it is the base, it is kept by its root below; if not, a later one is.
            Some(Verdict::Accepted { .. }) if base.base().is_none_or(|root| !is_of(memory, push, root)) => {
                memory.forget(push);
            }
            Some(Verdict::Accepted { .. } | Verdict::Pending) => {}
            None if arrived || by_file => {}
            None => {
                monitor.info(&format!("an earlier push ({push}) never arrived"));
                memory.forget(push);
            }
        }
    }
    match base.base() {
        Some(root) if memory.roots().any(|known| known == root) => memory.accept(root),
        _ => memory.accepted = None,
    }
    rejected
}

fn is_of(memory: &Memory, push: formats::PushId, root: Root) -> bool {
    memory.pending.iter().any(|pending| pending.push == push && pending.root == root)
}

/// What a push builds on.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one in a push")]
pub(super) enum Chosen {
    /// Nothing: all of it is sent.
    Nothing,
    /// A state that the server has and this host remembers.
    Base(Root, Base),
    /// A state that only the server has: of it, contents are taken.
    Lender(Root),
}

/// Whether the server can be asked what its state has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lender {
    /// It answers offers.
    Answers,
    /// It does not, or is not to be believed.
    Mute,
}

impl Chosen {
    pub(super) fn base(&self) -> Option<Root> {
        match self {
            Chosen::Base(root, _) => Some(*root),
            Chosen::Nothing | Chosen::Lender(_) => None,
        }
    }

    pub(super) fn lender(&self) -> Option<Root> {
        match self {
            Chosen::Lender(root) => Some(*root),
            Chosen::Nothing | Chosen::Base(..) => None,
        }
    }
}

/// The remembered state that the server has too, or what else this push can build on.
pub(super) fn choose(
    state: &StateFolder,
    memory: &Memory,
    server: Option<Root>,
    lender: Lender,
    monitor: &dyn Monitor,
) -> Chosen {
    let Some(server) = server else { return Chosen::Nothing };
    let (chosen, done) = match lender {
        Lender::Answers => (Chosen::Lender(server), "everything is read, and what the server lacks is sent"),
        Lender::Mute => (Chosen::Nothing, "pushing everything"),
    };
    if memory.accepted != Some(server) {
        monitor.warn(&format!("the server has a state that is not remembered here: {done}"));
        return chosen;
    }
    match state.base(server) {
        Ok(base) => Chosen::Base(server, base),
        Err(error) => {
            let error = cli::Failed::from(super::PushError::Base(error)).chain();
            monitor.warn(&format!("{error}: {done}"));
            chosen
        }
    }
}

/// Whether the push that was cut can be gone on with: only from a place that the journal knows.
pub(super) fn course(state: &StateFolder, memory: &Memory, message: &BaseMessage, chosen: &Chosen) -> Course {
    let Some((push, frames)) = message.partial else { return Course::New };
    let Ok(Some(recalled)) = state.recall(push, frames) else { return Course::New };
    if (recalled.head.base, recalled.head.lender) != (chosen.base(), chosen.lender()) {
        return Course::New;
    }
    match recalled.mark.order {
        Order::Contents => Course::GoOn(recalled),
        Order::Entries => {
            let pending = memory.pending.iter().find(|pending| pending.push == push).copied();
            // Contents can no longer be added: only the very state that was walked then can be sealed.
            match pending.filter(|pending| state.manifest(pending.root).is_ok()) {
                Some(pending) => Course::Finish(recalled, pending),
                None => Course::New,
            }
        }
        Order::Start | Order::Sealed => Course::New,
    }
}
