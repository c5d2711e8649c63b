//! Why a request is not done: status, code and text as S3 words them.

/// An S3 error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), headers: Vec::new() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidRequest", message)
    }

    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidArgument", message)
    }

    pub(crate) fn malformed_xml() -> Self {
        let text =
            "The XML you provided was not well-formed or did not validate against our published schema";
        Self::new(400, "MalformedXML", text)
    }

    pub(crate) fn denied() -> Self {
        Self::new(403, "AccessDenied", "Access Denied")
    }

    pub(crate) fn locked() -> Self {
        Self::new(403, "AccessDenied", "Access Denied because object protected by object lock.")
    }

    pub(crate) fn not_built(what: &str) -> Self {
        Self::new(501, "NotImplemented", format!("this server does not know {what}"))
    }

    pub(crate) fn no_such_bucket() -> Self {
        Self::new(404, "NoSuchBucket", "The specified bucket does not exist")
    }

    pub(crate) fn no_such_key() -> Self {
        Self::new(404, "NoSuchKey", "The specified key does not exist.")
    }

    pub(crate) fn no_such_version() -> Self {
        Self::new(404, "NoSuchVersion", "The specified version does not exist.")
    }

    pub(crate) fn no_such_upload() -> Self {
        let text = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.";
        Self::new(404, "NoSuchUpload", text)
    }

    pub(crate) fn precondition() -> Self {
        let text = "At least one of the pre-conditions you specified did not hold";
        Self::new(412, "PreconditionFailed", text)
    }

    pub(crate) fn lock_missing() -> Self {
        Self::invalid("Bucket is missing Object Lock Configuration")
    }

    pub(crate) fn incomplete() -> Self {
        let text = "You did not provide the number of bytes specified by the Content-Length HTTP header";
        Self::new(400, "IncompleteBody", text)
    }
}
