//! Brings contents back that a history has lost. What has rotted goes out of the trees and is named in the log; the host is asked for it, and the
//! next push that brings it gives it back to every name that should have it.
//!
//! [`mend`] is the one thing that is done, by whoever has a good file of a content: [`host`], one confined process a host, where another file of the
//! same history has it (`verify --repair`), and the ingest, where a push brings it. [`foreman`] starts the former for a process that may start
//! nothing.
//!
//! The order: a `rot` line says what is lost, and from then on nothing is linked to it; what has rotted is moved to `.rot`; the published state names
//! it. A good file gets every name; all of it is on the disk; the `healed` line. Killed anywhere, the log says what is open, and the next run looks
//! at every name anew.

pub(crate) mod aside;
pub(crate) mod foreman;
pub(crate) mod host;
pub(crate) mod lost;
pub(crate) mod mend;
pub(crate) mod names;
