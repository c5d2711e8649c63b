//! What the history promises, each promise a test.

mod layout;
mod log;
mod scratch;
