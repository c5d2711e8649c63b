//! Notes how a session ended, for `snapshotter status`. A note that cannot be made is not made: nothing depends on it.

use std::io::Read;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use durable::{Dir, Lock, Name};
use formats::attempt::{self, End, FILE_BYTES};
use formats::session::Role;

const ATTEMPTS: Name<'static> = Name::literal("attempts");
/// Another session of this host may be noting its own end: a matter of microseconds.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(25);

/// Adds one session to the file in `incoming`.
pub(crate) fn note(incoming: &Dir, end: End, role: Role, now: i64) {
    // Whatever fails here, the session has ended as it did.
    let _ = write(incoming, end, role, now);
}

fn write(incoming: &Dir, end: End, role: Role, now: i64) -> Option<()> {
    let _alone = lock(incoming)?;
    let file = incoming.open_read_write(ATTEMPTS).ok()?;
    let mut bytes = Vec::new();
    (&file).take(FILE_BYTES as u64 + 1).read_to_end(&mut bytes).ok()?;
    if bytes.len() > FILE_BYTES {
        file.set_len(0).ok()?;
        bytes.clear();
    }
    let (attempt, place) = attempt::add(&bytes, end, role, now);
    file.write_all_at(&attempt.encode(), place).ok()
}

fn lock(incoming: &Dir) -> Option<Lock> {
    for _ in 0..TRIES {
        if let Some(lock) = incoming.try_lock(ATTEMPTS).ok()? {
            return Some(lock);
        }
        std::thread::sleep(PAUSE);
    }
    None
}
