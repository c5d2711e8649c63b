//! Why a process could not be confined. Each is a reason to stop.

use std::io;

/// The result of every call here.
pub type Result<T> = std::result::Result<T, SandboxError>;

/// Why a process could not be confined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// Landlock before ABI 8 and capabilities bind one thread only, so a second thread would stay free.
    #[error("confine a process that has more than one thread")]
    MoreThanOneThread,
    /// The kernel has no Landlock, or one without REFER (before Linux 5.19), or it is switched off at boot.
    #[error("confine files: this kernel has no landlock of abi 2 or later in force")]
    NoLandlock,
    /// The kernel refused the Landlock rules.
    #[error("confine files with landlock")]
    Landlock(#[from] landlock::RulesetError),
    /// The kernel refused the filter of system calls.
    #[error("confine system calls with seccomp")]
    Filter(#[from] seccompiler::Error),
    /// There is no filter for this processor architecture.
    #[error("confine system calls on a processor architecture without a filter")]
    NoArchitecture,
    /// A capability was still there after it was given up.
    #[error("give up capabilities: some are left")]
    CapabilitiesLeft,
    /// A system call that takes something away failed.
    #[error("{step}")]
    System {
        /// What it would have taken away.
        step: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl SandboxError {
    /// Closure for `map_err`.
    pub(crate) fn at<E: Into<io::Error>>(step: &'static str) -> impl FnOnce(E) -> SandboxError {
        move |source| SandboxError::System { step, source: source.into() }
    }
}
