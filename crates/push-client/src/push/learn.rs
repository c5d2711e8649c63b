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

/// The remembered state that the server has too; none for a whole push.
pub(super) fn choose(
    state: &StateFolder,
    memory: &Memory,
    server: Option<Root>,
    monitor: &dyn Monitor,
) -> Option<(Root, Base)> {
    let server = server?;
    if memory.accepted != Some(server) {
        monitor.warn("the server has a state that is not remembered here: pushing everything");
        return None;
    }
    match state.base(server) {
        Ok(base) => Some((server, base)),
        Err(error) => {
            let error = cli::Failed::from(super::PushError::Base(error)).chain();
            monitor.warn(&format!("{error}: pushing everything"));
            None
        }
    }
}

/// Whether the push that was cut can be gone on with: only from a place that the journal knows.
pub(super) fn course(
    state: &StateFolder,
    memory: &Memory,
    message: &BaseMessage,
    base: Option<Root>,
) -> Course {
    let Some((push, frames)) = message.partial else { return Course::New };
    let Ok(Some(recalled)) = state.recall(push, frames) else { return Course::New };
    if recalled.head.base != base {
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
