//! Commands of the settings, run for the walk by a process that has what the walk gave up.
//!
//! The process that reads the files of a host has no power but to read, and starts nothing. So the **runner** is started before: this
//! program under another verb, which reads the same settings and is told over a socket which number is next, and nothing else. It holds
//! to the order of the settings: a walk that was taken over can have run what the person who wrote them wants run, once.
//!
//! The output of a dump crosses through a pipe, whose reading end the runner hands over at the start.

mod account;
mod ended;
mod error;
mod look;
mod messages;
mod order;
mod process;
mod runner;
mod said;
mod serve;
pub(crate) mod stop;

pub use account::AsUser;
pub(crate) use account::become_user;
pub use ended::{Ended, How, Kind};
pub use error::CommandError;
pub(crate) use look::look;
pub use runner::{Came, Output, Runner};
pub(crate) use serve::{SETTLE, serve};

/// What commands find in `PATH`.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
