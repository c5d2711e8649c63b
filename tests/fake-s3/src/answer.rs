//! What goes back: status, headers, and a body of pieces that are not copied.

use std::collections::VecDeque;
use std::convert::Infallible;
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
}

impl Answer {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Segments::default() }
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
        let pieces = if is_head { VecDeque::new() } else { self.body.into_pieces().into() };
        let mut response = Response::new(Outgoing { left: if is_head { 0 } else { length }, pieces });
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

/// Pieces on their way out.
pub(crate) struct Outgoing {
    pieces: VecDeque<Bytes>,
    left: u64,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.pop_front();
        self.left -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
