//! The edge of a Firn program.
//!
//! A program parses its command line with [`parse`], gives its verb a [`Run`], and hands both to [`run()`]. What comes back is the code of
//! the process. In between this crate does what all programs must do alike: one table of [exit codes](exit), one printer of
//! [failures](failure), one reader of [settings], one way to tell people what goes on ([`monitor`], drawn by [`console`]), and one
//! [`report`] for machines, the last line of standard output under `--json`.
//!
//! Bytes that came from another machine reach a terminal only through [`shown`].
//!
//! This crate decides nothing: it never chooses a code for an error, and never touches what a program works on.

pub mod args;
pub mod console;
pub mod exit;
pub mod failure;
pub mod manual;
pub mod monitor;
pub mod report;
pub mod run;
pub mod settings;
pub mod text;

pub use args::{Common, parse};
pub use console::Console;
pub use exit::Exit;
pub use failure::{Failed, Failure, chain};
pub use manual::Manual;
pub use monitor::{Amount, Level, Monitor, Silent, Task};
pub use report::Report;
pub use run::{Run, run};
pub use text::shown;
