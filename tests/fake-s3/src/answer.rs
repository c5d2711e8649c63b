//! What goes back: status, headers, and a body of pieces that are not copied.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::Response;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue};

use crate::refusal::Refusal;
use crate::segments::Segments;
use crate::xml::Xml;

/// An answer under construction.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    body: Segments,
    is_cut: bool,
}

impl Answer {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Segments::default(), is_cut: false }
    }

    /// The connection will be closed after half of the body.
    pub(crate) fn cut(mut self) -> Self {
        self.is_cut = true;
        self
    }

    pub(crate) fn xml(document: String) -> Self {
        Self::new(200).with("content-type", "application/xml").body(Bytes::from(document))
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn with_some(self, name: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(crate) fn with_all(mut self, headers: impl IntoIterator<Item = (String, String)>) -> Self {
        self.headers.extend(headers);
        self
    }

    pub(crate) fn body(mut self, piece: Bytes) -> Self {
        self.body.push(piece);
        self
    }

    pub(crate) fn data(mut self, data: Segments) -> Self {
        self.body = data;
        self
    }

    pub(crate) fn refused(refusal: Refusal, resource: &str) -> Self {
        let mut xml = Xml::error();
        xml.text("Code", refusal.code).text("Message", &refusal.message).text("Resource", resource);
        let answer = Self::xml(xml.end("Error"));
        let headers = refusal.headers.into_iter().map(|(name, value)| (name.to_owned(), value));
        Self { status: refusal.status, ..answer.with_all(headers) }
    }

    /// The answer to HEAD keeps the length and leaves the body out.
    pub(crate) fn into_response(self, method: &str) -> Response<Outgoing> {
        let length = self.body.length();
        let is_head = method == "HEAD";
        let body = match (is_head, self.is_cut) {
            (true, _) => Segments::default(),
            (false, true) => self.body.range(0..length / 2),
            (false, false) => self.body,
        };
        let left = if is_head { 0 } else { length };
        let is_cut = self.is_cut;
        let mut response = Response::new(Outgoing { left, pieces: body.into_pieces().into(), is_cut });
        if let Ok(status) = self.status.try_into() {
            *response.status_mut() = status;
        }
        let headers = response.headers_mut();
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.insert(name, value);
            }
        }
        if is_head {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        response
    }
}

/// The connection is closed without an answer, or in the middle of one.
#[derive(Debug)]
pub(crate) struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("the connection is cut")
    }
}

impl std::error::Error for Cut {}

/// Pieces on their way out.
pub(crate) struct Outgoing {
    pieces: VecDeque<Bytes>,
    left: u64,
    is_cut: bool,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let piece = self.pieces.pop_front();
        self.left -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        match piece {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            None => Poll::Ready(self.is_cut.then_some(Err(Cut))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && !self.is_cut
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
