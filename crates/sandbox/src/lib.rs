//! A process gives up what it does not need, before it touches what somebody else sent.
//!
//! One call does it: build a [`Confinement`] from the folders that stay open to the process and the [`Profile`] of system
//! calls that its work needs, and [`apply`](Confinement::apply) it. From then on, and for all that descends from it:
//!
//! 1. no privilege can be gained (`no_new_privs`), no other process can read its memory (not dumpable);
//! 2. no capability is left ([`capabilities`]);
//! 3. Landlock refuses every file outside the given folders, and all TCP;
//! 4. seccomp refuses, with EPERM, every system call outside the profile.
//!
//! The [`Report`] says what the kernel enforced, so that a caller whose settings ask for more can refuse to go on.
//! [`limits`] caps what a process may use up; [`capabilities`] can be used alone. A process that is about to become another program,
//! whose system calls nobody here can list, gives up what it can by [`ForProgram`].
//!
//! Landlock governs opening, creating, linking, renaming and removing. It does not govern `stat`, and changes of mode,
//! owner and time by path: the profiles leave those last three out, and allow them on open descriptors only where needed.
//!
//! This crate never widens anything, and reads no settings.

pub mod capabilities;
mod confinement;
mod error;
mod files;
mod filter;
pub mod limits;
mod profile;
mod program;
mod threads;

pub use confinement::{Confinement, Keep, Report, Threads};
pub use error::{Result, SandboxError};
pub use files::{Landlock, LandlockState};
pub use profile::Profile;
pub use program::ForProgram;
