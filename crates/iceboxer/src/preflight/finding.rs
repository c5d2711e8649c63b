//! What was found, and what it makes of the run.

use cli::{Exit, Failure};
use serde_json::{Value, json};

use super::checks::{Check, Severity};

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub check: &'static Check,
    /// How much it matters here.
    pub severity: Severity,
    /// On what: a vault, a certificate, this machine.
    pub on: String,
    /// What was seen. Safe to print.
    pub seen: String,
}

impl Finding {
    /// Found as the table has it.
    #[must_use]
    pub fn new(check: &'static Check, on: &str, seen: impl Into<String>) -> Finding {
        Finding { check, severity: check.severity, on: on.to_owned(), seen: seen.into() }
    }

    /// Found, and of less weight than in the table.
    #[must_use]
    pub fn only(self, severity: Severity) -> Finding {
        Finding { severity, ..self }
    }

    /// For machines.
    #[must_use]
    pub fn as_json(&self) -> Value {
        json!({
            "code": self.check.code,
            "severity": self.severity.word(),
            "on": self.on,
            "seen": self.seen,
            "why": self.check.why,
            "fix": self.check.fix,
        })
    }
}

/// The first failure that was found, as the end of the run.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}: {}", .0.on, .0.check.code, .0.seen)]
pub struct NotReady(pub Finding);

impl Failure for NotReady {
    fn exit(&self) -> Exit {
        self.0.check.exit
    }

    fn advice(&self) -> Option<String> {
        Some(self.0.check.fix.to_owned())
    }
}

/// A vault was named that the settings do not have.
#[derive(Debug, thiserror::Error)]
#[error("the settings name no vault {0:?}")]
pub struct UnknownVault(pub String);

impl Failure for UnknownVault {
    fn exit(&self) -> Exit {
        Exit::USAGE
    }
}
