//! Errors that own an exit code, and the one place that prints them.

use std::error::Error;
use std::io::{self, Write};

use crate::exit::Exit;
use crate::text::tame;

/// An expected error. It knows its code, and what a person can do about it.
///
/// The text (`Display`) is a lower-case fragment that speaks for its own floor; the cause goes in `source` and is not repeated. Bytes
/// from outside are in it only as [`crate::shown`] gives them.
pub trait Failure: Error + Send + Sync + 'static {
    /// The code the process ends with.
    fn exit(&self) -> Exit;

    /// What to do next, as a short sentence to a person.
    fn advice(&self) -> Option<String> {
        None
    }
}

/// Any [`Failure`]: what verbs return, so that `?` takes the error of every part.
#[derive(Debug)]
pub struct Failed(Box<dyn Failure>);

impl<F: Failure> From<F> for Failed {
    fn from(failure: F) -> Self {
        Failed(Box::new(failure))
    }
}

/// An error nobody planned for: a mistake in Firn.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
struct Bug {
    doing: &'static str,
    source: Box<dyn Error + Send + Sync>,
}

impl Failure for Bug {
    fn exit(&self) -> Exit {
        Exit::BUG
    }
}

/// The machine refused what a program cannot do without.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
struct Machine {
    doing: String,
    source: io::Error,
}

impl Failure for Machine {
    fn exit(&self) -> Exit {
        Exit::MACHINE
    }
}

/// An error and all its causes in one line: `a: b: c`. A cause that its parent already spelled out is not repeated.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let part = cause.to_string();
        if !part.is_empty() && !text.ends_with(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        next = cause.source();
    }
    tame(&text)
}

impl Failed {
    /// An error that cannot happen unless Firn is wrong; `doing` says in which step.
    pub fn bug(doing: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Failed {
        Bug { doing, source: source.into() }.into()
    }

    /// An input/output error of this machine; `doing` names the step and the file, through [`crate::shown`].
    #[must_use]
    pub fn machine(doing: impl Into<String>, source: io::Error) -> Failed {
        Machine { doing: doing.into(), source }.into()
    }

    /// The code the process ends with.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.0.exit()
    }

    /// The whole chain in one line, as [`chain`] writes it.
    #[must_use]
    pub fn chain(&self) -> String {
        chain(&*self.0)
    }

    /// What to do next. A bug always has advice.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        match self.0.advice() {
            None if self.exit() == Exit::BUG => Some(BUG_ADVICE.to_owned()),
            advice => advice.map(|text| text.lines().map(tame).collect::<Vec<_>>().join("\n")),
        }
    }

    /// Prints chain and advice. Called once, at the end of [`crate::run()`].
    pub fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let word = if self.exit() == Exit::BUG { "bug" } else { "error" };
        writeln!(out, "firn: {word}: {}", self.chain())?;
        if let Some(advice) = self.advice() {
            writeln!(out, "help: {}", advice.replace('\n', "\n      "))?;
        }
        Ok(())
    }
}

/// What to do about a mistake in Firn.
pub(crate) const BUG_ADVICE: &str = "this is a mistake in Firn, not in what you did; please report it with the lines above and the output of --version";

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to open the spool")]
    struct Spool {
        source: io::Error,
    }

    impl Failure for Spool {
        fn exit(&self) -> Exit {
            Exit::NO_ROOM
        }
        fn advice(&self) -> Option<String> {
            Some("free some space\nthen try again".to_owned())
        }
    }

    fn printed(failed: &Failed) -> String {
        let mut out = Vec::new();
        failed.print(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_chain_is_printed_once_with_its_advice() {
        let failed = Failed::from(Spool { source: io::Error::other("no space left") });
        assert_eq!(
            printed(&failed),
            "firn: error: failed to open the spool: no space left\nhelp: free some space\n      then try again\n"
        );
        assert_eq!(failed.exit(), Exit::NO_ROOM);
    }

    #[test]
    fn a_cause_its_parent_already_spelled_out_is_not_repeated() {
        let failed = Failed::bug("reading the clock: it stands still", io::Error::other("it stands still"));
        assert_eq!(failed.chain(), "reading the clock: it stands still");
    }

    #[test]
    fn what_nobody_planned_for_is_called_a_bug() {
        let failed = Failed::bug("numbering the frames", "overflow");
        assert_eq!(failed.exit(), Exit::BUG);
        assert!(
            printed(&failed)
                .starts_with("firn: bug: numbering the frames: overflow\nhelp: this is a mistake in Firn")
        );
    }

    #[test]
    fn an_error_text_cannot_steer_the_terminal_or_forge_a_line() {
        let failed = Failed::machine("opening it", io::Error::other("\u{1b}[2J\nfirn: all is well"));
        assert_eq!(printed(&failed), "firn: error: opening it: \\x1b[2J\\x0afirn: all is well\n");
    }
}
