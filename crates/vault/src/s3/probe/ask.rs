//! One request as it is written here, and the answer as it came. The SDK signs it, sends it and tries it again; the call that carries it there is
//! HeadBucket, which would do no harm if it were sent as it is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::SdkBody;
use bytes::Bytes;

use super::super::checksum::Crc;
use super::super::fault::Fault;
use super::super::store::Store;
use crate::{Result, VaultError};

const ATTEMPTS: u32 = 4;
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// Longest code of an answer that is passed on.
const CODE_CHARS_MAX: usize = 60;

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    Bucket,
    Object,
}

/// Who sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    /// The vault's credentials.
    Own,
    /// Nobody, who may do nothing.
    Nobody,
}

/// A request.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) on: On,
    /// Without its question mark.
    pub(super) query: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
}

impl Request {
    pub(super) fn new(method: &'static str, on: On, query: impl Into<String>) -> Self {
        Request { method, on, query: query.into(), headers: Vec::new(), body: Bytes::new() }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With the checksum that changes of settings and locks need.
    pub(super) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        let crc = Crc::of(&self.body).text();
        self.header("x-amz-checksum-crc64nvme", crc).header("x-amz-sdk-checksum-algorithm", "CRC64NVME")
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The store's word for a refusal; empty if there is none.
    pub(super) code: String,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn is_done(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}{}", self.status, if self.code.is_empty() { "" } else { " " }, self.code)
    }
}

#[derive(Debug)]
struct Shape {
    request: Request,
    sender: Sender,
    key: String,
    seen: Arc<Mutex<Option<Answer>>>,
}

impl Intercept for Shape {
    fn name(&self) -> &'static str {
        "a probe"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> std::result::Result<(), BoxError> {
        let sent = context.request_mut();
        let uri = shaped(sent.uri(), &self.request, &self.key);
        sent.set_method(self.request.method)?;
        sent.set_uri(uri)?;
        for (name, value) in &self.request.headers {
            sent.headers_mut().try_insert(*name, value.clone())?;
        }
        *sent.body_mut() = SdkBody::from(self.request.body.clone());
        // What an earlier try heard does not count.
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> std::result::Result<(), BoxError> {
        if self.sender == Sender::Nobody {
            context.request_mut().headers_mut().remove("authorization");
        }
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> std::result::Result<(), BoxError> {
        let answer = context.response();
        let body = Bytes::copy_from_slice(answer.body().bytes().unwrap_or_default());
        let (status, code) = (answer.status().as_u16(), code(&body));
        let answer = Answer { status, code, body };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        Ok(())
    }
}

/// The bucket's own address, as HeadBucket has it, with the rest of this request.
fn shaped(bucket: &str, request: &Request, key: &str) -> String {
    let bucket = bucket.split('?').next().unwrap_or_default().trim_end_matches('/');
    let has_path = bucket.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    let path = match request.on {
        On::Object => format!("/{}", encoded(key, "/")),
        On::Bucket if has_path => String::new(),
        On::Bucket => "/".to_owned(),
    };
    let question = if request.query.is_empty() { "" } else { "?" };
    format!("{bucket}{path}{question}{}", request.query)
}

/// All but unreserved letters and those in `kept` as percent signs.
pub(super) fn encoded(text: &str, kept: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for byte in text.bytes() {
        let letter = char::from(byte);
        if letter.is_ascii_alphanumeric() || "-_.~".contains(letter) || kept.contains(letter) {
            result.push(letter);
        } else {
            result.push_str(&format!("%{byte:02X}"));
        }
    }
    result
}

/// What stands in the first `<Code>`, if it can be one.
fn code(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let found = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    let found = found.map(|(code, _)| code).unwrap_or_default();
    found.chars().filter(char::is_ascii_alphanumeric).take(CODE_CHARS_MAX).collect()
}

impl Store {
    /// Sends a request about the bucket or about `key`. Only an answer is an answer: what was lost on the way is [`VaultError::Unreachable`].
    pub(super) async fn ask(&self, request: &Request, sender: Sender, key: &str) -> Result<Answer> {
        let seen = Arc::new(Mutex::new(None));
        let (own, key) = (request.clone(), key.to_owned());
        let shape = Shape { request: own, sender, key, seen: Arc::clone(&seen) };
        let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(FIRST_WAIT);
        let call = self.client.head_bucket().bucket(&self.bucket).customize();
        let call = call.config_override(self.patience(0).retry_config(retries)).interceptor(shape);
        let sent = call.send().await;
        let answer = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (answer, sent) {
            (Some(answer), _) => Ok(answer),
            (None, Err(error)) => Err(Fault::from(error).into_error("probe", &self.bucket, "s3:ListBucket")),
            (None, Ok(_)) => Err(unanswered(&self.bucket)),
        }
    }
}

fn unanswered(bucket: &str) -> VaultError {
    VaultError::failed("probe", bucket)(std::io::Error::other("the store's answer was not seen"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_goes_to_the_bucket_or_to_the_key_of_either_style() {
        let bucket = Request::new("PUT", On::Bucket, "policy");
        let object = Request::new("DELETE", On::Object, "versionId=a%2Fb");
        let bare = Request::new("DELETE", On::Bucket, "");
        assert_eq!(shaped("http://h:1/ice", &bucket, "k"), "http://h:1/ice?policy");
        assert_eq!(shaped("https://ice.h/?x=1", &bucket, "k"), "https://ice.h/?policy");
        assert_eq!(shaped("http://h:1/ice/", &object, "a/k"), "http://h:1/ice/a/k?versionId=a%2Fb");
        assert_eq!(shaped("https://ice.h/", &object, "a/k"), "https://ice.h/a/k?versionId=a%2Fb");
        assert_eq!(shaped("https://ice.h", &bare, "k"), "https://ice.h/");
    }

    #[test]
    fn a_code_is_a_word_or_nothing() {
        assert_eq!(code(b"<Error><Code>AccessDenied</Code></Error>"), "AccessDenied");
        assert_eq!(code(b"<Code>\x1b[2Jx</Code>"), "2Jx");
        assert_eq!(code(b"<Code>endless"), "");
        assert_eq!(code(b"\xff\xfe"), "");
        assert_eq!(code(format!("<Code>{}</Code>", "a".repeat(5_000)).as_bytes()).len(), CODE_CHARS_MAX);
    }
}
