//! The places for sessions that all jails share: files that are hard links to each other, one lock each. See decision 0015.

use durable::{Dir, Lock, Name};
use formats::session::Code;

use crate::fault::{Result, Stop};

const SLOTS: Name<'static> = Name::literal("slots");
/// More than any server has.
const SLOTS_MAX: usize = 1_024;

/// Takes one. The kernel frees it when this process ends, however it ends. A jail without slots shares none: the server sets no bound, or was
/// not asked yet.
///
/// Before this process is confined: after that it reaches no slot but its own.
pub(crate) fn take(jail: &Dir) -> Result<Option<Lock>> {
    let slots = match jail.open_dir(SLOTS) {
        Ok(slots) => slots,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(Stop::at("open the slots")(error)),
    };
    for name in slots.names_at_most(SLOTS_MAX).map_err(Stop::at("look at the slots"))? {
        // One that cannot be locked is not free. An administrator may be changing them just now.
        if let Ok(Some(lock)) = Name::new(&name).and_then(|name| slots.try_lock(name)) {
            return Ok(Some(lock));
        }
    }
    Err(Stop::refused(Code::Busy))
}
