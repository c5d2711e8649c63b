//! What the protocol promises, whatever the other side sends.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails may panic"
)]

mod cuts;
mod hostile_clients;
mod hostile_servers;
mod manners;
mod offers;
mod order;
mod samples;
mod talk;
