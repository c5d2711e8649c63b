//! An open way to a server, as its user sees it: a descriptor in, a descriptor out.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::time::{Duration, Instant};

use super::ending::Ending;
use super::error::{EndingCode, TransportError};
use crate::push::PushError;
use crate::until::ended;

/// A child that has nothing left to do is given this long to end by itself.
const ENDING: Duration = Duration::from_secs(5);
/// Longest words of a child that are listened to, in bytes.
const WORDS_BYTES_MAX: u64 = 2_048;

/// An open way to a server.
#[derive(Debug)]
pub struct Carried {
    /// Where our bytes go.
    pub to: File,
    /// Where the server's bytes come from.
    pub from: File,
    child: Option<Child>,
}

impl Carried {
    /// Over descriptors that somebody else looks after.
    pub fn over(to: OwnedFd, from: OwnedFd) -> Self {
        Self { to: to.into(), from: from.into(), child: None }
    }

    pub(super) fn by(child: Child, to: OwnedFd, from: OwnedFd) -> Self {
        Self { to: to.into(), from: from.into(), child: Some(child) }
    }

    /// Number of the child process, for a sandbox that leaves it within reach.
    pub fn child_id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// The stream has ended: why.
    pub fn why_ended(&mut self, during: &'static str) -> PushError {
        let Some(child) = &mut self.child else { return PushError::Ended { during } };
        let status = ended(child, Instant::now() + ENDING);
        let words = words(child);
        match status.and_then(|status| status.code()).and_then(Ending::of_code) {
            Some(Ending::Done) => PushError::Ended { during },
            Some(ending) => TransportError::Ended { ending: EndingCode(ending), words }.into(),
            None => {
                let status = status.map_or_else(|| "it did not end".to_owned(), |status| status.to_string());
                TransportError::Died { words: format!("{status} {words}").trim().to_owned() }.into()
            }
        }
    }

    /// Closes in good order.
    pub fn end(self) {
        let Self { to, from, child } = self;
        // The child sees the end of its input when all handles are gone.
        drop(to);
        if let Some(mut child) = child {
            let _ = ended(&mut child, Instant::now() + ENDING);
        }
        drop(from);
    }
}

fn words(child: &mut Child) -> String {
    let mut words = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        // The child has ended, so this does not wait; what cannot be read is not said.
        let _ = stderr.take(WORDS_BYTES_MAX).read_to_end(&mut words);
    }
    cli::shown(words.trim_ascii())
}
