//! A limit on the bytes sent in a second, shared by all parts under way.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

/// What is sent at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// A line slower than this many bytes a second, all parts together, is given up.
const SLOWEST_BYTES_PER_SECOND: u64 = 16 * 1024;

/// The slowest that a part may be, where all parts under way share the line and the limit.
#[derive(Debug)]
pub(crate) struct Slowest {
    parallel_parts: u64,
    bytes_per_second: u64,
}

impl Slowest {
    pub(crate) fn new(parallel_parts: usize, limit: Option<u64>) -> Self {
        // Half of the limit: what is tried again shares it too.
        let limit = limit.map_or(u64::MAX, |limit| limit / 2);
        let bytes_per_second = limit.clamp(1, SLOWEST_BYTES_PER_SECOND);
        Slowest { parallel_parts: (parallel_parts as u64).max(1), bytes_per_second }
    }

    /// How long one try of sending a part of `bytes` may take.
    pub(crate) fn wait(&self, bytes: u64) -> Duration {
        Duration::from_secs(bytes.saturating_mul(self.parallel_parts) / self.bytes_per_second)
    }
}

/// When the next byte may be sent.
#[derive(Debug)]
pub(crate) struct Pace {
    bytes_per_second: u64,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    pub(crate) fn new(bytes_per_second: u64) -> Self {
        Pace { bytes_per_second: bytes_per_second.max(1), next: Mutex::new(None) }
    }

    /// When `bytes` more may begin. Time that nobody used is lost.
    fn reserve(&self, bytes: usize) -> Instant {
        let took = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let begin = next.map_or(now, |next| next.max(now));
        *next = Some(begin + took);
        begin
    }

    /// A body that is sent no faster.
    pub(crate) fn body(self: &Arc<Self>, bytes: Bytes) -> Paced {
        Paced { pace: Arc::clone(self), rest: bytes, wait: None }
    }
}

/// Bytes that wait for their turn.
pub(crate) struct Paced {
    pace: Arc<Pace>,
    rest: Bytes,
    wait: Option<Pin<Box<Sleep>>>,
}

impl Body for Paced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        if this.rest.is_empty() {
            return Poll::Ready(None);
        }
        let length = this.rest.len().min(CHUNK_BYTES);
        let wait = this.wait.get_or_insert_with(|| Box::pin(sleep_until(this.pace.reserve(length))));
        if wait.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        this.wait = None;
        Poll::Ready(Some(Ok(Frame::data(this.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_share_the_slowest_line_or_limit_are_waited_for() {
        let part_bytes = 64 << 20;
        for (parallel, limit) in
            [(1, None), (4, None), (32, None), (4, Some(16 * 1024)), (32, Some(20_000)), (4, Some(1 << 30))]
        {
            let slowest = Slowest::new(usize::try_from(parallel).unwrap(), limit);
            // What all parts under way take on a line that is as slow as can be, or as the settings allow.
            let rate = limit.unwrap_or(u64::MAX).min(SLOWEST_BYTES_PER_SECOND);
            let all = Duration::from_secs(part_bytes * parallel / rate);
            let wait = slowest.wait(part_bytes);
            assert!(wait >= all, "{parallel} {limit:?}: {wait:?} for {all:?}");
        }
    }
}
