//! What went wrong with a call, in the words of a vault.

use std::error::Error;
use std::io;

use serde::Deserialize;

use crate::{ObjectName, VaultError};

/// Longest message of a provider that is passed on.
const MESSAGE_CHARS_MAX: usize = 300;

/// A call that failed, after all its retries.
#[derive(Debug)]
pub(super) struct Fault {
    /// Status of the answer; none if there was no answer.
    pub(super) status: Option<u16>,
    /// The provider's word for it; empty if there is none.
    reason: String,
    /// The bucket is what is not there.
    is_of_bucket: bool,
    /// The lock that was asked for is what is wrong.
    is_of_retention: bool,
    /// How long the provider asks to be left alone.
    pub(super) retry_after: Option<u64>,
    source: io::Error,
}

/// What a provider answered instead of doing what was asked.
#[derive(Debug, thiserror::Error)]
#[error("the store answered {status} {reason}: {message}")]
struct Refusal {
    status: u16,
    reason: String,
    message: String,
}

/// The body of such an answer.
#[derive(Debug, Default, Deserialize)]
struct Document {
    error: Details,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    message: String,
    errors: Vec<Reason>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reason {
    reason: String,
}

/// A provider's text is hostile until it is harmless to print.
fn plain(text: &str) -> String {
    text.chars().take(MESSAGE_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

impl Fault {
    /// An answer that is no success.
    pub(super) fn of_answer(status: u16, retry_after: Option<u64>, body: &[u8]) -> Fault {
        let details = match serde_json::from_slice::<Document>(body) {
            Ok(document) => document.error,
            Err(_) => Details { message: String::from_utf8_lossy(body).into_owned(), ..Details::default() },
        };
        let reason = plain(details.errors.first().map_or("", |first| &first.reason));
        let message = plain(if details.message.is_empty() { "no message" } else { &details.message });
        let is_of_bucket = message.contains("bucket does not exist");
        let is_of_retention =
            message.to_ascii_lowercase().contains("retention") || message.contains("retainUntil");
        let source = io::Error::other(Refusal { status, reason: reason.clone(), message });
        Fault { status: Some(status), reason, is_of_bucket, is_of_retention, retry_after, source }
    }

    /// No answer.
    pub(super) fn of_silence(source: io::Error) -> Fault {
        let reason = String::new();
        Fault { status: None, reason, is_of_bucket: false, is_of_retention: false, retry_after: None, source }
    }

    /// No answer, as the client tells it. Its text names the address, which may hold a session's secret.
    pub(super) fn of_client(error: reqwest::Error) -> Fault {
        let kind = if error.is_timeout() { io::ErrorKind::TimedOut } else { io::ErrorKind::Other };
        let error = error.without_url();
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(deeper) = cause {
            text = format!("{text}: {deeper}");
            cause = deeper.source();
        }
        Fault::of_silence(io::Error::new(kind, plain(&text)))
    }

    /// An answer that cannot be what it should be.
    pub(super) fn of_nonsense(what: &'static str) -> Fault {
        Fault::of_silence(io::Error::new(io::ErrorKind::InvalidData, what))
    }

    /// No token could be signed.
    pub(super) fn of_key() -> Fault {
        let source = io::Error::other("the private key of the service account cannot sign");
        Fault { status: Some(401), ..Fault::of_silence(source) }
    }

    /// What was answered, or why nothing was.
    pub(super) fn text(&self) -> String {
        self.source.to_string()
    }

    /// Asking again may help.
    pub(super) fn is_passing(&self) -> bool {
        match self.status {
            None => self.source.kind() != io::ErrorKind::InvalidData,
            Some(status) => matches!(status, 408 | 429 | 500..=599),
        }
    }

    /// The answer means that there is no such object or generation.
    pub(super) fn is_missing(&self) -> bool {
        self.status == Some(404) && !self.is_of_bucket
    }

    /// `ifGenerationMatch` was not fulfilled, or another put of the same name is under way.
    pub(super) fn is_taken(&self) -> bool {
        matches!(self.status, Some(409 | 412))
    }

    /// The bucket will not lock as asked.
    pub(super) fn is_lock_refused(&self) -> bool {
        match self.status {
            Some(400) => self.is_of_retention,
            Some(403) => self.reason.to_ascii_lowercase().contains("retention"),
            _ => false,
        }
    }

    /// Whatever else it is: refused credentials, or an answer that is not known. `step` and `on` name the call, `permission` what it needs.
    pub(super) fn into_error(self, step: &str, on: &str, permission: &'static str) -> VaultError {
        let step = format!("{step} {on}");
        match self.status {
            Some(401) => VaultError::Denied { step, permission: None, source: self.source },
            Some(403) => VaultError::Denied { step, permission: Some(permission), source: self.source },
            _ => VaultError::Unreachable { step, source: self.source },
        }
    }

    /// As [`Fault::into_error`], for calls on one object, which may be missing.
    pub(super) fn on(self, step: &str, name: &ObjectName, permission: &'static str) -> VaultError {
        if self.is_missing() {
            return VaultError::Missing { object: name.clone() };
        }
        self.into_error(step, name.as_str(), permission)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_without_trusting_it() {
        let body = br#"{"error":{"code":403,"message":"no\u001b[2J","errors":[{"reason":"forbidden"}]}}"#;
        let fault = Fault::of_answer(403, None, body);
        assert_eq!(fault.source.to_string(), "the store answered 403 forbidden: no [2J");
        for body in [&b""[..], b"<html>", b"{\"error\":7}", &[0xff; 10_000]] {
            let fault = Fault::of_answer(500, None, body);
            assert!(fault.is_passing() && fault.source.to_string().len() < 2_000, "{fault:?}");
        }
    }
}
