//! What push-client claims, each as a test. The server is the real protocol (`wire::server`) over a memory of its own; what
//! it receives is judged entry by entry and content by content.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails may panic"
)]

mod admission;
mod ahead;
mod around;
mod audit;
mod by_file;
mod commands;
mod cut;
mod delta;
mod dumps;
mod filters;
mod flags;
mod flipper;
mod host;
mod hostile;
mod judge;
mod kinds;
mod leftovers;
mod manners;
mod memory;
mod moved;
mod offers;
mod powers;
mod preview;
mod reading;
mod rehash;
mod rendezvous;
mod runner;
mod salt;
mod selection;
mod server;
mod snapshots;
mod sshd;
mod system_ssh;
mod unchanged;
