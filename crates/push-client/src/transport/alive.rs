//! Whether a server that says nothing is still there. libssh2 asks and tells nobody of the answer; that bytes arrive at all is the answer.

use std::time::{Duration, Instant};

use ssh2::Session;

use super::ending::{Ended, Ending};

/// So many questions without an answer, and the server counts as gone.
const UNANSWERED_MAX: u32 = 3;
/// libssh2 keeps a clock of whole seconds by itself. Ours decides: its own must always have run out by then.
pub(super) const LEAST_SECONDS: u32 = 2;

/// When the server was last heard, and asked.
#[derive(Debug)]
pub(super) struct Alive {
    interval: Option<Duration>,
    last: Instant,
    unanswered: u32,
}

impl Alive {
    /// Asks after `seconds` of silence; never, if that is 0.
    pub(super) fn new(session: &Session, seconds: u32) -> Self {
        let interval = (seconds > 0).then(|| Duration::from_secs(seconds.max(LEAST_SECONDS).into()));
        if interval.is_some() {
            session.set_keepalive(true, LEAST_SECONDS);
        }
        Self { interval, last: Instant::now(), unanswered: 0 }
    }

    /// Bytes have come.
    pub(super) fn heard(&mut self) {
        self.last = Instant::now();
        self.unanswered = 0;
    }

    /// How long until it is to be asked.
    pub(super) fn due(&self) -> Option<Duration> {
        let silence = self.last.elapsed();
        self.interval.map(|interval| (interval * (self.unanswered + 1)).saturating_sub(silence))
    }

    /// Asks, if it is time. Nothing of the channel may be half sent: libssh2 would mistake this for the rest of it.
    pub(super) fn ask(&mut self, session: &Session) -> Result<(), Ended> {
        if self.due() != Some(Duration::ZERO) {
            return Ok(());
        }
        if self.unanswered == UNANSWERED_MAX {
            let silence = self.last.elapsed().as_secs();
            return Err(Ended::new(Ending::Lost, format!("the server was silent for {silence} seconds")));
        }
        self.unanswered += 1;
        match session.keepalive_send() {
            Ok(_) => Ok(()),
            Err(error) => Err(Ended::new(Ending::Lost, error.message().to_owned())),
        }
    }
}
