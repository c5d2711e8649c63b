//! Sends a host's files to its jail on the backup server.
//!
//! A push is one pass over the chosen trees ([`walk`]), side by side with the state that the server has ([`state`]). What was
//! not touched since is taken over without a look inside; what was is read, once, and put into the push as it is read. At the
//! end stands a new manifest; its differences from the base follow, and the seal ([`push`]). A push counts when the server
//! says that it is accepted, not before.
//!
//! The process that reads the files speaks to no network: a child without files or capabilities carries the bytes
//! ([`transport`]). What the server says is a handful of fixed messages; none of them names a path.
//!
//! This crate never writes outside of its state folder, never follows a symbolic link out of a tree, and never reads a file
//! that its own settings do not choose.

pub mod args;
pub mod commands;
mod host;
pub mod openssh;
pub mod plan;
pub mod push;
mod rendezvous;
pub mod settings;
pub mod state;
pub mod transport;
mod until;
pub mod verb;
pub mod walk;

pub use verb::main;
