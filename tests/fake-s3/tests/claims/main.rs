//! What the server enforces, and how it breaks when it is told to: each rule by name, over plain HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod access;
mod client;
mod faults;
mod lists;
mod locks;
mod multiparts;
mod objects;
mod settings;
mod thaws;
