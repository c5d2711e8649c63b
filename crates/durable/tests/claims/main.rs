//! What crate durable promises, each promise a test. Where a guard matters, the test also shows what happens without it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod again;
mod lock;
mod open;
mod place;
mod race;
mod remove_tree;
mod scratch;
mod whole;
