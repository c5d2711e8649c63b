//! Waiting for one's turn at a history: whoever writes holds its lock for moments, or for as long as a push takes.

use std::time::{Duration, Instant};

use history::{HostHistory, Writing};

use crate::trouble::Trouble;

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Becomes the one who writes, as soon as nobody else does; gives up after so long.
pub(crate) fn write_within(place: &HostHistory, patience: Duration) -> Result<Writing, Trouble> {
    let began = Instant::now();
    loop {
        if let Some(alone) = place.write_lock().map_err(Trouble::history(place.host()))? {
            return Ok(alone);
        }
        if began.elapsed() >= patience {
            return Err(Trouble::Busy { host: place.host().clone() });
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
