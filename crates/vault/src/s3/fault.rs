//! What the SDK says went wrong, in the words of a vault.

use std::error::Error;
use std::io;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::{ObjectName, VaultError};

/// Longest message of a provider that is passed on.
const MESSAGE_CHARS_MAX: usize = 300;

/// Answers to somebody whom the provider does not know, or no longer: they show nothing about what the credentials may do.
pub(super) const UNKNOWN_SENDER: [&str; 11] = [
    "AccountProblem",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidSecurity",
    "InvalidToken",
    "NotSignedUp",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "AuthorizationHeaderMalformed",
];

/// A call that failed, after all its retries.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Status of the answer; none if there was no answer.
    pub(crate) status: Option<u16>,
    /// The provider's word for it; empty if there is none, as after HEAD.
    pub(crate) code: String,
    source: io::Error,
}

/// What a provider answered instead of doing what was asked.
#[derive(Debug, thiserror::Error)]
#[error("the store answered {status} {code}: {message}")]
struct Refusal {
    status: u16,
    code: String,
    message: String,
}

impl<E> From<SdkError<E, HttpResponse>> for Fault
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        let status = error.raw_response().map(|raw| raw.status().as_u16());
        if let (SdkError::ServiceError(answer), Some(status)) = (&error, status) {
            let code = plain(answer.err().code().unwrap_or_default());
            let message = plain(answer.err().message().unwrap_or("no message"));
            let source = io::Error::other(Refusal { status, code: code.clone(), message });
            return Fault { status: Some(status), code, source };
        }
        let kind = match &error {
            SdkError::TimeoutError(_) => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::Other,
        };
        let source = match error.into_source() {
            Ok(source) => io::Error::new(kind, source),
            Err(error) => io::Error::new(kind, error.to_string()),
        };
        Fault { status, code: String::new(), source }
    }
}

/// A provider's text is hostile until it is harmless to print.
pub(crate) fn plain(text: &str) -> String {
    text.chars().take(MESSAGE_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

impl Fault {
    /// What was seen, with all its causes, safe to print.
    pub(crate) fn seen(&self) -> String {
        let mut text = self.source.to_string();
        let mut next = self.source.source();
        while let Some(cause) = next {
            let part = cause.to_string();
            if !text.ends_with(&part) {
                text = format!("{text}: {part}");
            }
            next = cause.source();
        }
        plain(&text)
    }

    /// The answer means that there is no such object or version.
    pub(crate) fn is_missing(&self) -> bool {
        match self.status {
            Some(404) => self.code != "NoSuchBucket" && self.code != "NoSuchUpload",
            // What a delete marker answers.
            Some(405) => true,
            Some(400) => self.code == "NoSuchVersion",
            _ => false,
        }
    }

    /// The answer means that this is no version id of theirs.
    pub(crate) fn is_bad_version(&self) -> bool {
        self.status == Some(400)
            && matches!(self.code.as_str(), "BadRequest" | "InvalidArgument" | "NoSuchVersion")
    }

    /// An answer to HEAD, which has no body to say why: there is no such object, version or bucket, or the credentials have run out.
    pub(crate) fn may_be_missing(&self) -> bool {
        self.is_missing() || self.is_bad_version() || (self.status == Some(400) && self.code.is_empty())
    }

    /// The session token has run out, or is none. Some providers say so with 400.
    fn is_of_token(&self) -> bool {
        matches!(
            self.code.as_str(),
            "ExpiredToken" | "ExpiredTokenException" | "InvalidToken" | "TokenRefreshRequired"
        )
    }

    /// The answer means that the object has no lock.
    pub(crate) fn is_no_lock(&self) -> bool {
        matches!(
            self.code.as_str(),
            "NoSuchObjectLockConfiguration" | "ObjectLockConfigurationNotFoundError" | "InvalidRequest"
        )
    }

    /// The provider does not have this call, or fails in it every time.
    pub(crate) fn is_unsupported(&self) -> bool {
        matches!(self.status, Some(405 | 500 | 501)) || self.code == "NotImplemented"
    }

    /// The answer is a good one, to another call: who does not know `?retention` may give the object itself.
    pub(super) fn is_of_another_call(&self) -> bool {
        self.status == Some(200)
    }

    /// Nothing was said about what was asked: ask again, or with other credentials.
    pub(super) fn is_no_answer(&self) -> bool {
        matches!(self.status, Some(408 | 429)) || UNKNOWN_SENDER.contains(&self.code.as_str())
    }

    /// `If-None-Match` was not fulfilled, or another put of the same name is under way.
    pub(crate) fn is_taken(&self) -> bool {
        matches!(self.status, Some(409 | 412))
    }

    /// The bucket or its policy will not lock as asked.
    pub(crate) fn is_lock_refused(&self) -> bool {
        self.status == Some(400)
            && matches!(
                self.code.as_str(),
                "InvalidRequest"
                    | "InvalidArgument"
                    | "InvalidRetentionPeriod"
                    | "ObjectLockConfigurationNotFoundError"
            )
    }

    /// Whatever else it is: refused credentials, or an answer that is not known. `step` and `on` name the call, `permission` what it needs.
    pub(crate) fn into_error(self, step: &str, on: &str, permission: &'static str) -> VaultError {
        let step = format!("{step} {on}");
        if matches!(self.status, Some(401 | 403)) || self.is_of_token() {
            // HEAD has no body to say why in; most often it is this.
            let known = matches!(
                self.code.as_str(),
                "AccessDenied" | "AccessDeniedException" | "Forbidden" | "" | "AllAccessDisabled"
            );
            return VaultError::Denied { step, permission: known.then_some(permission), source: self.source };
        }
        VaultError::Unreachable { step, source: self.source }
    }

    /// As [`Fault::into_error`], for calls on one object, which may be missing.
    pub(crate) fn on(self, step: &str, name: &ObjectName, permission: &'static str) -> VaultError {
        if self.is_missing() || self.is_bad_version() {
            return VaultError::Missing { object: name.clone() };
        }
        if self.code == "InvalidObjectState" {
            return VaultError::Frozen { object: name.clone() };
        }
        self.into_error(step, name.as_str(), permission)
    }
}
