//! An open way to a server, as its user sees it: a descriptor in, a descriptor out, and the process between.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::time::{Duration, Instant};

use super::ending::Ending;
use super::error::{EndingCode, TransportError};
use super::outward::Outward;
use super::pace::Pace;
use super::patience::Patience;
use super::ssh_words::{Whose, told};
use super::words::Words;
use crate::plan::{Chosen, Target};
use crate::push::PushError;
use crate::until::ended;

/// A child that has nothing left to do is given this long to end by itself.
const ENDING: Duration = Duration::from_secs(5);
/// Without a target nobody has said how long to wait: a day.
const SECONDS: u32 = 86_400;

/// An open way to a server.
#[derive(Debug)]
pub struct Carried {
    /// Where our bytes go.
    pub to: Outward,
    /// Where the server's bytes come from.
    pub from: File,
    carrier: Option<Carrier>,
}

/// Who carries, and so how it says why it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Speech {
    /// This program under another verb: by a code of [`Ending`].
    Ours,
    /// OpenSSH: by status 255 and what it wrote.
    Ssh(Whose, Chosen),
}

/// The process between. It ends with this.
#[derive(Debug)]
struct Carrier {
    child: Child,
    speech: Speech,
    words: Words,
}

impl Drop for Carrier {
    fn drop(&mut self) {
        // What has ended is not killed, only buried.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Carried {
    /// Over descriptors that somebody else looks after.
    pub fn over(to: OwnedFd, from: OwnedFd) -> io::Result<Self> {
        let to = Outward::new(to, Patience::new(SECONDS, SECONDS), None)?;
        Ok(Self { to, from: from.into(), carrier: None })
    }

    pub(super) fn by(mut child: Child, speech: Speech, to: OwnedFd, target: &Target) -> io::Result<Self> {
        let from = child.stdout.take().map(OwnedFd::from);
        let words = Words::of(child.stderr.take());
        let carrier = Carrier { child, speech, words };
        let from = from.ok_or(io::ErrorKind::BrokenPipe)?;
        let patience = Patience::new(target.idle_seconds, target.session_seconds);
        let pace = target.bytes_per_second.map(|bytes| Pace::new(bytes.get(), Instant::now()));
        let to = Outward::new(to, patience, pace)?;
        Ok(Self { to, from: from.into(), carrier: Some(carrier) })
    }

    /// Number of the child process, for a sandbox that leaves it within reach.
    pub fn child_id(&self) -> Option<u32> {
        self.carrier.as_ref().map(|carrier| carrier.child.id())
    }

    /// From now on a thread takes in what the child says, lest it wait for somebody to listen. To be called after this process is confined.
    pub(crate) fn listen(&mut self) -> io::Result<()> {
        self.carrier.as_mut().map_or(Ok(()), |carrier| carrier.words.listen())
    }

    /// The stream has ended: why.
    pub fn why_ended(&mut self, during: &'static str) -> PushError {
        let Some(Carrier { child, speech, words }) = &mut self.carrier else {
            return PushError::Ended { during };
        };
        let status = ended(child, Instant::now() + ENDING);
        let words = words.last();
        let code = status.and_then(|status| status.code());
        let end = match (&*speech, code) {
            (Speech::Ours, Some(code)) => Ending::of_code(code).map(|ending| (ending, words.clone())),
            (Speech::Ssh(whose, _), Some(code)) => Some(told(code, &words, whose)),
            (_, None) => None,
        };
        match end {
            Some((Ending::Done, _)) => PushError::Ended { during },
            Some((ending, words)) => {
                let words = cli::shown(words.trim_ascii());
                match speech {
                    Speech::Ssh(_, Chosen::Ours) if ending.is_of_the_carrier() => {
                        TransportError::Unfit { ending: EndingCode(ending), words }.into()
                    }
                    _ => TransportError::Ended { ending: EndingCode(ending), words }.into(),
                }
            }
            None => {
                let status = status.map_or_else(|| "it did not end".to_owned(), |status| status.to_string());
                let words = cli::shown(words.trim_ascii());
                TransportError::Died { words: format!("{status} {words}").trim().to_owned() }.into()
            }
        }
    }

    /// It takes no more of our bytes, for too long.
    pub(crate) fn stalled(why: &io::Error) -> PushError {
        TransportError::Ended { ending: EndingCode(Ending::Stalled), words: why.to_string() }.into()
    }

    /// Closes in good order.
    pub fn end(self) {
        let Self { to, from, carrier } = self;
        // The child sees the end of its input when all handles are gone.
        drop(to);
        if let Some(mut carrier) = carrier {
            let _ = ended(&mut carrier.child, Instant::now() + ENDING);
        }
        drop(from);
    }
}
