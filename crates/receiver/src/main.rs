//! The login shell of a jail: appends what a host sends to one push file, and seals it.
//!
//! It takes no path, name, command or option from the network; it never decompresses, never looks inside a block, and links
//! no TLS, no async runtime and no cloud library. What it does is decided by `wire::server`; this program only obeys.
//!
//! - [`order`]: what the command line asks for.
//! - [`serve`]: one session, from start to end.
//! - [`spool`]: the folders of the jail; [`push_file`]: the one file that grows; [`queue`]: those that are sealed;
//!   [`leftover`]: what an earlier session left.
//! - [`state`]: what the snapshotter has published; [`holdings`]: the contents that the base has.
//! - [`slot`]: one of the places that all hosts share; [`attempts`]: what is noted of each session.
//! - [`pipe`], [`deadline`], [`clock`]: bytes in and out, and never for longer than allowed.
//! - [`fault`]: why a session ends early.

mod attempts;
mod clock;
mod deadline;
mod fault;
mod holdings;
mod leftover;
mod order;
mod pipe;
mod push_file;
mod queue;
mod serve;
mod session;
mod slot;
mod spool;
mod state;

use std::process::ExitCode;

fn main() -> ExitCode {
    order::Order::of(std::env::args_os()).obey()
}
