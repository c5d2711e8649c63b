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
