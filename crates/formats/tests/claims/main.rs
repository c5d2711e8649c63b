//! What the formats promise: round trips, rules, every flipped bit found, and the golden files of version 1.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod changes;
mod golden;
mod manifests;
mod records;
mod samples;
mod sessions;
