//! What the history promises, each promise a test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod grants;
mod layout;
mod locks;
mod log;
mod redactions;
mod scratch;
mod stored;
mod unchanged;
