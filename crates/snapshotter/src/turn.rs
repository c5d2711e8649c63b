//! Waiting for one's turn at a history: whoever writes holds its lock for moments, or for as long as a push takes.

use std::time::{Duration, Instant};

use history::{HostHistory, Removing, Writing};

use crate::trouble::Trouble;

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Becomes the one who writes, as soon as nobody else does; gives up after so long.
pub(crate) fn write_within(place: &HostHistory, patience: Duration) -> Result<Writing, Trouble> {
    within(place, patience, || place.write_lock().map_err(Trouble::history(place.host())))
}

/// Becomes the one who writes, while nobody reads any snapshot. Holds up neither a writer nor a reader while it waits for the other.
pub(crate) fn write_unread_within(
    place: &HostHistory,
    patience: Duration,
) -> Result<(Writing, Vec<Removing>), Trouble> {
    let at = || Trouble::history(place.host());
    within(place, patience, || {
        let Some(alone) = place.write_lock().map_err(at())? else { return Ok(None) };
        let log = place.log().map_err(at())?;
        let unread = log.snapshots().iter().map(|snapshot| place.removal_lock(&snapshot.name));
        let unread: Option<Vec<Removing>> = unread.collect::<Result<_, _>>().map_err(at())?;
        Ok(unread.map(|unread| (alone, unread)))
    })
}

fn within<T>(
    place: &HostHistory,
    patience: Duration,
    mut take: impl FnMut() -> Result<Option<T>, Trouble>,
) -> Result<T, Trouble> {
    let began = Instant::now();
    loop {
        if let Some(taken) = take()? {
            return Ok(taken);
        }
        if began.elapsed() >= patience {
            return Err(Trouble::Busy { host: place.host().clone() });
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
