//! What the formats promise: round trips, rules, every flipped bit found, the golden files of version 1, and the numbers in the documents.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod changes;
mod documents;
mod golden;
mod manifests;
mod records;
mod samples;
mod sessions;
