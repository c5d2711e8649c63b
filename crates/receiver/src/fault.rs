//! Why a session ends early. The words are fixed: nothing a host sent is ever printed.

use formats::session::Code;
use rustix::io::Errno;
use wire::server::Fate;

/// A reason to stop, with what to tell the host and what becomes of the partial push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    /// The host broke a rule, or came at a bad time.
    #[error("{code}")]
    Refused { code: Code, partial: Fate, wait_seconds: u32 },
    /// Something here failed.
    #[error("{code}: failed to {step}")]
    Fault { code: Code, step: &'static str, partial: Fate },
    /// Nobody listens any more: there is no one to tell.
    #[error("the host is gone")]
    Gone,
}

pub(crate) type Result<T> = std::result::Result<T, Stop>;

impl Stop {
    /// The host broke a rule or came at a bad time; what has arrived stays.
    pub(crate) fn refused(code: Code) -> Self {
        Stop::Refused { code, partial: Fate::Keep, wait_seconds: 0 }
    }

    /// Closure for `map_err`: a failed step of this side. A full disk is told apart.
    pub(crate) fn at<E: Answered>(step: &'static str) -> impl FnOnce(E) -> Stop {
        move |error| {
            let full = [Errno::NOSPC, Errno::DQUOT, Errno::FBIG].map(Errno::raw_os_error);
            let is_full = error.number().is_some_and(|number| full.contains(&number));
            let code = if is_full { Code::NoRoom } else { Code::ServerFault };
            Stop::Fault { code, step, partial: Fate::Keep }
        }
    }

    /// The same for a step after which the partial push is worth nothing: its bytes may not be on the disk.
    pub(crate) fn discarding(self) -> Self {
        match self {
            Stop::Refused { code, wait_seconds, .. } => {
                Stop::Refused { code, partial: Fate::Discard, wait_seconds }
            }
            Stop::Fault { code, step, .. } => Stop::Fault { code, step, partial: Fate::Discard },
            Stop::Gone => Stop::Gone,
        }
    }

    /// What to tell the host, if it listens.
    pub(crate) fn code(&self) -> Option<Code> {
        match self {
            Stop::Refused { code, .. } | Stop::Fault { code, .. } => Some(*code),
            Stop::Gone => None,
        }
    }

    /// Before that time no new try makes sense.
    pub(crate) fn wait_seconds(&self) -> u32 {
        match self {
            Stop::Refused { wait_seconds, .. } => *wait_seconds,
            Stop::Fault { .. } | Stop::Gone => 0,
        }
    }

    /// What becomes of the partial push.
    pub(crate) fn fate(&self) -> Fate {
        match self {
            Stop::Refused { partial, .. } | Stop::Fault { partial, .. } => *partial,
            Stop::Gone => Fate::Keep,
        }
    }
}

/// An error that may have come from the kernel.
pub(crate) trait Answered {
    /// The kernel's number for it.
    fn number(&self) -> Option<i32>;
}

impl Answered for std::io::Error {
    fn number(&self) -> Option<i32> {
        self.raw_os_error()
    }
}

impl Answered for Errno {
    fn number(&self) -> Option<i32> {
        Some(self.raw_os_error())
    }
}

impl Answered for durable::Error {
    fn number(&self) -> Option<i32> {
        self.raw_os_error()
    }
}
