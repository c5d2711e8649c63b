//! What a session before this one left in `incoming`: a push to go on with, one that lacks only its renaming, or nothing of use.

use formats::PushId;
use formats::session::Role;
use wire::partial::{End, Partial};
use wire::server::Fate;

use crate::clock::now;
use crate::deadline::Deadline;
use crate::fault::Result;
use crate::push_file::PushFile;
use crate::queue::Queue;
use crate::spool::Spool;
use crate::state::State;

/// What was found.
enum Found {
    /// Whole frames without a seal.
    Open(Box<Partial>),
    /// A whole push; it lies among the sealed ones now.
    Sealed(PushId, Role),
    /// Nothing that could ever be sealed.
    Nothing,
}

/// The push file to go on with, up to its last whole frame, if there is one. What could never be sealed is discarded, also when
/// it ends the session: it must not meet the next one.
pub(crate) fn take_up(
    spool: &Spool,
    state: &State,
    queue: &mut Queue,
    deadline: Deadline,
) -> Result<Option<(PushFile, Partial)>> {
    let Some(mut file) = spool.reopen_current()? else { return Ok(None) };
    let found = look(&mut file, spool, deadline, |partial| belongs(partial, state, queue));
    match &found {
        Ok(Found::Nothing) => spool.discard_current()?,
        Err(stop) if stop.fate() == Fate::Discard => spool.discard_current()?,
        _ => {}
    }
    match found? {
        Found::Open(partial) => return Ok(Some((file, *partial))),
        Found::Sealed(push, role) => queue.add(push, role, now()),
        Found::Nothing => {}
    }
    Ok(None)
}

fn look(
    file: &mut PushFile,
    spool: &Spool,
    deadline: Deadline,
    belongs: impl Fn(&Partial) -> bool,
) -> Result<Found> {
    let Some(partial) = file.scan(deadline)?.filter(belongs) else { return Ok(Found::Nothing) };
    if partial.end == End::Open {
        return Ok(Found::Open(Box::new(partial)));
    }
    // The session that wrote the seal may have seen its fsync fail, and died before it could discard the file. What was lost
    // then still reads well from memory, and the next fsync has nothing to complain of: only the disk tells.
    if file.read_back(deadline)?.as_ref() != Some(&partial) {
        return Ok(Found::Nothing);
    }
    let role = spool.seal_current(file)?;
    Ok(Found::Sealed(partial.push(), role))
}

/// Of this host, and not a push that is known already.
fn belongs(partial: &Partial, state: &State, queue: &Queue) -> bool {
    let published = state.seen();
    let push = partial.push();
    partial.header.host == published.host && published.verdict(push).is_none() && !queue.ids.contains(&push)
}
