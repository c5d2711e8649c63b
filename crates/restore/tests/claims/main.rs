//! What the restoring promises, each promise a test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod archive;
mod meddler;
mod place;
mod repair;
mod tree;
