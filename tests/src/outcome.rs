//! Running a program to its end and keeping all it said.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::error::{Result, RigError};

/// Most text of a failed program that an error repeats, in bytes.
const SAID_BYTES_MAX: usize = 4000;

/// How a program ended, and what it said.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The command line, for messages.
    pub command: String,
    /// The exit code; 128+n after signal n.
    pub code: i32,
    /// Standard output; bytes that are no UTF-8 are replaced.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
    /// From start to end.
    pub took: Duration,
}

impl Outcome {
    /// Runs `command` with no input, and waits.
    ///
    /// # Errors
    /// If it cannot be started. Any exit code is an outcome.
    pub fn of(command: &mut Command) -> Result<Outcome> {
        let program = command.get_program().to_string_lossy().into_owned();
        let began = Instant::now();
        let output =
            command.stdin(Stdio::null()).output().map_err(|source| RigError::Start { program, source })?;
        Ok(Outcome {
            command: line_of(command),
            code: code_of(output.status),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            took: began.elapsed(),
        })
    }

    /// The same, but what it writes to standard error goes to ours, where a person can watch its progress.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn shown(command: &mut Command) -> Result<Outcome> {
        Outcome::of(command.stderr(Stdio::inherit()))
    }

    /// The same outcome, if it ended with one of `codes`.
    ///
    /// # Errors
    /// [`RigError::Ended`], with what the program said.
    pub fn expect_code(self, codes: &[i32]) -> Result<Outcome> {
        if codes.contains(&self.code) {
            return Ok(self);
        }
        Err(RigError::Ended {
            expected: codes.iter().map(i32::to_string).collect::<Vec<_>>().join(" or "),
            said: self.said(),
            code: self.code,
            command: self.command,
        })
    }

    /// The end of what it wrote: standard error, then standard output.
    #[must_use]
    pub fn said(&self) -> String {
        let all = format!("{}{}", self.stderr, self.stdout);
        let mut from = all.len().saturating_sub(SAID_BYTES_MAX);
        while !all.is_char_boundary(from) {
            from += 1;
        }
        all.get(from..).unwrap_or_default().to_owned()
    }

    /// The report: the last line of standard output, if it is a JSON object. See `docs/formats/report.md`.
    #[must_use]
    pub fn report(&self) -> Option<Value> {
        serde_json::from_str(self.stdout.lines().last()?).ok().filter(Value::is_object)
    }

    /// A count of the report; 0 if there is none of that name.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        self.report().and_then(|report| report.get("counts")?.get(name)?.as_u64()).unwrap_or_default()
    }
}

/// The code as a shell tells it.
#[must_use]
pub fn code_of(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

/// The command line, for people: words with spaces are quoted.
#[must_use]
pub fn line_of(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted = words.map(|word| {
        let word = word.to_string_lossy();
        if word.contains([' ', '\'', '"', '\\']) { format!("{word:?}") } else { word.into_owned() }
    });
    quoted.collect::<Vec<_>>().join(" ")
}
