//! No answer that is read whole is longer than any should be: the SDK itself has no limit.

use std::pin::Pin;
use std::task::{Context, Poll};

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Longest answer: a page has 1,000 items, and a key of 1,024 bytes takes six times as many at most.
pub(crate) const ANSWER_BYTES_MAX: u64 = 16 << 20;
/// Whose bodies are handed on as they come, when the call went well.
const STREAMED: [&str; 2] = ["GetObject", "GetJobOutput"];

/// Lays a limit on every answer on its way in.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) most: u64,
}

impl Intercept for Bound {
    fn name(&self) -> &'static str {
        "the length of answers"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        call: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let is_streamed = call.load::<Metadata>().is_some_and(|call| STREAMED.contains(&call.name()));
        let answer = context.response_mut();
        if is_streamed && answer.status().is_success() {
            return Ok(());
        }
        let body = Box::pin(std::mem::replace(answer.body_mut(), SdkBody::taken()));
        *answer.body_mut() = SdkBody::from_body_1_x(Short { body, left: self.most });
        Ok(())
    }
}

/// A body that must end in time.
struct Short {
    body: Pin<Box<SdkBody>>,
    left: u64,
}

impl Body for Short {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let next = Body::poll_frame(self.body.as_mut(), context);
        if let Poll::Ready(Some(Ok(frame))) = &next {
            let came = frame.data_ref().map_or(0, Bytes::len) as u64;
            match self.left.checked_sub(came) {
                Some(left) => self.left = left,
                None => {
                    return Poll::Ready(Some(Err("the store's answer is longer than any should be".into())));
                }
            }
        }
        next
    }

    fn is_end_stream(&self) -> bool {
        Body::is_end_stream(&*self.body)
    }

    fn size_hint(&self) -> SizeHint {
        Body::size_hint(&*self.body)
    }
}
