//! What goes back: status, headers, and a body that may break off.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::Response;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{HeaderName, HeaderValue};
use serde_json::Value;

use crate::refusal::Refusal;

/// An answer under construction.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    breaks_off: bool,
}

impl Answer {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new(), breaks_off: false }
    }

    pub(crate) fn json(document: &Value) -> Self {
        Self::new(200)
            .with("content-type", "application/json; charset=UTF-8")
            .body(document.to_string().into())
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    /// Half of the body is sent, then nothing more.
    pub(crate) fn breaking_off(mut self) -> Self {
        self.breaks_off = true;
        self
    }

    pub(crate) fn refused(refusal: &Refusal) -> Self {
        let answer = Self { status: refusal.status, ..Self::json(&refusal.document()) };
        if refusal.status == 429 { answer.with("retry-after", "1") } else { answer }
    }

    pub(crate) fn into_response(self) -> Response<Outgoing> {
        let announced = self.body.len() as u64;
        let mut body = self.body;
        if self.breaks_off {
            body.truncate(body.len() / 2);
        }
        let mut response = Response::new(Outgoing { announced, body, breaks_off: self.breaks_off });
        if let Ok(status) = self.status.try_into() {
            *response.status_mut() = status;
        }
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

/// A body on its way out.
pub(crate) struct Outgoing {
    announced: u64,
    body: Bytes,
    breaks_off: bool,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let body = std::mem::take(&mut self.body);
        if !body.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(body))));
        }
        Poll::Ready(self.breaks_off.then(|| Err(std::io::ErrorKind::BrokenPipe.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_empty() && !self.breaks_off
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.announced)
    }
}
