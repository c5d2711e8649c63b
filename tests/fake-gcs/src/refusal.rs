//! What goes wrong with a request, as Google says it.

use serde_json::{Value, json};

/// An answer that is no success.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(status: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { status, reason, message: message.into() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid", message)
    }

    pub(crate) fn not_built(what: &str) -> Self {
        Self::new(501, "notImplemented", format!("this server does not have: {what}"))
    }

    pub(crate) fn no_bucket() -> Self {
        Self::new(404, "notFound", "The specified bucket does not exist.")
    }

    pub(crate) fn no_object(bucket: &str, key: &str) -> Self {
        Self::new(404, "notFound", format!("No such object: {bucket}/{key}"))
    }

    pub(crate) fn condition() -> Self {
        let text = "At least one of the pre-conditions you specified did not hold.";
        Self::new(412, "conditionNotMet", text)
    }

    pub(crate) fn held(bucket: &str, key: &str, until: &str) -> Self {
        let text = format!(
            "Object '{bucket}/{key}' is subject to bucket's retention policy or object retention and cannot be deleted or overwritten until {until}"
        );
        Self::new(403, "retentionPolicyNotMet", text)
    }

    pub(crate) fn document(&self) -> Value {
        let Refusal { status, reason, message } = self;
        let first = json!({ "message": message, "domain": "global", "reason": reason });
        json!({ "error": { "code": status, "message": message, "errors": [first] } })
    }
}
